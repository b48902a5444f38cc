//! Signed requests (§6.2).

use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_jose::b64;
use serde_json::{Value, json};

use super::draft::Draft;
use super::judge::{answered, elements, hold, kind, recommended, refused, refused_as, short};
use super::mac::hmac_sha256;
use super::subscriber::Subscriber;
use super::verdict::{Check, Outcome, Short};
use super::{Target, external_account, weak_rsa};

use crate::jws::{Parts, jwk};
use crate::new_key;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        7,
        "§6.2",
        "Nothing is done for a request whose signature does not verify",
        a_bad_signature_has_no_effect,
    ),
    Check::must(
        8,
        "§6.2",
        "Only the flattened JSON form of JWS is taken",
        other_forms_are_refused,
    ),
    Check::must(
        9,
        "§6.2",
        "More than one signature is refused",
        two_signatures_are_refused,
    ),
    Check::must(
        10,
        "§6.2",
        "An unprotected header is refused",
        an_unprotected_header_is_refused,
    ),
    Check::must(
        11,
        "§6.2",
        "An unencoded or detached payload is refused",
        other_payloads_are_refused,
    ),
    Check::must(
        12,
        "§6.2",
        "alg, nonce, url and a key have to be in the protected header",
        each_member_is_needed,
    ),
    Check::must(
        13,
        "§6.2",
        "alg `none` and MAC algorithms are refused",
        only_signatures_count,
    ),
    Check::must(
        14,
        "§6.2",
        "ES256 is accepted, and should be Ed25519",
        the_usual_algorithms_are_accepted,
    ),
    Check::must(
        15,
        "§6.2",
        "jwk and kid together are refused",
        two_names_for_the_key_are_refused,
    ),
    Check::must(
        16,
        "§6.2",
        "newAccount needs jwk, everything else kid",
        each_resource_has_its_way_to_name_keys,
    ),
    Check::must(
        17,
        "§6.2",
        "A kid that is no account is accountDoesNotExist",
        an_unknown_kid_is_told,
    ),
    Check::must(
        18,
        "§6.2",
        "An unknown alg is 400 badSignatureAlgorithm with the list of known ones",
        an_unknown_algorithm_is_told,
    ),
    Check::must(
        19,
        "§6.2",
        "A key that cannot be accepted, as RSA of 1024 bits (RFC 7518), is 400 badPublicKey",
        a_weak_key_is_told,
    ),
    Check::must(
        20,
        "§6.2",
        "Another media type than application/jose+json is 415",
        another_media_type_is_refused,
    ),
];

/// An account whose own object is asked for with requests that differ from an honest one in one thing.
fn probe(target: &Target) -> Result<Subscriber<'_>, Short> {
    let account = target.subscriber()?;
    let honest = account.read(&account.url)?;
    answered(&honest, "an honest POST-as-GET", &[200])?;
    Ok(account)
}

fn own<'a>(account: &'a Subscriber<'_>) -> Draft<'a> {
    account.draft(&account.url, None)
}

