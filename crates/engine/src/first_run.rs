//! First run: root, issuing CA, URL key. Made once; a second start finds it.

use chancery_authority::id::IssuerId;
use chancery_authority::issuer::{CRL_SHARDS, Issuer};
use chancery_authority::setting::Setting;
use chancery_authority::{Change, Outcome, Store, StoreError};
use chancery_crypto::{Curve, Entropy, KeyKind};
use chancery_pki::{ExtKeyUsage, UnixTime};
use chancery_signer::{CaSpec, CallError, FirstRun, IssuerSpec, SignerClient};

const YEAR_SECS: u64 = 365 * 24 * 3600 + 24 * 3600 / 4;

/// The root lives long: replacing it means touching every client.
const ROOT_LIFETIME_SECS: u64 = 20 * YEAR_SECS;

/// The issuing CA is replaced at leisure, well inside the root's life.
const ISSUER_LIFETIME_SECS: u64 = 10 * YEAR_SECS;

/// Numbers of the first two issuers.
const ROOT: IssuerId = IssuerId(1);
const FIRST_ISSUER: IssuerId = IssuerId(2);

/// What is to be made.
#[derive(Debug, Clone)]
pub struct FirstRunPlan {
    /// The organisation's name, part of both CA names.
    pub organization: String,
    /// Base of CRL and issuer URLs, frozen into every certificate.
    pub status_url: String,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The trust anchor, DER.
    pub root: Vec<u8>,
}

/// Why the first run did not end.
#[derive(Debug, thiserror::Error)]
pub enum FirstRunError {
    /// The signer could not make the keys or certificates.
    #[error("the signer could not make the CA: {0}")]
    Signer(#[from] CallError),
    /// The store could not record them.
    #[error("the new CA could not be recorded: {0}")]
    Store(#[from] StoreError),
    /// The store has issuers already.
    #[error("the store has issuers already")]
    NotEmpty,
    /// The signer answered without the certificates that were asked for.
    #[error("the signer made no root or no issuer")]
    Incomplete,
}

/// Has the signer make root and issuer, and records them in an empty store.
///
/// # Errors
/// [`FirstRunError`].
pub async fn first_run(
    store: &dyn Store,
    signer: &SignerClient,
    now: UnixTime,
    entropy: &dyn Entropy,
    plan: &FirstRunPlan,
) -> Result<Made, FirstRunError> {
    if !store.issuers().await?.is_empty() {
        return Err(FirstRunError::NotEmpty);
    }
    let mut root = Issuer {
        id: ROOT,
        version: 1,
        certificate: Vec::new(),
        chain: Vec::new(),
        root: Vec::new(),
        crl_shards: 1,
        status_url: plan.status_url.clone(),
        created: now,
    };
    let made = signer.first_run(spec(&root, plan)).await?;
    let root_der = made
        .iter()
        .find(|info| info.root)
        .map(|info| info.certificate.clone())
        .ok_or(FirstRunError::Incomplete)?;
    let issuer_der = made
        .iter()
        .find(|info| !info.root)
        .map(|info| info.certificate.clone())
        .ok_or(FirstRunError::Incomplete)?;
    root.certificate.clone_from(&root_der);
    root.root.clone_from(&root_der);
    let issuer = Issuer {
        id: FIRST_ISSUER,
        certificate: issuer_der.clone(),
        chain: vec![issuer_der.into()],
        crl_shards: CRL_SHARDS,
        ..root.clone()
    };
    let mut url_key = [0; 16];
    entropy.fill(&mut url_key);
    let change = Change::initialised(now, vec![root, issuer], vec![Setting::url_key(url_key)]);
    match store.apply(change).await? {
        Outcome::Applied => Ok(Made { root: root_der }),
        Outcome::Conflict => Err(FirstRunError::NotEmpty),
    }
}

fn spec(root: &Issuer, plan: &FirstRunPlan) -> FirstRun {
    let key = KeyKind::Ec(Curve::P256);
    let ca = |role: &str, lifetime_secs| CaSpec {
        common_name: format!("{} {role}", plan.organization),
        organization: Some(plan.organization.clone()),
        key,
        lifetime_secs,
    };
    FirstRun {
        root: ca("Root CA", ROOT_LIFETIME_SECS),
        issuers: vec![IssuerSpec {
            name: "issuer-1".to_owned(),
            ca: ca("Issuing CA 1", ISSUER_LIFETIME_SECS),
            crl_url: root.crl_url(0),
            ca_issuers_url: root.certificate_url(),
            ext_key_usages: vec![ExtKeyUsage::ServerAuth, ExtKeyUsage::ClientAuth],
        }],
    }
}
