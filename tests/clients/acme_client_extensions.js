// acme-client (npm) with what goes beyond RFC 8555's first steps; the argument says with what:
// `tls-alpn-01` writes what is to be shown to ALPN_FOLDER, `key-change` gives the account another key, `binding` uses
// EAB_KID and EAB_HMAC_KEY. DIRECTORY and HOOK_PORT come from the test. Each step prints one line of JSON.

'use strict';

const fs = require('fs');
const path = require('path');
const acme = require('acme-client');
const hook = require('./hook.js');

const PRESENT = {
    'http-01': {
        put: (authz, c, proof) => hook(`http+ ${c.token} ${proof}`),
        take: (authz, c) => hook(`http- ${c.token}`),
    },
    'tls-alpn-01': {
        put: async (authz, c, proof) => {
            const [key, certificate] = await acme.crypto.createAlpnCertificate(authz, proof);
            const file = (kind) => path.join(process.env.ALPN_FOLDER, `${authz.identifier.value}.${kind}.pem`);
            fs.writeFileSync(file('key'), key);
            fs.writeFileSync(file('crt'), certificate);
        },
        take: async () => {},
    },
};

async function certificate(client, altNames, challenge) {
    const [, csr] = await acme.crypto.createCsr({ altNames });
    const chain = await client.auto({
        csr,
        email: 'admin@a.test',
        termsOfServiceAgreed: true,
        challengePriority: [challenge],
        skipChallengeVerification: true,
        challengeCreateFn: (authz, c, proof) => PRESENT[c.type].put(authz, c, proof),
        challengeRemoveFn: (authz, c, proof) => PRESENT[c.type].take(authz, c, proof),
    });
    console.log(JSON.stringify({ step: 'certificate', names: altNames, chain }));
}

async function main(what) {
    const accountKey = await acme.crypto.createPrivateEcdsaKey();
    const client = new acme.Client({
        directoryUrl: process.env.DIRECTORY,
        accountKey,
        externalAccountBinding: what === 'binding'
            ? { kid: process.env.EAB_KID, hmacKey: process.env.EAB_HMAC_KEY }
            : {},
        backoffAttempts: 30,
        backoffMin: 100,
        backoffMax: 1000,
    });
    await client.createAccount({ termsOfServiceAgreed: true });
    if (what === 'key-change') {
        const url = client.getAccountUrl();
        await client.updateAccountKey(await acme.crypto.createPrivateRsaKey());
        const old = new acme.Client({ directoryUrl: process.env.DIRECTORY, accountKey, accountUrl: url });
        const refused = await old.createOrder({ identifiers: [{ type: 'dns', value: 'a.test' }] })
            .then(() => 'an order', (error) => error.message);
        console.log(JSON.stringify({ step: 'changed', same: url === client.getAccountUrl(), refused }));
    }
    await certificate(client, ['a.test', 'www.a.test'], what === 'tls-alpn-01' ? what : 'http-01');
}

main(process.argv[2]).catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
