//! The bench on which requests are tried that differ from an honest one in one thing.

use chancery_tests::jws::{Parts, header};
use chancery_tests::{Account, Authority, Client};
use serde_json::Value;

/// What any of these may be answered with.
const ANSWERS: [&str; 6] = [
    "400 malformed",
    "400 badSignatureAlgorithm",
    "400 badPublicKey",
    "400 badNonce",
    "403 unauthorized",
    "413 malformed",
];

/// One account that everything is tried with, and the object it is tried on.
pub(super) struct Bench<'c> {
    pub(super) client: &'c Client,
    pub(super) account: Account<'c>,
}

impl Bench<'_> {
    pub(super) fn header(&self) -> Value {
        header(
            &self.account.key,
            &self.account.url,
            &self.client.nonce(),
            &self.account.url,
        )
    }

    pub(super) fn parts(&self) -> Parts {
        Parts::signed(&self.account.key, &self.header().to_string(), b"")
    }

    /// With the header changed and then signed.
    pub(super) fn with(&self, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
        let mut header = self.header();
        change(header.as_object_mut().expect("an object"));
        self.signed(&header.to_string())
    }

    pub(super) fn signed(&self, header: &str) -> String {
        Parts::signed(&self.account.key, header, b"").flattened()
    }

    pub(super) fn refused(&self, case: &str, body: String, expected: &str) {
        let reply = self.client.post(&self.account.url, body);
        assert!(
            ANSWERS.contains(&expected),
            "{expected} is one of the answers"
        );
        assert_eq!(reply.in_short(), expected, "{case}: {}", reply.detail());
        assert!(
            !reply.header("replay-nonce").is_empty(),
            "{case}: a fresh nonce comes with it"
        );
    }
}

/// Tries things, and looks whether the authority has kept its calm. What is tried tells how many refusals there were.
pub(super) fn story(tries: impl FnOnce(&Bench<'_>, &Authority) -> usize) {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let bench = Bench {
        client: &client,
        account,
    };
    let honest = || {
        bench
            .client
            .post(&bench.account.url, bench.parts().flattened())
    };
    assert_eq!(
        honest().status,
        200,
        "what is tried differs from this in one thing"
    );
    let calm = authority.calm();
    let refused = tries(&bench, &authority);
    calm.holds_and_counted(&authority, refused);
    assert_eq!(honest().status, 200, "the account is none the worse for it");
}
