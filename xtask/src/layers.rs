//! The floors of the house: which crate may import which. Arrows go down only.
//!
//! [`TABLE`] is the rule. A new crate gets its row here first; a crate without a row is refused. What a row
//! does not name is refused too, also when cargo would build it. Tests of a crate may reach everything below
//! it, and the two crates that stand beside the house.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Error;
use crate::metadata::{Dependency, Kind, Metadata, Package};
use crate::workspace::Workspace;

/// What one crate may import, in short names (`pki` is the package `chancery-pki`).
struct Row {
    name: &'static str,
    may_import: &'static [&'static str],
}

const fn row(name: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { name, may_import }
}

/// The floors, from the bottom up. `formats`, `adapters` and `product` stand for the lists below.
const TABLE: &[Row] = &[
    // 1 formats
    row("crypto", &[]),
    row("pki", &["crypto"]),
    row("jose", &["crypto"]),
    row("acme", &["jose", "pki", "crypto"]),
    // 2 domain
    row("authority", &["formats"]),
    // 3 adapters
    row("dial", &["pki", "crypto"]),
    row("store", &["authority", "formats"]),
    row("signer", &["formats"]),
    row("prover", &["authority", "formats", "dial"]),
    // 4 service
    row("engine", &["authority", "adapters", "formats"]),
    row("front", &["engine", "authority", "formats"]),
    // 5 programs
    row("agent", &["formats", "dial"]),
    row("chancery", &["product", "simulate"]),
    // beside the house
    row("simulate", &["formats"]),
    row("testkit", &["product", "simulate", "chancery"]),
    row(
        "tests",
        &["chancery", "agent", "testkit", "simulate", "formats"],
    ),
    row("bench", &["formats", "simulate"]),
    row("preload", &["store", "authority", "formats"]),
    row("xtask", &[]),
];

const FORMATS: &[&str] = &["crypto", "pki", "jose", "acme"];
const ADAPTERS: &[&str] = &["store", "signer", "prover", "dial"];
/// Everything that `chancery` is wired from.
const PRODUCT: &[&str] = &[
    "formats",
    "authority",
    "adapters",
    "engine",
    "front",
    "agent",
];

/// What tests of any crate may import besides what is below it.
const FOR_TESTS: &[&str] = &["simulate", "testkit"];

/// Libraries that one crate alone names, so that nobody else can go around it.
const OWNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "crypto"),
    ("aws-lc-sys", "crypto"),
    ("rusqlite", "store"),
    ("libsqlite3-sys", "store"),
];

/// The crates without I/O, clock or tasks: bytes in, values out.
const PURE: &[&str] = &["crypto", "pki", "jose", "acme", "authority"];

/// What gives a crate sockets, tasks, files, TLS or chance; none of the pure ones may name it outside its tests.
const RIM: &[&str] = &[
    "async-trait",
    "axum",
    "futures-util",
    "hickory-proto",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "getrandom",
    "rand",
    "rustix",
    "rustls",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tower",
];

/// Names that say nothing about what a crate is for, so that everything ends up in it.
const EMPTY_NAMES: &[&str] = &["common", "core", "types", "util", "utils"];

/// Checks the workspace; each text is one thing that is not allowed.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let metadata = Metadata::of_members(workspace)?;
    let members: Vec<&Package> = metadata.members().collect();
    Ok(findings(&members, workspace.root()))
}

