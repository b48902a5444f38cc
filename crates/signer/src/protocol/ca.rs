use chancery_crypto::KeyKind;
use chancery_pki::ExtKeyUsage;
use minicbor::{Decode, Encode};

use super::codec;
use crate::journal::IssuerKeyId;

/// A CA certificate with a key in the signer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IssuerInfo {
    /// What its files are called.
    #[n(0)]
    pub name: String,
    /// Whether it is the root; a root signs CRLs but no leaf.
    #[n(1)]
    pub root: bool,
    /// Its key identifier.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub key_id: IssuerKeyId,
    /// The certificate, DER.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
}

/// The CA to be made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FirstRun {
    /// The trust anchor.
    #[n(0)]
    pub root: CaSpec,
    /// What issues under it; its files are called after [`IssuerSpec::name`].
    #[n(1)]
    pub issuers: Vec<IssuerSpec>,
}

/// Name, key and lifetime of one CA certificate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CaSpec {
    /// Its common name.
    #[n(0)]
    pub common_name: String,
    /// Its organisation.
    #[n(1)]
    pub organization: Option<String>,
    /// The key to be generated.
    #[n(2)]
    #[cbor(with = "codec::key_kind")]
    pub key: KeyKind,
    /// How long it is valid, in seconds.
    #[n(3)]
    pub lifetime_secs: u64,
}

/// One issuing CA under the root.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IssuerSpec {
    /// What its files are called: lower-case letters, digits and hyphens, not `root`.
    #[n(0)]
    pub name: String,
    /// Its certificate.
    #[n(1)]
    pub ca: CaSpec,
    /// The purposes that its leaf certificates may have; at least one.
    #[n(2)]
    #[cbor(with = "codec::purposes")]
    pub ext_key_usages: Vec<ExtKeyUsage>,
    /// Where the root's CRL is (`http:`).
    #[n(3)]
    pub crl_url: String,
    /// Where the root's certificate is (`http:`).
    #[n(4)]
    pub ca_issuers_url: String,
}
