//! The judge that everybody has: the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chancery_pki::{Crl, pem};
use chancery_testkit::process::{Finished, run};

use crate::{Authority, Http, Issued};

const WITHIN: Duration = Duration::from_secs(30);

/// Runs `openssl` with these words.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn openssl(words: &[&str]) -> Finished {
    let mut command = Command::new("openssl");
    command.args(words);
    run(command, WITHIN).unwrap_or_else(|error| panic!("{error}"))
}

/// The same where it must succeed; gives what it printed.
///
/// # Panics
/// When it does not.
pub fn must(words: &[&str]) -> String {
    let finished = openssl(words);
    assert!(
        finished.status.success(),
        "openssl {words:?}: {}{}",
        finished.stdout,
        finished.stderr
    );
    finished.stdout
}

/// What an outsider has of a certificate: the files that `openssl verify` wants.
pub struct Dossier {
    root: PathBuf,
    leaf: PathBuf,
    chain: PathBuf,
    /// The CRLs of leaf and issuer, in PEM.
    crls: [PathBuf; 2],
}

impl Dossier {
    /// Writes a chain (PEM, leaf first) to files and fetches the CRLs that its certificates name.
    ///
    /// # Panics
    /// When something of it is missing.
    #[must_use]
    pub fn collect(authority: &Authority, label: &str, chain_pem: &str) -> Self {
        let chain = pem::decode(chain_pem, "CERTIFICATE", 8).expect("a chain in PEM");
        let [leaf, issuer] = chain.as_slice() else {
            panic!("leaf and issuer, not {}", chain.len())
        };
        let file = |name: &str, text: &str| {
            let path = authority.scratch(&format!("{label}-{name}"));
            std::fs::write(&path, text).expect("a file in the test's folder");
            path
        };
        let crl = |name: &str, der: &[u8]| {
            let certificate = chancery_pki::Certificate::parse(der).expect("a certificate");
            let [url] = certificate.crl_urls() else {
                panic!("one CRL of {name}")
            };
            let reply = Http::plain().get(url);
            assert_eq!(reply.status, 200, "{url}");
            file(name, &pem::encode("X509 CRL", &reply.body))
        };
        Self {
            root: authority.root(),
            leaf: file("leaf.pem", &pem::encode("CERTIFICATE", leaf)),
            chain: file("issuer.pem", &pem::encode("CERTIFICATE", issuer)),
            crls: [crl("leaf.crl", leaf), crl("issuer.crl", issuer)],
        }
    }

    /// Asks `openssl verify` with every CRL checked.
    #[must_use]
    pub fn verify(&self) -> Finished {
        let path = |path: &'_ Path| path.to_str().expect("a plain path").to_owned();
        let (root, leaf, chain) = (path(&self.root), path(&self.leaf), path(&self.chain));
        let [leaf_crl, issuer_crl] = [path(&self.crls[0]), path(&self.crls[1])];
        openssl(&[
            "verify",
            "-x509_strict",
            "-crl_check_all",
            "-purpose",
            "sslserver",
            "-CAfile",
            &root,
            "-untrusted",
            &chain,
            "-CRLfile",
            &leaf_crl,
            "-CRLfile",
            &issuer_crl,
            &leaf,
        ])
    }
}

/// The kind and size of the key that the first certificate of a chain is for: `id-ecPublicKey (256 bit)`.
///
/// # Panics
/// When it is no chain.
#[must_use]
pub fn key_of(authority: &Authority, chain_pem: &str) -> String {
    let path = authority.scratch("looked-at.pem");
    std::fs::write(&path, chain_pem).expect("a file in the test's folder");
    let path = path.to_str().expect("a plain path");
    let text = must(&["x509", "-noout", "-text", "-in", path]);
    let after = |label: &str| {
        let found = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(label));
        found.unwrap_or_else(|| panic!("{label} in {text}"))
    };
    format!(
        "{}{}",
        after("Public Key Algorithm: "),
        after("Public-Key:")
    )
}

/// The chain that a TLS server on this machine presents for a name, in PEM; none where it does not answer, or what it
/// presents is not for that name or not under our root.
#[must_use]
pub fn served_chain(authority: &Authority, port: u16, name: &str) -> Option<String> {
    let address = format!("127.0.0.1:{port}");
    let root = authority.root();
    let root = root.to_str().expect("a plain path");
    let finished = openssl(&[
        "s_client",
        "-connect",
        &address,
        "-servername",
        name,
        "-verify_hostname",
        name,
        "-CAfile",
        root,
        "-verify_return_error",
        "-showcerts",
    ]);
    if !finished.status.success() {
        return None;
    }
    let mut inside = false;
    let lines = finished.stdout.lines().filter(|line| {
        let begins = line.starts_with("-----BEGIN CERTIFICATE");
        let ends = line.starts_with("-----END CERTIFICATE");
        inside = begins || inside && !ends;
        inside || ends
    });
    Some(lines.fold(String::new(), |chain, line| chain + line + "\n"))
}

impl Issued {
    /// The certificate's files for `openssl verify`, with the CRLs of this moment.
    #[must_use]
    pub fn dossier(&self, authority: &Authority) -> Dossier {
        Dossier::collect(authority, &self.serial(), &self.pem)
    }
}

/// Reads a CRL with `openssl crl`; gives its text form.
///
/// # Panics
/// When it does not parse.
#[must_use]
pub fn crl_text(authority: &Authority, crl: &Crl) -> String {
    let path = authority.scratch("looked-at.crl");
    std::fs::write(&path, crl.der()).expect("a file in the test's folder");
    let path = path.to_str().expect("a plain path");
    must(&["crl", "-inform", "DER", "-noout", "-text", "-in", path])
}

/// The elements of any DER as `openssl asn1parse` prints them, one a line.
///
/// # Panics
/// When it does not parse.
#[must_use]
pub fn der_structure(authority: &Authority, der: &[u8]) -> String {
    let path = authority.scratch("looked-at.der");
    std::fs::write(&path, der).expect("a file in the test's folder");
    let path = path.to_str().expect("a plain path");
    must(&["asn1parse", "-inform", "DER", "-in", path])
}