fn findings(members: &[&Package], root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for package in members {
        findings.extend(name_findings(package, root));
        let Some(row) = row_of(&package.name) else {
            findings.push(format!(
                "{} has no row in the table of xtask/src/layers.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            findings.extend(dependency_finding(row, package, dependency, members));
        }
    }
    findings
}

fn name_findings(package: &Package, root: &Path) -> Vec<String> {
    let name = short(&package.name);
    let mut findings = Vec::new();
    if EMPTY_NAMES.contains(&name) {
        findings.push(format!(
            "{}: a crate is named after what it is for",
            package.name
        ));
    }
    let expected = match name {
        "tests" | "bench" | "xtask" => root.join(name),
        "preload" => root.join("bench").join(name),
        _ => root.join("crates").join(name),
    };
    if package.folder != expected {
        let folder = package.folder.strip_prefix(root).unwrap_or(&package.folder);
        findings.push(format!(
            "{} does not belong in {}",
            package.name,
            folder.display()
        ));
    }
    findings
}

fn dependency_finding(
    row: &Row,
    package: &Package,
    dependency: &Dependency,
    members: &[&Package],
) -> Option<String> {
    let name = dependency.name.as_str();
    let refuse = |reason: &str| Some(format!("{} → {name}: {reason}", package.name));
    if row.name == "xtask" {
        return refuse("xtask depends on nothing but the standard library");
    }
    if let Some((_, owner)) = OWNED
        .iter()
        .find(|(library, owner)| *library == name && *owner != row.name)
    {
        return refuse(&format!("only chancery-{owner} names it"));
    }
    if dependency.kind != Kind::Dev && PURE.contains(&row.name) && RIM.contains(&name) {
        return refuse("formats and domain do no I/O, have no tasks and draw no randomness");
    }
    if !members.iter().any(|member| member.name == name) {
        return None;
    }
    let target = short(name);
    match dependency.kind {
        Kind::Normal | Kind::Build if imports(row).contains(target) => None,
        Kind::Dev if test_imports(row).contains(target) => None,
        Kind::Normal | Kind::Build => refuse("the floors do not allow this arrow"),
        Kind::Dev => refuse("the floors do not allow this arrow, not even in tests"),
    }
}

/// `chancery-pki` → `pki`; `chancery` and `xtask` stay as they are.
fn short(package: &str) -> &str {
    package.strip_prefix("chancery-").unwrap_or(package)
}

fn row_of(package: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == short(package))
}

/// What the code of a crate may import.
fn imports(row: &Row) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    let mut open = row.may_import.to_vec();
    while let Some(name) = open.pop() {
        match name {
            "formats" => open.extend(FORMATS),
            "adapters" => open.extend(ADAPTERS),
            "product" => open.extend(PRODUCT),
            _ => {
                names.insert(name);
            }
        }
    }
    names
}

/// What the tests of a crate may import: everything below it, what stands beside for them, and the crate itself
/// (so that its tests can turn on a feature of it).
fn test_imports(row: &Row) -> BTreeSet<&'static str> {
    let mut names = below(row);
    names.extend(FOR_TESTS);
    names.insert(row.name);
    names
}

