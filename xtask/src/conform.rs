//! `cargo xtask conform`: builds what is examined and the conformance suite, then runs it.

use crate::error::Error;
use crate::process;
use crate::workspace::Workspace;

/// The server of ours, which the suite can start by itself.
const OURS: &str = "chancery";

/// Runs the suite with its own arguments; `true` if what the RFC demands holds.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, Error> {
    let mut build = vec!["build", "--release", "--locked"];
    build.extend(["--package", "chancery-tests", "--bin", "conform"]);
    if !process::succeeds(&mut workspace.cargo(build))? {
        return Ok(false);
    }
    if names_ours(arguments) {
        let build = [
            "build",
            "--release",
            "--locked",
            "--package",
            OURS,
            "--bins",
        ];
        if !process::succeeds(&mut workspace.cargo(build))? {
            return Ok(false);
        }
    }
    let suite = workspace.release_program("conform");
    process::succeeds(workspace.program(suite).args(arguments))
}

/// Who examines somebody else's server needs no build of ours.
fn names_ours(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument == OURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_built_only_where_it_is_examined() {
        let arguments =
            |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        assert!(names_ours(&arguments("--server pebble --server chancery")));
        assert!(!names_ours(&arguments(
            "--url https://ca.test/dir --root ca.pem"
        )));
    }
}
