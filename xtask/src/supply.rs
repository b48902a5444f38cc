//! What we build from others: its licences, where it comes from, what is banned, what is there twice.
//!
//! `cargo deny` asks the same of the same lists (`deny.toml`) where it is installed. These checks need nothing
//! but cargo, and they tell apart what is shipped from what only tests need.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::graph::Graph;
use crate::licences;
use crate::metadata::{Metadata, Package};
use crate::workspace::Workspace;

/// Crates that must not be built at all, with what to use instead. `deny.toml` has the same list.
const BANNED: &[(&str, &str)] = &[
    ("native-tls", "rustls"),
    ("openssl", "aws-lc-rs, inside chancery-crypto"),
    ("openssl-sys", "aws-lc-rs, inside chancery-crypto"),
    ("reqwest", "chancery-dial, or hyper"),
    ("rsa", "aws-lc-rs, inside chancery-crypto"),
    ("serde_yaml", "TOML"),
];

/// Crates that tests may bring along, but not the programs that people install.
/// rustls-acme, a client that the authority is tried with, brings anyhow and chrono whatever its features are.
const BANNED_FROM_SHIPPED: &[(&str, &str)] = &[
    ("anyhow", "an error enum of the crate's own"),
    ("chrono", "jiff"),
    ("ring", "aws-lc-rs, the one crypto library"),
];

/// A crate that is there in several versions, and why that is accepted for now.
struct Duplicate {
    name: &'static str,
    versions: usize,
    reason: &'static str,
}

const fn duplicate(name: &'static str, versions: usize, reason: &'static str) -> Duplicate {
    Duplicate {
        name,
        versions,
        reason,
    }
}

/// Accepted in what is shipped.
const DUPLICATES_SHIPPED: &[Duplicate] = &[duplicate(
    "syn",
    2,
    "macros of minicbor and landlock have not moved to 3; nothing of it is shipped",
)];

/// Accepted in what tests need, on top of the former.
const DUPLICATES_IN_TESTS: &[Duplicate] = &[
    duplicate(
        "untrusted",
        2,
        "aws-lc-rs has 0.7 and rustls-webpki 0.9; one small file each",
    ),
    duplicate("base64", 2, "rcgen writes PEM with 0.23"),
    duplicate("pem", 2, "rustls-acme, a client under test, has 3"),
    duplicate("rcgen", 2, "rustls-acme, a client under test, has 0.13"),
    duplicate("yasna", 2, "rcgen 0.13 of rustls-acme has 0.5"),
    duplicate("synstructure", 2, "x509-parser's macros stay on 0.13"),
];

/// The one registry, as it stands in `Cargo.lock` and in metadata.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The outcome: what is not allowed, and what somebody should know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Supply {
    pub(crate) findings: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Checks everything that the workspace is built from.
pub(crate) fn check(workspace: &Workspace) -> Result<Supply, Error> {
    let metadata = Metadata::of_all(workspace)?;
    let shipped = Graph::shipped(workspace)?;
    let whole = Graph::whole(workspace)?;
    let mut supply = Supply::default();
    for package in &metadata.packages {
        if package.member || whole.has(&package.name, &package.version) {
            supply.findings.extend(licence_finding(package));
        }
        supply
            .findings
            .extend(source_finding(package, workspace.root()));
    }
    supply
        .findings
        .extend(lock_findings(&read_lock(workspace)?));
    supply.findings.extend(banned(&whole, BANNED));
    supply
        .findings
        .extend(banned(&shipped, BANNED_FROM_SHIPPED));
    supply.add_duplicates("what is shipped", &shipped, &[DUPLICATES_SHIPPED]);
    supply.add_duplicates(
        "the workspace",
        &whole,
        &[DUPLICATES_SHIPPED, DUPLICATES_IN_TESTS],
    );
    Ok(supply)
}

fn licence_finding(package: &Package) -> Option<String> {
    let name = format!("{} {}", package.name, package.version);
    let Some(expression) = &package.license else {
        return Some(format!("{name} states no licence"));
    };
    if package.member {
        let expected = licences::OURS;
        return (expression != expected)
            .then(|| format!("{name}: `{expression}`, not `{expected}`"));
    }
    match licences::is_allowed(expression) {
        Ok(true) => None,
        Ok(false) => Some(format!("{name}: licence `{expression}` is not on the list")),
        Err(error) => Some(format!(
            "{name}: licence `{expression}` cannot be read: {error}"
        )),
    }
}

fn source_finding(package: &Package, root: &Path) -> Option<String> {
    match package.source.as_deref() {
        Some(CRATES_IO) => None,
        Some(other) => Some(format!(
            "{} comes from {other}, not from crates.io",
            package.name
        )),
        None if package.folder.starts_with(root) => None,
        None => Some(format!(
            "{} comes from a folder outside the workspace",
            package.name
        )),
    }
}

fn read_lock(workspace: &Workspace) -> Result<String, Error> {
    let path = workspace.root().join("Cargo.lock");
    fs::read_to_string(&path).map_err(|source| Error::File { path, source })
}

/// The lock file covers the platforms too that metadata was not asked about.
fn lock_findings(lock: &str) -> Vec<String> {
    let sources = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    sources
        .filter(|source| source.trim_matches('"') != CRATES_IO)
        .map(|source| format!("Cargo.lock: {source} is not crates.io"))
        .collect()
}

