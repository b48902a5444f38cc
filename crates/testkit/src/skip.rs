use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Finds a foreign program that a test needs: in the folders of `CHANCERY_TOOLS`, then in those of `PATH`.
///
/// `None` means that the test returns at once: the want was recorded as a line in the file that
/// `CHANCERY_SKIPS` names, so that the summary can count it, and on standard error.
///
/// # Panics
/// When the program is missing and `CI` is `true`: there, nothing may be skipped. When the file cannot be
/// written.
#[must_use]
pub fn require(tool: &str) -> Option<PathBuf> {
    Surroundings::real().require(tool)
}

/// The part of the environment that decides.
struct Surroundings {
    tools: OsString,
    path: OsString,
    skips: Option<PathBuf>,
    ci: bool,
}

impl Surroundings {
    fn real() -> Self {
        Self {
            tools: env::var_os("CHANCERY_TOOLS").unwrap_or_default(),
            path: env::var_os("PATH").unwrap_or_default(),
            skips: env::var_os("CHANCERY_SKIPS").map(PathBuf::from),
            ci: env::var_os("CI").is_some_and(|ci| ci == "true"),
        }
    }

    fn require(&self, tool: &str) -> Option<PathBuf> {
        let folders = env::split_paths(&self.tools).chain(env::split_paths(&self.path));
        let found = folders
            .map(|folder| folder.join(tool))
            .find(|path| is_program(path));
        if found.is_none() {
            assert!(
                !self.ci,
                "{tool} is missing; with CI=true a test may not be skipped for that"
            );
            self.record(tool);
        }
        found
    }

    fn record(&self, tool: &str) {
        eprintln!("skipped: {tool} is in neither CHANCERY_TOOLS nor PATH");
        let Some(skips) = &self.skips else { return };
        let current = std::thread::current();
        let line = format!(
            "{}: {tool} is missing\n",
            current.name().unwrap_or("a test")
        );
        // One write, so that lines of tests running beside each other do not mix.
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(skips)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("cannot record a skip in {skips:?}: {error}"));
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TempDir;

    fn surroundings(folder: &TempDir) -> Surroundings {
        Surroundings {
            tools: folder.path().into(),
            path: OsString::from("/bin:/usr/bin"),
            skips: Some(folder.join("skips")),
            ci: false,
        }
    }

    fn write(path: &Path, mode: u32) {
        std::fs::write(path, "").expect("written");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("changed");
    }

    #[test]
    fn own_tools_come_before_the_systems() {
        let folder = TempDir::new("skip").expect("made");
        let from_path = surroundings(&folder)
            .require("sh")
            .expect("every system has one");
        assert!(!from_path.starts_with(folder.path()));
        write(&folder.join("sh"), 0o755);
        assert_eq!(surroundings(&folder).require("sh"), Some(folder.join("sh")));
        assert!(!folder.join("skips").exists());
    }

    #[test]
    fn a_missing_tool_is_recorded_on_a_line_of_its_own() {
        let folder = TempDir::new("skip").expect("made");
        write(&folder.join("not-executable"), 0o644);
        for tool in ["no-such-program", "not-executable"] {
            assert_eq!(surroundings(&folder).require(tool), None);
        }
        let skips = std::fs::read_to_string(folder.join("skips")).expect("written");
        assert_eq!(skips.lines().count(), 2, "{skips}");
        assert!(skips.contains(": no-such-program is missing\n"));
    }

    #[test]
    #[should_panic(expected = "no-such-program is missing")]
    fn in_ci_a_missing_tool_is_a_failure() {
        let folder = TempDir::new("skip").expect("made");
        let strict = Surroundings {
            ci: true,
            ..surroundings(&folder)
        };
        strict.require("no-such-program");
    }
}
