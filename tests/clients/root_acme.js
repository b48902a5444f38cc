// @root/acme (npm) as a program would use it: register, certificates by http-01 and dns-01.
// DIRECTORY and HOOK_PORT come from the test. Each step prints one line of JSON.

'use strict';

const ACME = require('@root/acme');
const CSR = require('@root/csr');
const Keypairs = require('@root/keypairs');
const PEM = require('@root/pem');
const hook = require('./hook.js');

// It tells its makers who uses it, once this many milliseconds have passed: never, as tests stay on this machine.
const TELL_AFTER = 2 ** 31 - 1;

const LINES = {
    'http-01': {
        put: (c) => `http+ ${c.token} ${c.keyAuthorization}`,
        take: (c) => `http- ${c.token}`,
    },
    'dns-01': {
        put: (c) => `txt+ ${c.identifier.value} ${c.dnsAuthorization}`,
        take: (c) => `txt- ${c.identifier.value} ${c.dnsAuthorization}`,
    },
};

function plugin(type) {
    const say = (what) => ({ challenge }) => hook(LINES[type][what](challenge)).then(() => null);
    const nothing = async () => null;
    return { init: nothing, zones: async () => [], get: nothing, set: say('put'), remove: say('take'), propagationDelay: 1 };
}

async function certificate(acme, account, accountKey, kty, domains, type) {
    const { private: jwk } = await Keypairs.generate({ kty, format: 'jwk' });
    const bytes = await CSR.csr({ jwk, domains, encoding: 'der' });
    const csr = PEM.packBlock({ type: 'CERTIFICATE REQUEST', bytes });
    const challenges = { [type]: plugin(type) };
    const pems = await acme.certificates.create({ account, accountKey, csr, domains, challenges });
    const chain = `${pems.cert.trim()}\n${pems.chain.trim()}\n`;
    console.log(JSON.stringify({ step: 'certificate', kind: kty, names: domains, chain }));
}

async function main() {
    const acme = ACME.create({
        maintainerEmail: 'admin@a.test',
        packageAgent: 'stories/1',
        skipChallengeTest: true,
        skipDryRun: true,
        retryInterval: 200,
        __timeout: TELL_AFTER,
    });
    await acme.init(process.env.DIRECTORY);
    for (const kind of ['EC', 'RSA']) {
        const { private: accountKey } = await Keypairs.generate({ kty: kind, format: 'jwk' });
        const asked = { subscriberEmail: 'admin@a.test', agreeToTerms: true, accountKey };
        const account = await acme.accounts.create(asked);
        const again = await acme.accounts.create(asked);
        console.log(JSON.stringify({ step: 'account', kind, url: account.key.kid, again: again.key.kid }));

        // It waits five seconds for nothing before http-01, so that is done once; by dns-01 it is told how long to wait.
        if (kind === 'EC') await certificate(acme, account, accountKey, 'EC', ['a.test', 'www.a.test'], 'http-01');
        await certificate(acme, account, accountKey, 'RSA', ['c.test', '*.c.test'], 'dns-01');
        await certificate(acme, account, accountKey, 'EC', ['c.test', '*.c.test'], 'dns-01');
    }
    process.exit(0);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
