//! What the front gives up once it is up: it cannot open the signer's files any more (design §8, invariant 9).
//!
//! Landlock allows what is named and nothing else: system files to read, the server's own TLS files to write. The store's
//! files are open already, and stay usable. On kernels without Landlock the server says so and goes on: the key files are
//! sealed, and the sealing key reaches the signer only.

use std::path::Path;

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

/// Closes the file system to this process but for what it still needs; cannot be undone.
pub(crate) fn close_file_system(data: &Path) -> Result<Sandboxed, landlock::RulesetError> {
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
    if let Ok(opened) = PathFd::new(data.join("tls")) {
        rules = rules.add_rule(PathBeneath::new(opened, AccessFs::from_all(abi)))?;
    }
    let status = rules.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Sandboxed::Yes,
        RulesetStatus::NotEnforced => Sandboxed::NotHere,
    })
}
