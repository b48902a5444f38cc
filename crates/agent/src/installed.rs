use std::collections::BTreeSet;
use std::path::PathBuf;

use chancery_pki::{Certificate, San, Serial, UnixTime};

use crate::CertName;
use crate::due::Due;
use crate::state::CertificateRecord;

/// A certificate whose files are in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// What it is called on this machine.
    pub name: CertName,
    /// The names that it carries.
    pub names: BTreeSet<San>,
    /// Its serial number.
    pub serial: Serial,
    /// The first second of its life.
    pub not_before: UnixTime,
    /// The last second of its life.
    pub not_after: UnixTime,
    /// When it is going to be renewed.
    pub renew_at: UnixTime,
    /// The folder with `privkey.pem`, `cert.pem`, `chain.pem` and `fullchain.pem`; the path stays the same.
    pub folder: PathBuf,
    /// Which generation of the files it is; `None` where somebody put plain files there.
    pub generation: Option<u32>,
    /// Whether it was obtained now; `false` where the one that was there is still good.
    pub is_new: bool,
}

impl Installed {
    pub(crate) fn of(
        name: &CertName,
        leaf: &Certificate,
        record: &CertificateRecord,
        folder: PathBuf,
        generation: Option<u32>,
    ) -> Self {
        Self {
            name: name.clone(),
            names: leaf.sans().iter().cloned().collect(),
            serial: leaf.serial(),
            not_before: leaf.not_before(),
            not_after: leaf.not_after(),
            renew_at: Due::of(leaf, record).at,
            folder,
            generation,
            is_new: true,
        }
    }
}