/// Everything that the arrows of a crate lead to, over any number of steps.
fn below(row: &Row) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    let mut open: Vec<&'static str> = imports(row).into_iter().collect();
    while let Some(name) = open.pop() {
        if names.insert(name) {
            open.extend(row_of(name).map(imports).unwrap_or_default());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/house";

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let folder = match short(name) {
            plain @ ("tests" | "bench" | "xtask") => plain.to_owned(),
            "preload" => "bench/preload".to_owned(),
            other => format!("crates/{other}"),
        };
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            source: None,
            folder: Path::new(ROOT).join(folder),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: *kind,
                })
                .collect(),
            member: true,
        }
    }

    /// The findings for one crate in a workspace that has a crate for each row.
    fn check(name: &str, dependencies: &[(&str, Kind)]) -> Vec<String> {
        let under_test = package(name, dependencies);
        let others: Vec<Package> = TABLE
            .iter()
            .map(|row| match row.name {
                "chancery" | "xtask" => row.name.to_owned(),
                other => format!("chancery-{other}"),
            })
            .filter(|other| other != name)
            .map(|other| package(&other, &[]))
            .collect();
        let members: Vec<&Package> = others.iter().chain([&under_test]).collect();
        findings(&members, Path::new(ROOT))
    }

    fn allowed(name: &str, dependency: &str, kind: Kind) {
        assert_eq!(check(name, &[(dependency, kind)]), Vec::<String>::new());
    }

    fn refused(name: &str, dependency: &str, kind: Kind, reason: &str) {
        let expected = format!("{name} → {dependency}: {reason}");
        assert_eq!(check(name, &[(dependency, kind)]), [expected]);
    }

    const ARROW: &str = "the floors do not allow this arrow";

    #[test]
    fn arrows_that_go_down_are_allowed() {
        allowed("chancery-acme", "chancery-jose", Kind::Normal);
        allowed("chancery-engine", "chancery-store", Kind::Normal);
        allowed("chancery-front", "chancery-pki", Kind::Normal);
        allowed("chancery", "chancery-simulate", Kind::Normal);
        allowed("chancery-testkit", "chancery-engine", Kind::Normal);
        allowed("chancery-authority", "serde", Kind::Normal);
    }

    #[test]
    fn arrows_that_go_up_or_sideways_are_refused() {
        refused("chancery-signer", "chancery-authority", Kind::Normal, ARROW);
        refused("chancery-pki", "chancery-jose", Kind::Normal, ARROW);
        refused("chancery-authority", "chancery-store", Kind::Normal, ARROW);
        refused("chancery-front", "chancery-store", Kind::Normal, ARROW);
        refused("chancery-agent", "chancery-authority", Kind::Normal, ARROW);
        refused("chancery-store", "chancery-signer", Kind::Build, ARROW);
        refused("chancery", "chancery-testkit", Kind::Normal, ARROW);
        refused("chancery-engine", "chancery-tests", Kind::Normal, ARROW);
    }

    #[test]
    fn tests_reach_what_is_below_and_what_stands_beside() {
        allowed("chancery-pki", "chancery-testkit", Kind::Dev);
        allowed("chancery-front", "chancery-store", Kind::Dev);
        allowed("chancery-dial", "chancery-simulate", Kind::Dev);
        allowed("chancery-store", "chancery-store", Kind::Dev);
        let reason = "the floors do not allow this arrow, not even in tests";
        refused("chancery-signer", "chancery-authority", Kind::Dev, reason);
        refused("chancery-store", "chancery-front", Kind::Dev, reason);
    }

    #[test]
    fn a_library_with_an_owner_is_named_by_it_alone() {
        allowed("chancery-crypto", "aws-lc-rs", Kind::Normal);
        allowed("chancery-store", "rusqlite", Kind::Normal);
        refused(
            "chancery-jose",
            "aws-lc-rs",
            Kind::Normal,
            "only chancery-crypto names it",
        );
        refused(
            "chancery-testkit",
            "aws-lc-rs",
            Kind::Dev,
            "only chancery-crypto names it",
        );
        refused(
            "chancery-engine",
            "rusqlite",
            Kind::Dev,
            "only chancery-store names it",
        );
    }

    #[test]
    fn pure_crates_name_nothing_of_the_rim_outside_their_tests() {
        let reason = "formats and domain do no I/O, have no tasks and draw no randomness";
        refused("chancery-authority", "tokio", Kind::Normal, reason);
        allowed("chancery-authority", "tokio", Kind::Dev);
        allowed("chancery-engine", "tokio", Kind::Normal);
    }

    #[test]
    fn xtask_depends_on_nothing() {
        let reason = "xtask depends on nothing but the standard library";
        refused("xtask", "serde", Kind::Dev, reason);
    }

    #[test]
    fn a_crate_without_a_row_and_a_crate_with_an_empty_name_are_refused() {
        let text = check("chancery-common", &[]).join("\n");
        assert!(text.contains("named after what it is for"), "{text}");
        assert!(text.contains("no row in the table"), "{text}");
    }

    #[test]
    fn a_crate_stands_in_the_folder_of_its_name() {
        let mut moved = package("chancery-pki", &[]);
        moved.folder = Path::new(ROOT).join("crates/formats");
        let text = findings(&[&moved], Path::new(ROOT));
        assert_eq!(text, ["chancery-pki does not belong in crates/formats"]);
    }

    #[test]
    fn the_table_goes_down_only() {
        for row in TABLE {
            assert!(
                !below(row).contains(row.name),
                "{} reaches itself",
                row.name
            );
            for name in imports(row) {
                assert!(
                    row_of(name).is_some(),
                    "{} may import {name}, which has no row",
                    row.name
                );
            }
        }
    }
}
