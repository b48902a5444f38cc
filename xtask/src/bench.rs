//! `cargo xtask bench`: builds what is measured and the load generator, then runs it.

use crate::error::Error;
use crate::process;
use crate::workspace::Workspace;

/// Runs the load generator with its own arguments; `true` if it succeeded.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, Error> {
    let packages = [
        "--package",
        "chancery",
        "--package",
        "chancery-bench",
        "--package",
        "chancery-preload",
    ];
    let build = ["build", "--release", "--locked", "--bins"]
        .into_iter()
        .chain(packages);
    if !process::succeeds(&mut workspace.cargo(build))? {
        return Ok(false);
    }
    let generator = workspace.release_program("chancery-bench");
    process::succeeds(workspace.program(generator).args(arguments))
}