fn banned(graph: &Graph, list: &[(&str, &str)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, version) in graph.packages() {
        if let Some((_, instead)) = list.iter().find(|(banned, _)| *banned == name) {
            findings.push(format!(
                "{name} {version} is banned; use {instead} (`cargo tree -i {name}` says who wants it)"
            ));
        }
    }
    findings
}

impl Supply {
    fn add_duplicates(&mut self, of: &str, graph: &Graph, accepted: &[&[Duplicate]]) {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, version) in graph.packages() {
            versions.entry(name).or_default().push(version);
        }
        versions.retain(|_, versions| versions.len() > 1);
        let accepted_here =
            |name: &str| accepted.iter().copied().flatten().find(|d| d.name == name);
        for (name, versions) in &versions {
            let list = versions.join(", ");
            match accepted_here(name) {
                Some(duplicate) if versions.len() <= duplicate.versions => {
                    self.notes
                        .push(format!("{of} has {name} {list}: {}", duplicate.reason));
                }
                _ => self.findings.push(format!(
                    "{of} has {name} in versions {list}; `cargo tree -d` says who wants which"
                )),
            }
        }
        let last = accepted.last().copied().unwrap_or_default();
        for duplicate in last
            .iter()
            .filter(|duplicate| !versions.contains_key(duplicate.name))
        {
            let name = duplicate.name;
            self.notes.push(format!(
                "{name} is there once now: take it off the list of duplicates"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(license: Option<&str>, source: Option<&str>, member: bool) -> Package {
        Package {
            name: "x".into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            folder: "/house/crates/x".into(),
            dependencies: vec![],
            member,
        }
    }

    fn licence(license: Option<&str>, member: bool) -> Option<String> {
        licence_finding(&package(license, None, member))
    }

    #[test]
    fn a_package_needs_a_licence_that_we_take() {
        assert_eq!(licence(Some("ISC"), false), None);
        assert_eq!(
            licence(None, false).as_deref(),
            Some("x 1.0.0 states no licence")
        );
        let refused = licence(Some("GPL-3.0"), false);
        assert_eq!(
            refused.as_deref(),
            Some("x 1.0.0: licence `GPL-3.0` is not on the list")
        );
        assert!(licence(Some("MIT OR"), false).is_some_and(|text| text.contains("cannot be read")));
    }

    #[test]
    fn our_own_crates_carry_our_licence_exactly() {
        assert_eq!(licence(Some(licences::OURS), true), None);
        assert!(licence(Some("MIT"), true).is_some());
    }

    #[test]
    fn packages_come_from_crates_io_or_our_own_folders() {
        let source = |source| source_finding(&package(None, source, false), Path::new("/house"));
        assert_eq!(source(Some(CRATES_IO)), None);
        assert_eq!(source(None), None);
        assert!(source(Some("git+https://example.com/x")).is_some());
        assert!(source_finding(&package(None, None, false), Path::new("/other")).is_some());
    }

    #[test]
    fn the_lock_file_names_no_other_source() {
        let lock = format!("name = \"a\"\nsource = \"{CRATES_IO}\"\nsource = \"git+https://x\"\n");
        assert_eq!(
            lock_findings(&lock),
            ["Cargo.lock: \"git+https://x\" is not crates.io"]
        );
    }

    #[test]
    fn a_banned_crate_is_found_by_name() {
        let graph = Graph::parse("ring v0.17.0\nserde v1.0.0").expect("the form is right");
        assert_eq!(banned(&graph, BANNED), Vec::<String>::new());
        assert_eq!(banned(&graph, BANNED_FROM_SHIPPED).len(), 1);
    }

    const ACCEPTED: &[Duplicate] = &[
        duplicate("syn", 2, "waiting"),
        duplicate("gone", 2, "waited"),
    ];

    fn duplicates(tree: &str) -> Supply {
        let mut supply = Supply::default();
        let graph = Graph::parse(tree).expect("the form is right");
        supply.add_duplicates("the tree", &graph, &[ACCEPTED]);
        supply
    }

    #[test]
    fn a_duplicate_is_accepted_by_name_and_count_only() {
        assert_eq!(
            duplicates("syn v2.0.0\nsyn v3.0.0").findings,
            Vec::<String>::new()
        );
        assert_eq!(
            duplicates("syn v1.0.0\nsyn v2.0.0\nsyn v3.0.0")
                .findings
                .len(),
            1
        );
        assert_eq!(duplicates("quote v1.0.0\nquote v2.0.0").findings.len(), 1);
    }

    #[test]
    fn an_entry_that_is_no_longer_needed_is_told() {
        let notes = duplicates("syn v2.0.0\nsyn v3.0.0").notes;
        assert!(
            notes
                .iter()
                .any(|note| note.starts_with("gone is there once now")),
            "{notes:?}"
        );
    }

    /// The quoted words between `start` and the next `]` of `deny.toml`.
    fn words_of_deny(start: &str) -> Vec<&'static str> {
        let (_, from) = include_str!("../../deny.toml")
            .split_once(start)
            .expect("the list is there");
        let (list, _) = from.split_once("\n]").expect("the list ends");
        list.split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn deny_toml_has_the_same_lists() {
        assert_eq!(words_of_deny("\nallow = ["), licences::ALLOWED);
        let names: Vec<&str> = BANNED.iter().map(|(name, _)| *name).collect();
        assert_eq!(words_of_deny("\ndeny = ["), names);
        assert_eq!(
            words_of_deny("\ntargets = ["),
            crate::graph::SHIPPED_PLATFORMS
        );
    }
}
