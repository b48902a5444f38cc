// Says a line to the test, which does it to zone or web host, and waits until it is done.

'use strict';

const net = require('net');

module.exports = function hook(line) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(Number(process.env.HOOK_PORT), '127.0.0.1', () => socket.write(`${line}\n`));
        socket.on('error', reject);
        socket.on('data', (answer) => {
            socket.end();
            if (answer.toString() === 'ok\n') resolve();
            else reject(new Error(`the test said ${answer}`));
        });
    });
};
