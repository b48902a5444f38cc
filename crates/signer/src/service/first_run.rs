use std::collections::BTreeSet;

use chancery_crypto::{Entropy, PrivateKey, SystemEntropy};
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::tbs::{self, CaRequest};
use chancery_pki::{Serial, Spki, UnixTime, lint};

use super::Service;
use crate::SignerError;
use crate::journal::{CaIntent, Entry, Signature};
use crate::keys::{self, Issuer, Keyring};
use crate::protocol::{CaSpec, FirstRun, IssuerInfo, IssuerSpec, Refusal, short};

/// What the root's files are called.
const ROOT_NAME: &str = "root";
/// More issuers than that are made later, one by one.
const ISSUERS_MAX: usize = 16;
/// How far CA certificates reach into the past, at least: for clients whose clock is behind.
const BACKDATE_SECS_MIN: u64 = 3_600;

/// Refused, or not survived.
enum Failure {
    Refused(Refusal),
    Fatal(SignerError),
}

impl From<SignerError> for Failure {
    fn from(error: SignerError) -> Self {
        Self::Fatal(error)
    }
}

impl Failure {
    fn cannot(why: impl std::fmt::Display) -> Self {
        Self::Refused(Refusal::CannotMake { detail: short(why) })
    }
}

impl Service {
    /// Makes root and issuers. Their keys are made here and leave only as sealed files; those appear all at once, at the end,
    /// so a first run that is interrupted is simply done again.
    pub(crate) fn first_run(
        &mut self,
        now: UnixTime,
        spec: &FirstRun,
    ) -> Result<Result<Vec<IssuerInfo>, Refusal>, SignerError> {
        match self.make(now, spec) {
            Ok(infos) => Ok(Ok(infos)),
            Err(Failure::Refused(refusal)) => Ok(Err(refusal)),
            Err(Failure::Fatal(error)) => Err(error),
        }
    }

    fn make(&mut self, now: UnixTime, spec: &FirstRun) -> Result<Vec<IssuerInfo>, Failure> {
        if self.keys.is_some() {
            return Err(Failure::Refused(Refusal::AlreadyMade));
        }
        self.check_clock(now).map_err(Failure::Refused)?;
        check_names(spec).map_err(Failure::cannot)?;
        let root = self.make_one(now, ROOT_NAME, &spec.root, None)?;
        let mut made = Vec::new();
        for issuer in &spec.issuers {
            made.push(self.make_one(now, &issuer.name, &issuer.ca, Some((issuer, &root)))?);
        }
        made.push(root);
        self.journal.sync()?;
        let keyring = Keyring::new(made);
        keyring.store(&self.config.data, &self.config.secret)?;
        let infos = keyring.infos();
        self.keys = Some(keyring);
        Ok(infos)
    }

    /// Makes one key and its certificate, signed by itself or by the root.
    fn make_one(
        &mut self,
        now: UnixTime,
        name: &str,
        spec: &CaSpec,
        under: Option<(&IssuerSpec, &Issuer)>,
    ) -> Result<Issuer, Failure> {
        let key = PrivateKey::generate(spec.key).map_err(SignerError::from)?;
        let spki = Spki::of(key.public());
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        let not_before = now.minus(self.ca_backdate_secs());
        let issuer = under.map(|(_, issuer)| &issuer.certificate);
        let request = CaRequest {
            subject_cn: &spec.common_name,
            organization: spec.organization.as_deref(),
            serial: Serial::new(now, random),
            not_before,
            not_after: not_before.plus(spec.lifetime_secs.max(1)).minus(1),
            spki: &spki,
            issuer,
            // Nothing but leaf certificates stands below an issuer.
            path_len: under.map(|_| 0),
            urls: under.map(|(of, _)| (of.crl_url.as_str(), of.ca_issuers_url.as_str())),
            ext_key_usages: under
                .map(|(of, _)| of.ext_key_usages.clone())
                .unwrap_or_default(),
        };
        let serial = request.serial;
        let tbs = tbs::ca(&request).map_err(Failure::cannot)?;
        lint::lint_ca(&tbs, issuer).map_err(Failure::cannot)?;
        let tbs = tbs.into_der();
        let intent = CaIntent {
            name: name.to_owned(),
            root: under.is_none(),
            serial,
            tbs: tbs.clone(),
        };
        let sequence = self.journal.append(now, &Entry::CaIntent(intent))?;
        self.journal.sync()?;
        let form = chancery_crypto::SignatureForm::Der;
        let (signature, algorithm) = match under {
            None => (key.sign(form, &tbs), key.algorithm()),
            Some((_, root)) => (root.sign(&tbs), root.certificate.signature_algorithm()),
        };
        let signature = signature.map_err(SignerError::from)?;
        let entry = Signature {
            intent: sequence,
            signature: signature.clone(),
        };
        self.journal.append(now, &Entry::CaSignature(entry))?;
        let certificate = IssuerCertificate::parse(&tbs::assemble(&tbs, algorithm, &signature))
            .map_err(Failure::cannot)?;
        Issuer::new(name, certificate, key).map_err(Failure::cannot)
    }

    /// Leaf certificates are backdated and must lie within their issuer's validity, from the first one on.
    fn ca_backdate_secs(&self) -> u64 {
        let of_leaves = self
            .profiles
            .iter()
            .map(|known| known.profile.backdate_secs)
            .max();
        of_leaves.unwrap_or(0).max(BACKDATE_SECS_MIN)
    }
}

fn check_names(spec: &FirstRun) -> Result<(), String> {
    if spec.issuers.is_empty() || spec.issuers.len() > ISSUERS_MAX {
        return Err(format!(
            "{} issuers are asked for; 1 to {ISSUERS_MAX} can be",
            spec.issuers.len()
        ));
    }
    let mut names = BTreeSet::from([ROOT_NAME]);
    for issuer in &spec.issuers {
        if !keys::is_name(&issuer.name) || !names.insert(&issuer.name) {
            return Err("an issuer's name is taken, or is not 1 to 32 lower-case letters, digits and hyphens".into());
        }
    }
    Ok(())
}
