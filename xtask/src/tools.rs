//! The tools that the tests drive: other people's servers and clients, each installed only if it is missing.
//!
//! Debian packages come by `apt-get`, as root. Python and Node tools go below `target/tools`, as anybody:
//! `certbot` and pkilint's programs can be run from that folder itself, and the libraries `acme-client` and `@root/acme`
//! are in `npm/node_modules` (to be named by `NODE_PATH`). The newest versions are wanted: a client that breaks with
//! us tomorrow should break here first.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::process;
use crate::workspace::Workspace;

/// Debian's package and the program that shows that it is there.
const DEBIAN: &[(&str, &str)] = &[
    ("pebble", "pebble"),
    ("caddy", "caddy"),
    ("acme-tiny", "acme-tiny"),
    ("knot", "knotd"),
    ("acmetool", "acmetool"),
    ("dehydrated", "dehydrated"),
    ("lego", "lego"),
    ("uacme", "uacme"),
    // The server with its modules, without the service that `apache2` would set up and start on port 80.
    ("apache2-bin", "apache2"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("nodejs", "node"),
    ("npm", "npm"),
];
/// It brings pip into a venv; no other pip is needed. There is no program to look for, a module is asked.
const PYTHON: &str = "python3-venv";
/// From PyPI: the package and the programs of it that tests run.
const PIP: &[(&str, &[&str])] = &[
    ("certbot", &["certbot"]),
    (
        "pkilint",
        &[
            "lint_pkix_cert",
            "lint_pkix_signer_signee_cert_chain",
            "lint_crl",
        ],
    ),
];
/// From the npm registry.
const NPM: &[&str] = &["acme-client", "@root/acme"];

/// A mirror that is being written, or a lock held by a timer of the system, is over after this.
const PAUSE: Duration = Duration::from_secs(5);

/// The folder of the tools that are not Debian's; tests get it as `CHANCERY_TOOLS`.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("tools")
}

/// Installs what is missing, as far as this user may, and gives the names of what is missing still.
pub(crate) fn install(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let started = Instant::now();
    let folder = folder(workspace);
    fs::create_dir_all(&folder).map_err(|source| Error::File {
        path: folder.clone(),
        source,
    })?;
    let there = Places {
        modules: folder.join("npm/node_modules"),
        venv: folder.join("venv"),
        folder,
    };
    if there.missing().is_empty() {
        println!("tools: all there");
        return Ok(Vec::new());
    }
    there.install_debian(workspace);
    there.install_pip(workspace);
    there.install_npm(workspace);
    let missing: Vec<String> = there.missing().into_iter().map(str::to_owned).collect();
    println!(
        "tools: {} missing, {:.1} s",
        missing.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(missing)
}

/// Where the tools are that are not the system's.
struct Places {
    folder: PathBuf,
    venv: PathBuf,
    modules: PathBuf,
}

impl Places {
    fn missing(&self) -> Vec<&'static str> {
        [
            self.debian_missing(),
            self.pip_missing(),
            self.npm_missing(),
        ]
        .concat()
    }

    fn debian_missing(&self) -> Vec<&'static str> {
        let programs = DEBIAN.iter().filter(|(_, program)| !is_on_path(program));
        let mut missing: Vec<&'static str> = programs.map(|(package, _)| *package).collect();
        // A finished venv needs it no more, and asking Python takes a while.
        if !self.pip_missing().is_empty() && !python_makes_venvs() {
            missing.push(PYTHON);
        }
        missing
    }

    fn pip_missing(&self) -> Vec<&'static str> {
        let is_there =
            |programs: &[&str]| programs.iter().all(|p| is_program(&self.folder.join(p)));
        let missing = PIP.iter().filter(|(_, programs)| !is_there(programs));
        missing.map(|(package, _)| *package).collect()
    }

    fn npm_missing(&self) -> Vec<&'static str> {
        let is_there = |name: &str| self.modules.join(name).join("package.json").is_file();
        NPM.iter().copied().filter(|name| !is_there(name)).collect()
    }

    fn install_debian(&self, workspace: &Workspace) {
        let missing = self.debian_missing();
        if missing.is_empty() {
            return;
        }
        let names = missing.join(" ");
        if !is_root() || !is_on_path("apt-get") {
            println!("tools: on Debian, `apt-get install {names}` as root brings what is missing");
            return;
        }
        timed(&names, || install_packages(workspace, &missing));
    }

    fn install_pip(&self, workspace: &Workspace) {
        let missing = self.pip_missing();
        if missing.is_empty() || !python_makes_venvs() {
            return;
        }
        timed(&missing.join(" "), || {
            let pip = self.venv.join("bin/pip");
            if !is_program(&pip) {
                // --clear: what is there was left half made.
                let venv = ["-m", "venv", "--clear"];
                attempt(workspace.program("python3").args(venv).arg(&self.venv))?;
            }
            let options = [
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
            ];
            twice(|| attempt(workspace.program(&pip).args(options).args(&missing)))?;
            self.link_programs().map_err(|error| error.to_string())
        });
    }

    /// Puts the venv's programs into the tools' own folder, where tests look for a tool by its name.
    fn link_programs(&self) -> std::io::Result<()> {
        for program in PIP.iter().flat_map(|(_, programs)| programs.iter()) {
            let link = self.folder.join(program);
            match fs::remove_file(&link) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => symlink(Path::new("venv/bin").join(program), link)?,
            }
        }
        Ok(())
    }

    fn install_npm(&self, workspace: &Workspace) {
        let missing = self.npm_missing();
        if missing.is_empty() || !is_on_path("npm") {
            return;
        }
        timed(&missing.join(" "), || {
            // All of them: without a list of its own, npm takes away whatever is not named.
            let options = [
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ];
            let prefix = self.folder.join("npm");
            twice(|| {
                let mut npm = workspace.program("npm");
                attempt(npm.args(options).arg("--prefix").arg(&prefix).args(NPM))
            })
        });
    }
}

