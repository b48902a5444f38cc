//! What the front gives up before it hears its first request: it cannot open the signer's files any more (invariant 9).
//!
//! Landlock allows what is named and nothing else: system files to read, the store's three files and the folder of the
//! server's own certificate to write. It holds for the thread that asks and for the threads it starts afterwards, so it is
//! asked for while there is one thread only. On kernels without Landlock the server says so and goes on: the key files are
//! sealed, and the sealing key reaches the signer only.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};

/// What the front may still read: name resolution, time zones, its own libraries.
const READABLE: [&str; 6] = ["/etc", "/usr", "/lib", "/lib64", "/proc", "/sys"];

/// How far the sandbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sandboxed {
    /// It does.
    Yes,
    /// This kernel cannot.
    NotHere,
}

/// Closes the file system to this thread, and those it will start, but for what they need; cannot be undone.
pub(crate) fn close_file_system(
    tls_folder: &Path,
    store_files: &[PathBuf],
) -> Result<Sandboxed, landlock::RulesetError> {
    let abi = ABI::V2;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?;
    for path in READABLE {
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, AccessFs::from_read(abi)))?;
        }
    }
    for path in ["/dev/urandom", "/dev/null"] {
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, AccessFs::from_file(abi)))?;
        }
    }
    for path in store_files {
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, AccessFs::from_file(abi)))?;
        }
    }
    if let Ok(opened) = PathFd::new(tls_folder) {
        rules = rules.add_rule(PathBeneath::new(opened, AccessFs::from_all(abi)))?;
    }
    let status = rules.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Sandboxed::Yes,
        RulesetStatus::NotEnforced => Sandboxed::NotHere,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_it_the_signers_files_cannot_be_opened_and_the_stores_can() {
        let folder = chancery_testkit::TempDir::new("sandbox").expect("a folder");
        let (keys, tls, store) = (
            folder.join("keys"),
            folder.join("tls"),
            folder.join("chancery.db"),
        );
        for made in [&keys, &tls] {
            std::fs::create_dir(made).expect("made");
        }
        let key = keys.join("root.key");
        for file in [&key, &store] {
            std::fs::write(file, b"x").expect("written");
        }
        // It holds for a thread and those that it starts, so this one may keep its rights.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sandboxed =
                    close_file_system(&tls, std::slice::from_ref(&store)).expect("asked");
                if sandboxed == Sandboxed::NotHere {
                    eprintln!("this kernel has no Landlock; nothing to see");
                    return;
                }
                let inner = std::thread::scope(|scope| {
                    scope
                        .spawn(|| std::fs::read(&key).map_err(|error| error.kind()))
                        .join()
                });
                assert_eq!(
                    inner.expect("ran"),
                    Err(std::io::ErrorKind::PermissionDenied)
                );
                assert!(std::fs::write(&key, b"y").is_err());
                assert!(std::fs::remove_file(&key).is_err());
                assert!(std::fs::write(folder.join("new"), b"y").is_err());
                std::fs::write(&store, b"y").expect("the store's file stays open to writes");
                std::fs::write(tls.join("server.pem"), b"y").expect("so does the TLS folder");
                std::fs::rename(tls.join("server.pem"), tls.join("x")).expect("with renames in it");
            });
        });
        assert_eq!(std::fs::read(&key).expect("readable outside"), b"x");
    }
}
