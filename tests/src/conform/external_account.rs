//! External account binding (§7.3.4).

use std::sync::Barrier;

use chancery_jose::{b64, unb64};
use serde_json::{Value, json};

use super::judge::{answered, hold, kind, recommended, refused, refused_as, short};
use super::mac::hmac_sha256;
use super::verdict::{Check, Outcome, Short};
use super::{Credential, Target};
use crate::jws::jwk;
use crate::new_key;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        66,
        "§7.3.4",
        "Where an external account is required, newAccount without one is refused, and should be as externalAccountRequired",
        a_required_binding_is_asked_for,
    ),
    Check::must(
        67,
        "§7.3.4",
        "A binding that is wrong in anything makes no account",
        a_wrong_binding_is_refused,
    ),
    Check::must(
        68,
        "§7.3.4",
        "A verified binding is repeated as it came, another is not",
        only_a_verified_binding_is_repeated,
    ),
    Check::must(
        69,
        "§7.3.4",
        "Key identifiers are ASCII, and keys should come in base64url",
        credentials_are_text,
    ),
    Check::own(
        70,
        "§7.3.4",
        "A credential for one use makes one account, however many ask at once",
        one_use_is_one_account,
    ),
];

/// The inner message, every part of which can be another than it should be.
struct Inner<'a> {
    header: Value,
    payload: String,
    secret: &'a [u8],
}

impl Inner<'_> {
    fn signed(&self) -> Value {
        let protected = b64(self.header.to_string().as_bytes());
        let payload = b64(self.payload.as_bytes());
        let input = format!("{protected}.{payload}");
        let signature = b64(&hmac_sha256(self.secret, input.as_bytes()));
        json!({ "protected": protected, "payload": payload, "signature": signature })
    }
}

/// What binds the account of a key, a JWK, to an external one.
pub(super) fn binding(credential: &Credential, jwk: &str, url: &str) -> Value {
    let secret = unb64(&credential.key).unwrap_or_default();
    let inner = Inner {
        header: json!({ "alg": "HS256", "kid": credential.kid, "url": url }),
        payload: jwk.to_owned(),
        secret: &secret,
    };
    inner.signed()
}

fn credential(target: &Target) -> Result<&Credential, Short> {
    let none = || Short::NotOffered("no external account was given".to_owned());
    target.credential.as_ref().ok_or_else(none)
}

fn a_required_binding_is_asked_for(target: &Target) -> Outcome {
    if target.directory("meta")["externalAccountRequired"] != true {
        return Err(Short::NotOffered("it needs no external account".to_owned()));
    }
    let key = new_key();
    let url = target.url("newAccount")?;
    let asked = json!({ "termsOfServiceAgreed": true });
    let reply = target.draft(&key, &url, Some(&asked)).send()?;
    let what = "newAccount without a binding";
    refused(&reply, what)?;
    let kinds = ["externalAccountRequired"];
    recommended(refused_as(&reply, what, &[], &kinds))
}

fn a_wrong_binding_is_refused(target: &Target) -> Outcome {
    let credential = credential(target)?;
    let secret = unb64(&credential.key).map_err(|error| error.to_string())?;
    let url = target.url("newAccount")?;
    let (key, other) = (new_key(), new_key());
    let header = |alg: &str, kid: &str, url: &str| json!({ "alg": alg, "kid": kid, "url": url });
    let good = header("HS256", &credential.kid, &url);
    let with_nonce = json!({
        "alg": "HS256", "kid": credential.kid, "url": url, "nonce": target.fresh_nonce()?,
    });
    let elsewhere = header("HS256", &credential.kid, "https://elsewhere.test/");
    let cases: [(&str, Value, String, &[u8]); 6] = [
        ("another secret", good.clone(), jwk(&key), b"another secret"),
        ("another account's key", good, jwk(&other), &secret),
        ("another URL", elsewhere, jwk(&key), &secret),
        (
            "an unknown kid",
            header("HS256", "conform-nobody", &url),
            jwk(&key),
            &secret,
        ),
        (
            "alg none",
            header("none", &credential.kid, &url),
            jwk(&key),
            &secret,
        ),
        ("a nonce", with_nonce, jwk(&key), &secret),
    ];
    for (what, header, payload, secret) in cases {
        let inner = Inner {
            header,
            payload,
            secret,
        };
        let more = json!({ "externalAccountBinding": inner.signed() });
        refused(
            &target.register(&key, more)?,
            &format!("a binding with {what}"),
        )?;
        let only = json!({ "onlyReturnExisting": true });
        let found = target.register(&key, only)?;
        hold(kind(&found) == "accountDoesNotExist", || {
            format!("after a binding with {what}: {}", short(&found))
        })?;
    }
    let more = json!({ "externalAccountBinding": binding(credential, &jwk(&key), &url) });
    answered(&target.register(&key, more)?, "the right binding", &[201])
}

fn only_a_verified_binding_is_repeated(target: &Target) -> Outcome {
    let key = new_key();
    let url = target.url("newAccount")?;
    let Some(credential) = &target.credential else {
        let nobody = Credential {
            kid: "conform-nobody".to_owned(),
            key: b64(b"a secret that no server gave to anybody"),
        };
        let more = json!({ "externalAccountBinding": binding(&nobody, &jwk(&key), &url) });
        let object = target.register(&key, more)?.json();
        // Refused, or made without looking at it: both are right.
        return hold(object.get("externalAccountBinding").is_none(), || {
            "a binding that nobody verified is repeated".to_owned()
        });
    };
    let sent = binding(credential, &jwk(&key), &url);
    let more = json!({ "externalAccountBinding": sent });
    let reply = target.register(&key, more)?;
    answered(&reply, "newAccount with a binding", &[201])?;
    let repeated = &reply.json()["externalAccountBinding"];
    hold(*repeated == sent, || {
        format!("the binding is repeated as {repeated}")
    })
}

fn credentials_are_text(target: &Target) -> Outcome {
    let credential = credential(target)?;
    hold(credential.kid.is_ascii(), || {
        format!("the key identifier is {:?}", credential.kid)
    })?;
    let is_encoded = unb64(&credential.key).is_ok();
    recommended(hold(is_encoded, || {
        "the key is not in base64url".to_owned()
    }))
}

fn one_use_is_one_account(target: &Target) -> Outcome {
    let operator = target.operator.as_ref();
    let Some(credential) = operator.and_then(|it| it.single_use_credential()) else {
        let why = "only an operator can give a credential for one use, and none helps here";
        return Err(Short::NotOffered(why.to_owned()));
    };
    let url = target.url("newAccount")?;
    let start = Barrier::new(2);
    let send = || {
        let key = new_key();
        let more = json!({ "externalAccountBinding": binding(&credential, &jwk(&key), &url) });
        start.wait();
        target.register(&key, more)
    };
    let replies = std::thread::scope(|scope| {
        [scope.spawn(send), scope.spawn(send)].map(|thread| thread.join())
    });
    let mut made = 0;
    for reply in replies {
        let reply = reply.map_err(|_| "a thread ended".to_owned())??;
        made += u32::from(reply.status == 201);
    }
    hold(made == 1, || format!("{made} of two accounts were made"))
}
