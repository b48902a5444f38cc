// acme-client (npm) as a program would use it: register, certificates by http-01 and dns-01, revoke, deactivate.
// DIRECTORY and HOOK_PORT come from the test. Each step prints one line of JSON.

'use strict';

const acme = require('acme-client');
const hook = require('./hook.js');

async function certificate(client, keyOf, altNames, challenge) {
    const [key, csr] = await acme.crypto.createCsr({ altNames }, await keyOf());
    const lines = {
        'http-01': {
            put: (authz, c, proof) => `http+ ${c.token} ${proof}`,
            take: (authz, c) => `http- ${c.token}`,
        },
        'dns-01': {
            put: (authz, c, proof) => `txt+ ${authz.identifier.value} ${proof}`,
            take: (authz, c, proof) => `txt- ${authz.identifier.value} ${proof}`,
        },
    };
    const chain = await client.auto({
        csr,
        email: 'admin@a.test',
        termsOfServiceAgreed: true,
        challengePriority: [challenge],
        skipChallengeVerification: true,
        challengeCreateFn: (authz, c, proof) => hook(lines[c.type].put(authz, c, proof)),
        challengeRemoveFn: (authz, c, proof) => hook(lines[c.type].take(authz, c, proof)),
    });
    console.log(JSON.stringify({ step: 'certificate', names: altNames, key: key.toString(), chain }));
    return chain;
}

async function main() {
    for (const [kind, accountKey] of [
        ['ECDSA', await acme.crypto.createPrivateEcdsaKey()],
        ['RSA', await acme.crypto.createPrivateRsaKey()],
    ]) {
        const client = new acme.Client({
            directoryUrl: process.env.DIRECTORY,
            accountKey,
            backoffAttempts: 30,
            backoffMin: 100,
            backoffMax: 1000,
        });
        await client.createAccount({ termsOfServiceAgreed: true, contact: ['mailto:admin@a.test'] });
        await client.updateAccount({ contact: ['mailto:other@a.test'] });
        console.log(JSON.stringify({ step: 'account', kind, url: client.getAccountUrl() }));

        await certificate(client, acme.crypto.createPrivateEcdsaKey, ['a.test', 'www.a.test'], 'http-01');
        const rsa = await certificate(client, acme.crypto.createPrivateRsaKey, ['b.test'], 'http-01');
        await certificate(client, acme.crypto.createPrivateEcdsaKey, ['*.c.test', 'c.test'], 'dns-01');

        await client.revokeCertificate(rsa, { reason: 4 });
        console.log(JSON.stringify({ step: 'revoked', chain: rsa }));

        const ended = await client.updateAccount({ status: 'deactivated' });
        const refused = await client.createOrder({ identifiers: [{ type: 'dns', value: 'a.test' }] })
            .then(() => 'an order', (error) => error.message);
        console.log(JSON.stringify({ step: 'deactivated', status: ended.status, refused }));
    }
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