fn python_makes_venvs() -> bool {
    process::succeeds_silently(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}

fn install_packages(workspace: &Workspace, names: &[&str]) -> Result<(), String> {
    let install = |names: &[&str]| attempt(apt(workspace, ["install"]).args(names));
    if install(names).is_ok() {
        return Ok(());
    }
    // The list of packages may be old, or empty as in an image.
    twice(|| attempt(&mut apt(workspace, ["update"])))?;
    if install(names).is_ok() {
        return Ok(());
    }
    // One package that this release does not have must not keep the others out.
    let failed: Vec<String> = names
        .iter()
        .filter_map(|name| install(&[name]).err())
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

fn apt<'a>(workspace: &Workspace, verb: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = workspace.program("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["-qq", "-y", "--no-install-recommends"]);
    for option in [
        "Acquire::Retries=3",
        "Acquire::http::Timeout=30",
        "DPkg::Lock::Timeout=300",
    ] {
        command.args(["-o", option]);
    }
    command.args(verb);
    command
}

/// Prints what was installed and how long it took, or why not.
fn timed(what: &str, install: impl FnOnce() -> Result<(), String>) {
    let started = Instant::now();
    let outcome = install();
    let seconds = started.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => println!("tools: {what}: installed, {seconds:.1} s"),
        Err(reason) => println!("tools: {what}: not installed, {seconds:.1} s\n{reason}"),
    }
}

fn twice(install: impl Fn() -> Result<(), String>) -> Result<(), String> {
    install().or_else(|_| {
        std::thread::sleep(PAUSE);
        install()
    })
}

fn attempt(command: &mut Command) -> Result<(), String> {
    process::output_of(command)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_program(&folder.join(program)))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Whether this process may install packages: its effective user is root.
fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_user(&status) == Some("0"))
}

/// `Uid:` real, effective, saved, file system.
fn effective_user(status: &str) -> Option<&str> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)
}

/// Whether a missing component is a failure here and not a skip.
pub(crate) fn nothing_may_be_missing() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_decides() {
        let status = "Name:\tx\nUid:\t1000\t0\t1000\t1000\nGid:\t1\t2\t3\t4\n";
        assert_eq!(effective_user(status), Some("0"));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }

    #[test]
    fn a_program_is_a_file_that_can_be_run() {
        assert!(is_on_path("sh"));
        assert!(!is_on_path("no-program-of-this-name"));
        assert!(!is_program(Path::new("/proc/self/status")) && !is_program(Path::new("/")));
    }

    #[test]
    fn everything_is_missing_from_an_empty_folder() {
        let nowhere = || PathBuf::from("/nonexistent");
        let places = Places {
            folder: nowhere(),
            venv: nowhere(),
            modules: nowhere(),
        };
        assert_eq!(places.pip_missing(), ["certbot", "pkilint"]);
        assert_eq!(places.npm_missing(), ["acme-client", "@root/acme"]);
    }
}