fn a_bad_signature_has_no_effect(target: &Target) -> Outcome {
    let (claimed, other) = (new_key(), new_key());
    let url = target.url("newAccount")?;
    let asked = json!({ "termsOfServiceAgreed": true });
    let forged = target.draft(&claimed, &url, Some(&asked)).forged_by(&other);
    refused(&forged.send()?, "newAccount signed by another key")?;
    let reply = target.register(&claimed, json!({ "onlyReturnExisting": true }))?;
    hold(kind(&reply) == "accountDoesNotExist", || {
        format!("after a forged newAccount: {}", short(&reply))
    })?;
    let account = probe(target)?;
    let changed = own(&account).shaped(|parts| {
        let payload = b64(br#"{"status":"deactivated"}"#);
        let parts = Parts {
            payload,
            ..parts.clone()
        };
        parts.flattened().into_bytes()
    });
    refused(&changed.send()?, "a payload changed after signing")?;
    answered(
        &account.read(&account.url)?,
        "the account after a forged deactivation",
        &[200],
    )
}

fn other_forms_are_refused(target: &Target) -> Outcome {
    let account = probe(target)?;
    let compact = |parts: &Parts| {
        let Parts {
            protected,
            payload,
            signature,
        } = parts;
        format!("{protected}.{payload}.{signature}")
    };
    refused(&own(&account).written(compact).send()?, "the compact form")?;
    let reply = own(&account).written(|parts| general(parts, 1)).send()?;
    refused(&reply, "the general form")
}

fn two_signatures_are_refused(target: &Target) -> Outcome {
    let account = probe(target)?;
    let reply = own(&account).written(|parts| general(parts, 2)).send()?;
    refused(&reply, "two signatures")?;
    let reply = own(&account)
        .written(|parts| {
            let Parts {
                protected,
                signature,
                ..
            } = parts;
            let second = format!(r#"[{{"protected":"{protected}","signature":"{signature}"}}]"#);
            with_member(parts, &format!(r#""signatures":{second}"#))
        })
        .send()?;
    refused(&reply, "signatures beside signature")
}

fn general(parts: &Parts, count: usize) -> String {
    let Parts {
        protected,
        payload,
        signature,
    } = parts;
    let one = format!(r#"{{"protected":"{protected}","signature":"{signature}"}}"#);
    let all = vec![one; count].join(",");
    format!(r#"{{"payload":"{payload}","signatures":[{all}]}}"#)
}

fn with_member(parts: &Parts, member: &str) -> String {
    let flattened = parts.flattened();
    format!("{},{member}}}", flattened.trim_end_matches('}'))
}

fn an_unprotected_header_is_refused(target: &Target) -> Outcome {
    let account = probe(target)?;
    let members = [
        r#""header":{"conform":"1"}"#.to_owned(),
        format!(r#""header":{{"url":"{}"}}"#, account.url),
    ];
    for member in members {
        let draft = own(&account).written(|parts| with_member(parts, &member));
        refused(&draft.send()?, &member)?;
    }
    let url = account.url.clone();
    let moved = own(&account)
        .without("url")
        .written(|parts| with_member(parts, &format!(r#""header":{{"url":"{url}"}}"#)));
    refused(&moved.send()?, "the url in the unprotected header only")
}

fn other_payloads_are_refused(target: &Target) -> Outcome {
    let account = probe(target)?;
    let unencoded = own(&account)
        .with("b64", json!(false))
        .with("crit", json!(["b64"]))
        .saying(b"{}")
        .shaped(|parts| {
            let signed = Parts::of_encoded(&account.key, parts.protected.clone(), "{}".to_owned());
            signed.flattened().into_bytes()
        });
    refused(&unencoded.send()?, "b64 false with the payload as it is")?;
    let claimed = own(&account)
        .with("b64", json!(false))
        .with("crit", json!(["b64"]));
    refused(&claimed.send()?, "b64 false")?;
    let detached = own(&account).saying(b"{}").written(|parts| {
        let Parts {
            protected,
            signature,
            ..
        } = parts;
        format!(r#"{{"protected":"{protected}","signature":"{signature}"}}"#)
    });
    refused(&detached.send()?, "a payload that is not in the message")
}

fn each_member_is_needed(target: &Target) -> Outcome {
    let account = probe(target)?;
    for member in ["alg", "url", "kid"] {
        let reply = own(&account).without(member).send()?;
        refused(&reply, &format!("no {member}"))?;
    }
    let without = own(&account).nonce(super::draft::Nonce::Missing);
    refused(&without.send()?, "no nonce")
}

fn only_signatures_count(target: &Target) -> Outcome {
    let account = probe(target)?;
    let unsigned = own(&account).with("alg", json!("none")).shaped(|parts| {
        let parts = Parts {
            signature: String::new(),
            ..parts.clone()
        };
        parts.flattened().into_bytes()
    });
    refused(&unsigned.send()?, "alg none")?;
    let secret = jwk(&account.key);
    for name in ["HS256", "HS384", "HS512"] {
        let keyed = own(&account).with("alg", json!(name)).shaped(|parts| {
            let input = format!("{}.{}", parts.protected, parts.payload);
            let signature = b64(&hmac_sha256(secret.as_bytes(), input.as_bytes()));
            let parts = Parts {
                signature,
                ..parts.clone()
            };
            parts.flattened().into_bytes()
        });
        refused(&keyed.send()?, name)?;
    }
    Ok(())
}

fn the_usual_algorithms_are_accepted(target: &Target) -> Outcome {
    let has_account = |kind: KeyKind| {
        let key = PrivateKey::generate(kind).map_err(|error| error.to_string())?;
        let reply = target.register(&key, json!({}))?;
        answered(&reply, &format!("an account with {kind:?}"), &[201])
    };
    has_account(KeyKind::Ec(Curve::P256))?;
    recommended(has_account(KeyKind::Ed25519))
}

fn two_names_for_the_key_are_refused(target: &Target) -> Outcome {
    let account = probe(target)?;
    let jwk: Value = serde_json::from_str(&jwk(&account.key)).unwrap_or_default();
    let reply = own(&account).with("jwk", jwk).send()?;
    refused(&reply, "jwk and kid")
}

fn each_resource_has_its_way_to_name_keys(target: &Target) -> Outcome {
    let account = probe(target)?;
    let new_account = target.url("newAccount")?;
    let asked = json!({ "termsOfServiceAgreed": true });
    let by_kid = account.draft(&new_account, Some(&asked));
    refused(&by_kid.send()?, "newAccount with kid")?;
    let by_key = target.draft(&account.key, &account.url, None);
    refused(&by_key.send()?, "the account with jwk")?;
    let new_order = target.url("newOrder")?;
    let wanted = super::subscriber::wanted(&[&target.name()]);
    let by_key = target.draft(&account.key, &new_order, Some(&wanted));
    refused(&by_key.send()?, "newOrder with jwk")
}

fn an_unknown_kid_is_told(target: &Target) -> Outcome {
    let account = probe(target)?;
    let unknown = format!("{}0", account.url);
    let reply = own(&account).with("kid", json!(unknown)).send()?;
    refused_as(&reply, "an unknown kid", &[], &["accountDoesNotExist"])
}

fn an_unknown_algorithm_is_told(target: &Target) -> Outcome {
    let account = probe(target)?;
    let reply = own(&account).with("alg", json!("XX256")).send()?;
    refused_as(&reply, "alg XX256", &[400], &["badSignatureAlgorithm"])?;
    let object = reply.json();
    let known = elements(&object["algorithms"]);
    let named = !known.is_empty() && known.iter().all(Value::is_string);
    hold(named, || {
        format!(
            "algorithms is {}, not a list of names",
            object["algorithms"]
        )
    })
}

fn a_weak_key_is_told(target: &Target) -> Outcome {
    let key = new_key();
    let url = target.url("newAccount")?;
    let mut asked = json!({ "termsOfServiceAgreed": true });
    if let Some(credential) = &target.credential {
        let jwk = weak_rsa::jwk().to_string();
        asked["externalAccountBinding"] = external_account::binding(credential, &jwk, &url);
    }
    let weak = target
        .draft(&key, &url, Some(&asked))
        .with("alg", json!("RS256"))
        .with("jwk", weak_rsa::jwk())
        .shaped(|parts| {
            let input = format!("{}.{}", parts.protected, parts.payload);
            let signature = b64(&weak_rsa::sign(input.as_bytes()));
            let parts = Parts {
                signature,
                ..parts.clone()
            };
            parts.flattened().into_bytes()
        });
    let reply = weak.send()?;
    refused_as(&reply, "an RSA key of 1024 bits", &[400], &["badPublicKey"])?;
    recommended(hold(!reply.detail().is_empty(), || {
        "badPublicKey does not say what is wrong with the key".to_owned()
    }))
}

fn another_media_type_is_refused(target: &Target) -> Outcome {
    let account = probe(target)?;
    for media_type in ["application/json", "application/jose", "text/plain"] {
        let reply = own(&account).typed(media_type).send()?;
        answered(&reply, media_type, &[415])?;
    }
    Ok(())
}
