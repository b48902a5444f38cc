//! Which packages are really built: the output of `cargo tree`.
//!
//! `cargo metadata` lists optional packages that no feature turns on, and joins what tests need with what is
//! shipped; `cargo tree` follows features exactly and can leave the tests out.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::process;
use crate::workspace::Workspace;

/// The platforms we build packages for; crates that only others need are not looked at.
pub(crate) const SHIPPED_PLATFORMS: [&str; 2] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
/// The packages whose programs people install.
const SHIPPED_PACKAGES: [&str; 2] = ["chancery", "chancery-agent"];

/// A set of packages, each a name and a version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Graph(BTreeSet<(String, String)>);

impl Graph {
    /// What is compiled for the programs that are shipped, build scripts and macros included.
    pub(crate) fn shipped(workspace: &Workspace) -> Result<Self, Error> {
        let packages = SHIPPED_PACKAGES
            .iter()
            .flat_map(|name| ["--package", *name]);
        Self::read(workspace, packages.chain(["--edges", "normal,build"]))
    }

    /// What is compiled for anything in the workspace, tests included.
    pub(crate) fn whole(workspace: &Workspace) -> Result<Self, Error> {
        Self::read(workspace, ["--workspace", "--edges", "normal,build,dev"])
    }

    fn read<'a>(
        workspace: &Workspace,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Error> {
        let mut command =
            workspace.cargo(["tree", "--locked", "--prefix", "none", "--format", "{p}"]);
        command.args(arguments);
        for platform in SHIPPED_PLATFORMS {
            command.args(["--target", platform]);
        }
        Self::parse(&process::output_of(&mut command)?)
    }

    /// Reads lines like `serde v1.0.229 (proc-macro)`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('['));
        lines.map(package_of).collect::<Result<_, _>>().map(Self)
    }

    /// Name and version of each package, ascending.
    pub(crate) fn packages(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, version)| (name.as_str(), version.as_str()))
    }

    /// Whether this package is in the graph at this version.
    pub(crate) fn has(&self, name: &str, version: &str) -> bool {
        self.0.contains(&(name.to_owned(), version.to_owned()))
    }
}

fn package_of(line: &str) -> Result<(String, String), Error> {
    let mut words = line.split(' ');
    match (
        words.next(),
        words.next().and_then(|word| word.strip_prefix('v')),
    ) {
        (Some(name), Some(version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            Ok((name.to_owned(), version.to_owned()))
        }
        _ => Err(Error::Malformed {
            what: "a line of cargo tree",
            reason: line.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_counts_once() {
        let text = "chancery v0.1.0 (/somewhere)\nsyn v2.0.1 (*)\nsyn v2.0.1\n\nsyn v3.0.0\n\
                    [dev-dependencies]\nserde_derive v1.0.2 (proc-macro) (*)\n";
        let graph = Graph::parse(text).expect("the form is right");
        let packages: Vec<_> = graph.packages().collect();
        let expected = [
            ("chancery", "0.1.0"),
            ("serde_derive", "1.0.2"),
            ("syn", "2.0.1"),
            ("syn", "3.0.0"),
        ];
        assert_eq!(packages, expected);
        assert!(graph.has("syn", "3.0.0") && !graph.has("syn", "1.0.0"));
    }

    #[test]
    fn a_line_of_another_form_is_an_error() {
        assert!(Graph::parse("serde 1.0").is_err());
        assert!(Graph::parse("serde").is_err());
    }
}
