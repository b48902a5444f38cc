//! Certificates and everything around them as values: names, keys, requests, profiles, certificates, CRLs, lint.
//!
//! Bytes come in, values or errors go out. The crate opens no file, dials no host, reads no clock and draws no
//! randomness: the time is a [`UnixTime`] and random bits are an array, both given by the caller. It holds no
//! private key either. What has to be signed leaves as bytes, and the signature comes back as bytes; only the
//! two ends that make requests of their own, the agent and the server for its own TLS, lend one to [`csr::build`].
//!
//! # Where to start
//!
//! *In.* Hostile bytes enter at five places, each of which measures before it parses: [`Csr::parse`],
//! [`certificate`], [`crl`], [`Spki::parse`] and [`pem::decode`]. A [`Csr`] exists only if its signature verified, a
//! [`DnsName`] only in the one spelling that DNS and certificates share, a [`Serial`] only if it is positive.
//!
//! *Out.* A [`Profile`] says what a kind of certificate contains. With an issuer ([`issuer`]), a key and a set of
//! [`San`]s it becomes the bytes to be signed ([`tbs`]). [`lint`] reads those bytes afresh, holds them against the
//! profile and the issuer, and returns them in a type that says so. [`crl`] writes revocation lists, an entry at a
//! time, and [`chain`] follows a chain from a leaf to a root that the caller trusts.
//!
//! # How it reads and writes
//!
//! The encoding is strict DER with one-octet tags and definite, minimal lengths, read in place: a value keeps the
//! bytes it arrived in, and a signature is checked over those, never over an encoding made again. Readers descend
//! one level per call in code that knows the structure; nothing here recurses on its input, and every loop has a
//! limit beside it. Leniency is spelled out where it exists: attributes of a request may stand in any order or be
//! missing, and RSA signatures may leave out their NULL.
//!
//! # What it never does
//!
//! It never takes anything but a key and names to compare from a request; never reads BER; never puts a name into
//! the subject of a leaf certificate; never accepts SHA-1, MD5, RSASSA-PSS or curves given by parameters; never
//! decides whether somebody may have a certificate. That is policy, and lives above.

#![cfg_attr(
    not(test),
    deny(
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::arithmetic_side_effects
    )
)]

pub mod algorithm;
pub mod certificate;
pub mod chain;
pub mod challenge;
pub mod crl;
pub mod csr;
mod der;
pub mod issuer;
pub mod lint;
pub mod name;
mod oid;
pub mod pem;
pub mod profile;
pub mod serial;
pub mod spki;
pub mod tbs;
pub mod time;

pub use algorithm::AlgorithmError;
pub use certificate::{Certificate, CertificateError, KeyUsage};
pub use chain::{ChainError, verify_chain};
pub use challenge::{
    ChallengeCertificateError, challenge_certificate_key, check_challenge_certificate,
};
pub use crl::{Crl, CrlError, CrlRequest, CrlWriter, RevocationReason, RevokedEntry};
pub use csr::{Csr, CsrError};
pub use der::DerError;
pub use issuer::{IssuerCertificate, IssuerError};
pub use lint::{CrlFacts, LintError, Linted};
pub use name::{DnsName, NameError, San};
pub use pem::PemError;
pub use profile::{AskedValidity, ExtKeyUsage, KeyClass, NotNarrower, Profile, ProfileError};
pub use serial::{SERIAL_LEN, Serial, SerialError};
pub use spki::{Spki, SpkiError};
pub use tbs::{CaRequest, LeafRequest, Tbs, TbsError};
pub use time::{TimeError, UnixTime};
