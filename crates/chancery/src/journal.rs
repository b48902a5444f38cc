//! `journal verify`: from files and public keys alone, without a server.

use std::path::{Path, PathBuf};

use chancery_pki::{IssuerCertificate, pem};

use crate::{Exit, say};

/// Certificates in one PEM file of issuers.
const ISSUERS_MAX: usize = 100;

pub(crate) fn verify(data: &Path, files: &[PathBuf], json: bool) -> Result<(), Exit> {
    let issuers = issuers(data, files)?;
    let report =
        chancery_signer::journal::verify(&data.join("journal"), &issuers).map_err(Exit::failed)?;
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    let head: String = report
        .head
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if json {
        let told = serde_json::json!({
            "entries": report.entries,
            "last": report.last_sequence,
            "head": head,
            "problems": problems,
        });
        say(&told);
    } else {
        say(format_args!(
            "{} entries, the last has number {}, head {head}",
            report.entries, report.last_sequence
        ));
        for problem in &problems {
            say(format_args!("wrong: {problem}"));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Exit::failed("the journal is not what the signer wrote"))
}

fn issuers(data: &Path, files: &[PathBuf]) -> Result<Vec<IssuerCertificate>, Exit> {
    let mut issuers = Vec::new();
    let mut add = |der: &[u8], path: &Path| {
        let parsed = IssuerCertificate::parse(der).map_err(|error| {
            Exit::usage(format!("{} is no CA certificate: {error}", path.display()))
        })?;
        issuers.push(parsed);
        Ok(())
    };
    if files.is_empty() {
        let keys = data.join("keys");
        let unreadable = |error: std::io::Error| {
            Exit::usage(format!(
                "the CA certificates in {} cannot be read: {error}; name them with --issuers",
                keys.display()
            ))
        };
        for entry in std::fs::read_dir(&keys).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "crt") {
                add_file(&path, &mut add)?;
            }
        }
    }
    for path in files {
        add_file(path, &mut add)?;
    }
    Ok(issuers)
}

fn add_file(
    path: &Path,
    add: &mut impl FnMut(&[u8], &Path) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let bytes = std::fs::read(path)
        .map_err(|error| Exit::usage(format!("{} cannot be read: {error}", path.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    match pem::decode(&text, "CERTIFICATE", ISSUERS_MAX) {
        Ok(blocks) => blocks.iter().try_for_each(|der| add(der, path)),
        Err(_) => add(&bytes, path),
    }
}
