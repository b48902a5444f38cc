//! Downloading certificates (§7.4.2).

use chancery_pki::{Certificate, pem};
use http::Method;

use super::Target;
use super::judge::{answered, hold, links, recommended, refused, short};
use super::verdict::{Check, Outcome, Short};

/// Certificates in one chain.
const CHAIN_MAX: usize = 8;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        91,
        "§7.4.2",
        "A certificate comes as a PEM chain, leaf first and nothing else; each should be certified by the next",
        a_chain_is_strict_pem,
    ),
    Check::should(
        92,
        "§7.4.2",
        "Alternate chains have the same leaf",
        alternates_have_the_same_leaf,
    ),
    Check::own(
        93,
        "§7.4.2",
        "A certificate can be downloaded after its revocation",
        a_revoked_certificate_is_still_there,
    ),
    Check::own(
        95,
        "§7.4.2",
        "A certificate is downloaded by its account only",
        a_download_is_for_the_owner,
    ),
];

fn a_chain_is_strict_pem(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let obtained = account.issue(&[&target.name()])?;
    let reply = account.look(&obtained.url)?;
    let media_type = reply.header("content-type");
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    hold(essence == "application/pem-certificate-chain", || {
        format!("the chain is said to be {media_type:?}")
    })?;
    let text = reply.text();
    let outside = outside_of_blocks(&text);
    hold(outside.is_empty(), || {
        format!("beside its blocks the chain has {outside:?}")
    })?;
    let own =
        obtained.leaf()?.spki().as_der() == chancery_pki::Spki::of(obtained.key.public()).as_der();
    hold(own, || {
        "the first certificate is not for our key".to_owned()
    })?;
    for pair in obtained.chain.windows(2) {
        let [below, above] = pair else { continue };
        let parse = |der: &[u8]| Certificate::parse(der).map_err(|error| error.to_string());
        let (below, above) = (parse(below)?, parse(above)?);
        let certified = below.issuer_der() == above.subject_der()
            && below.verify_signed_by(above.spki().key()).is_ok();
        recommended(hold(certified, || {
            "the next certificate did not sign the one before".to_owned()
        }))?;
    }
    Ok(())
}

/// The first line that is neither in a block of a certificate nor empty.
fn outside_of_blocks(text: &str) -> String {
    let mut inside = false;
    for line in text.lines() {
        match line {
            "-----BEGIN CERTIFICATE-----" => inside = true,
            "-----END CERTIFICATE-----" => inside = false,
            "" => {}
            _ if inside => {}
            _ => return line.to_owned(),
        }
    }
    String::new()
}

fn alternates_have_the_same_leaf(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let obtained = account.issue(&[&target.name()])?;
    let alternates = links(&account.look(&obtained.url)?, "alternate");
    if alternates.is_empty() {
        return Err(Short::NotOffered("there is one chain only".to_owned()));
    }
    for url in alternates {
        let reply = account.look(&url)?;
        let chain = pem::decode(&reply.text(), "CERTIFICATE", CHAIN_MAX);
        let chain = chain.map_err(|error| format!("an alternate chain is not PEM: {error}"))?;
        hold(chain.first() == obtained.chain.first(), || {
            format!("{url} has another leaf")
        })?;
        hold(chain != obtained.chain, || {
            format!("{url} is the same chain")
        })?;
    }
    Ok(())
}

fn a_revoked_certificate_is_still_there(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let obtained = account.issue(&[&target.name()])?;
    answered(&account.revoke(&obtained, None)?, "revocation", &[200])?;
    let reply = account.read(&obtained.url)?;
    answered(&reply, "a revoked certificate", &[200])
}

fn a_download_is_for_the_owner(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    let obtained = account.issue(&[&target.name()])?;
    refused(&other.read(&obtained.url)?, "a download by another account")?;
    let reply = target.ask(Method::GET, &obtained.url)?;
    hold(reply.status >= 400, || {
        format!("a download by GET: {}", short(&reply))
    })
}
