//! Revocation (§7.6).

use std::time::{Duration, Instant};

use chancery_jose::b64;
use chancery_pki::Crl;
use http::Method;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::Target;
use super::judge::{answered, hold, refused, refused_as};
use super::subscriber::Obtained;
use super::verdict::{Check, Outcome, Short};

/// From the answer to the CRL.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        102,
        "§7.6",
        "The issuing account, the certificate's key and an account that is authorized for all names revoke",
        three_may_revoke,
    ),
    Check::must(
        103,
        "§7.6",
        "Another account is 403 unauthorized",
        strangers_do_not_revoke,
    ),
    Check::must(
        104,
        "§7.6",
        "A second revocation is 400 alreadyRevoked",
        once_is_enough,
    ),
    Check::must(
        105,
        "§7.6",
        "A reason that is not allowed is badRevocationReason",
        bad_reasons_are_told,
    ),
    Check::should(
        106,
        "§7.6",
        "Without a reason the CRL has no reason either",
        no_reason_is_no_reason,
    ),
    Check::own(
        107,
        "§7.6",
        "A certificate of somebody else is refused",
        foreign_certificates_are_refused,
    ),
];

fn three_may_revoke(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    let own = account.issue(&[&target.name()])?;
    answered(
        &account.revoke(&own, None)?,
        "by the account that issued",
        &[200],
    )?;
    let second = account.issue(&[&target.name()])?;
    let url = target.url("revokeCert")?;
    let asked = second.revocation(None)?;
    let reply = target.draft(&second.key, &url, Some(&asked)).send()?;
    answered(&reply, "by the certificate's key", &[200])?;
    let (one, two) = (target.name(), target.name());
    let third = account.issue(&[&one, &two])?;
    other.ready_order(&[&one])?;
    let reply = other.revoke(&third, None)?;
    let what = "by an account that is authorized for one of two names";
    refused_as(&reply, what, &[], &["unauthorized"])?;
    other.ready_order(&[&two])?;
    let reply = other.revoke(&third, None)?;
    answered(
        &reply,
        "by another account that is authorized for all names",
        &[200],
    )
}

fn strangers_do_not_revoke(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    let obtained = account.issue(&[&target.name()])?;
    let reply = other.revoke(&obtained, None)?;
    refused_as(&reply, "by a stranger", &[403], &["unauthorized"])?;
    let url = target.url("revokeCert")?;
    let asked = obtained.revocation(None)?;
    let stranger = crate::new_key();
    let reply = target.draft(&stranger, &url, Some(&asked)).send()?;
    refused_as(&reply, "by a key of nobody", &[401, 403], &["unauthorized"])
}

fn once_is_enough(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let obtained = account.issue(&[&target.name()])?;
    answered(&account.revoke(&obtained, Some(4))?, "revocation", &[200])?;
    let reply = account.revoke(&obtained, Some(4))?;
    refused_as(&reply, "a second revocation", &[400], &["alreadyRevoked"])
}

fn bad_reasons_are_told(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let obtained = account.issue(&[&target.name()])?;
    // 7 is not assigned, the others are beyond the list.
    for reason in [7, 11, 99] {
        let reply = account.revoke(&obtained, Some(reason))?;
        let what = format!("reason {reason}");
        refused_as(&reply, &what, &[], &["badRevocationReason"])?;
    }
    let reply = account.revoke(&obtained, Some(1))?;
    answered(&reply, "a good reason after bad ones", &[200])
}

fn no_reason_is_no_reason(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let obtained = account.issue(&[&target.name()])?;
    if obtained.leaf()?.crl_urls().is_empty() {
        let why = "its certificates name no CRL";
        return Err(Short::NotOffered(why.to_owned()));
    }
    answered(&account.revoke(&obtained, None)?, "revocation", &[200])?;
    let reason = published(target, &obtained)?;
    hold(reason.is_none(), || {
        format!("the CRL says {}", reason.unwrap_or_default())
    })
}

/// The reason on the CRL once the certificate is there.
fn published(target: &Target, obtained: &Obtained) -> Result<Option<String>, Short> {
    let leaf = obtained.leaf()?;
    let url = leaf.crl_urls().first().cloned().unwrap_or_default();
    let deadline = Instant::now() + PUBLISHED_WITHIN;
    while Instant::now() < deadline {
        let reply = target.ask(Method::GET, &url)?;
        answered(&reply, "GET of the CRL", &[200])?;
        let crl = Crl::parse(reply.body.to_vec());
        let crl =
            crl.map_err(|error| Short::NotOffered(format!("its CRL is not read: {error}")))?;
        if let Some(entry) = crl.entries().find(|entry| entry.serial == leaf.serial()) {
            return Ok(entry.reason.map(|reason| reason.name().to_owned()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("a revoked certificate is not on its CRL within {PUBLISHED_WITHIN:?}").into())
}

fn foreign_certificates_are_refused(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let params = CertificateParams::new(vec![target.name()]);
    let own = params.and_then(|params| params.self_signed(&key));
    let own = own.map_err(|error| error.to_string())?;
    let url = target.url("revokeCert")?;
    let cases = [
        ("a certificate of another CA", own.der().to_vec()),
        ("octets that are no certificate", b"conform".to_vec()),
    ];
    for (what, der) in cases {
        let reply = account.send(&url, &json!({ "certificate": b64(&der) }))?;
        refused(&reply, what)?;
    }
    Ok(())
}
