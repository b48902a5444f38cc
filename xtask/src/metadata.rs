//! What `cargo metadata` says about packages, in the few words that the checks need.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::graph::SHIPPED_PLATFORMS;
use crate::json::{self, Json};
use crate::process;
use crate::workspace::Workspace;

/// The packages of the workspace, and (when asked for) everything below them.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One package at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression, as its author wrote it.
    pub(crate) license: Option<String>,
    /// Where cargo got it: `None` for a folder.
    pub(crate) source: Option<String>,
    /// The folder of its `Cargo.toml`.
    pub(crate) folder: PathBuf,
    /// What its `Cargo.toml` names, optional ones and other platforms included.
    pub(crate) dependencies: Vec<Dependency>,
    /// Whether it is a member of the workspace.
    pub(crate) member: bool,
}

/// A dependency as a manifest declares it, under the package's own name (not a local alias).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// For which of a package's parts a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Metadata {
    /// The members of the workspace alone; needs no network and nothing downloaded.
    pub(crate) fn of_members(workspace: &Workspace) -> Result<Self, Error> {
        Self::read(workspace, &["--no-deps", "--offline"])
    }

    /// All packages that can be built for a shipped platform, as the lock file fixes them.
    pub(crate) fn of_all(workspace: &Workspace) -> Result<Self, Error> {
        let platforms = SHIPPED_PLATFORMS
            .iter()
            .flat_map(|name| ["--filter-platform", *name]);
        let arguments: Vec<&str> = std::iter::once("--locked").chain(platforms).collect();
        Self::read(workspace, &arguments)
    }

    fn read(workspace: &Workspace, arguments: &[&str]) -> Result<Self, Error> {
        let mut command = workspace.cargo(["metadata", "--format-version", "1"]);
        Self::parse(&process::output_of(command.args(arguments))?)
    }

    /// Reads the output of `cargo metadata --format-version 1`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let root = json::parse(text).map_err(|error| malformed(&error.to_string()))?;
        let members: Vec<&str> = list(&root, "workspace_members")?
            .iter()
            .filter_map(Json::text)
            .collect();
        let packages = list(&root, "packages")?
            .iter()
            .map(|package| Package::read(package, &members))
            .collect::<Result<_, _>>()?;
        Ok(Self { packages })
    }

    /// The packages that are ours.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }
}

impl Package {
    fn read(value: &Json, members: &[&str]) -> Result<Self, Error> {
        let dependencies = list(value, "dependencies")?
            .iter()
            .map(Dependency::read)
            .collect::<Result<_, _>>()?;
        let manifest = Path::new(text(value, "manifest_path")?);
        Ok(Self {
            name: text(value, "name")?.to_owned(),
            version: text(value, "version")?.to_owned(),
            license: optional_text(value, "license"),
            source: optional_text(value, "source"),
            folder: manifest.parent().unwrap_or(manifest).to_path_buf(),
            dependencies,
            member: members.contains(&text(value, "id")?),
        })
    }
}

impl Dependency {
    fn read(value: &Json) -> Result<Self, Error> {
        let kind = match value.member("kind").and_then(Json::text) {
            None => Kind::Normal,
            Some("build") => Kind::Build,
            Some("dev") => Kind::Dev,
            Some(other) => return Err(malformed(&format!("dependency kind {other:?}"))),
        };
        Ok(Self {
            name: text(value, "name")?.to_owned(),
            kind,
        })
    }
}

fn list<'a>(value: &'a Json, name: &str) -> Result<&'a [Json], Error> {
    let list = value.member(name).and_then(Json::list);
    list.ok_or_else(|| malformed(&format!("no list `{name}`")))
}

fn text<'a>(value: &'a Json, name: &str) -> Result<&'a str, Error> {
    let text = value.member(name).and_then(Json::text);
    text.ok_or_else(|| malformed(&format!("no text `{name}`")))
}

fn optional_text(value: &Json, name: &str) -> Option<String> {
    value.member(name).and_then(Json::text).map(str::to_owned)
}

fn malformed(reason: &str) -> Error {
    Error::Malformed {
        what: "the output of cargo metadata",
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{
        "packages": [
            {"id": "a-1", "name": "chancery-a", "version": "0.1.0", "license": "MIT", "source": null,
             "manifest_path": "/w/crates/a/Cargo.toml",
             "dependencies": [
                {"name": "serde", "kind": null, "rename": "s"},
                {"name": "cc", "kind": "build"},
                {"name": "proptest", "kind": "dev"}]},
            {"id": "b-1", "name": "serde", "version": "1.0.0", "license": null,
             "source": "registry+https://github.com/rust-lang/crates.io-index",
             "manifest_path": "/r/serde/Cargo.toml", "dependencies": []}],
        "workspace_members": ["a-1"]}"#;

    #[test]
    fn packages_and_their_declared_dependencies_are_read() {
        let metadata = Metadata::parse(ONE).expect("the form is right");
        let kinds: Vec<_> = metadata.packages[0]
            .dependencies
            .iter()
            .map(|dependency| (dependency.name.as_str(), dependency.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("serde", Kind::Normal),
                ("cc", Kind::Build),
                ("proptest", Kind::Dev)
            ]
        );
        assert_eq!(metadata.packages[0].folder, Path::new("/w/crates/a"));
        assert_eq!(metadata.packages[1].license, None);
        assert_eq!(metadata.members().count(), 1);
    }

    #[test]
    fn another_form_is_an_error_and_not_an_empty_answer() {
        for text in ["{}", "[]", r#"{"packages": [{}], "workspace_members": []}"#] {
            assert!(
                matches!(Metadata::parse(text), Err(Error::Malformed { .. })),
                "{text}"
            );
        }
        let unknown = ONE.replace("\"dev\"", "\"later\"");
        assert!(
            Metadata::parse(&unknown).is_err(),
            "an unknown kind of dependency was taken"
        );
    }
}
