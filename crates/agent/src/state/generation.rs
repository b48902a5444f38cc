//! Complete generations of a certificate's files, and the one link that says which of them is live.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use chancery_crypto::PrivateKey;
use chancery_pki::{Certificate, pem};
use zeroize::Zeroizing;

use crate::failpoint::failpoint;
use crate::state::file::{self, PRIVATE, PUBLIC, failed};
use crate::state::{OPEN_FOLDER, State, flat};
use crate::{AgentError, CertName, key_file};

/// Generations that are kept, the live one among them.
const GENERATIONS_KEPT: usize = 3;
/// Where a generation is written before it has its number.
const UNFINISHED: &str = ".new";
/// Certificates in one file of ours.
const CHAIN_MAX: usize = 8;

/// The four files of one generation, as text.
pub(crate) struct Files {
    pub(crate) privkey: Zeroizing<String>,
    pub(crate) cert: String,
    pub(crate) chain: String,
}

impl Files {
    fn each(&self) -> [(&'static str, Zeroizing<String>, u32); 4] {
        let public = |text: &str| Zeroizing::new(text.to_owned());
        [
            ("privkey.pem", self.privkey.clone(), PRIVATE),
            ("cert.pem", public(&self.cert), PUBLIC),
            ("chain.pem", public(&self.chain), PUBLIC),
            (
                "fullchain.pem",
                public(&format!("{}{}", self.cert, self.chain)),
                PUBLIC,
            ),
        ]
    }
}

/// The generation that is live.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its folder; the link was read once, so everything read from here is of one generation.
    folder: PathBuf,
    /// Its number; none where somebody put plain files in the place of the link.
    pub(crate) generation: Option<u32>,
    /// The certificate.
    pub(crate) leaf: Certificate,
}

impl Live {
    /// Its private key.
    pub(crate) fn key(&self) -> Result<PrivateKey, AgentError> {
        let key = key_file::read(&self.folder.join("privkey.pem"))?;
        key.ok_or_else(|| bad(&self.folder, "privkey.pem is missing".to_owned()))
    }
}

impl State {
    /// The live generation of a certificate, if there is one.
    pub(crate) fn live_files(&self, name: &CertName) -> Result<Option<Live>, AgentError> {
        let link = self.live(name);
        let (folder, generation) = match fs::read_link(&link) {
            Ok(target) => {
                let number = target
                    .file_name()
                    .and_then(|name| number(&name.to_string_lossy()));
                (self.folder.join("live").join(target), number)
            }
            // Plain files, as a backup without links brings them back: good for reading.
            Err(error) if error.kind() == ErrorKind::InvalidInput => (link, None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &link, error)),
        };
        let path = folder.join("fullchain.pem");
        let bytes = file::read(&path)?
            .ok_or_else(|| bad(&folder, "fullchain.pem is missing".to_owned()))?;
        let leaf = leaf(&bytes).map_err(|reason| bad(&folder, reason))?;
        Ok(Some(Live {
            folder,
            generation,
            leaf,
        }))
    }

    /// Writes a complete generation and makes it the live one, by one rename. Gives its number. Done again with the
    /// same files, it goes on where it was.
    pub(crate) fn install(&self, name: &CertName, files: &Files) -> Result<u32, AgentError> {
        let archive = self.archive(name);
        file::make_folder(&archive, OPEN_FOLDER)?;
        let number = match self.newest_with(&archive, files)? {
            Some(number) => number,
            None => write(&archive, files)?,
        };
        failpoint("generation-written");
        self.switch(name, number)?;
        failpoint("live-switched");
        if let Err(error) = prune(&archive, number) {
            tracing::warn!("an old generation of {name} was not removed: {error}");
        }
        Ok(number)
    }

    /// The newest generation, if it consists of these very files: then a killed agent wrote it.
    fn newest_with(&self, archive: &Path, files: &Files) -> Result<Option<u32>, AgentError> {
        let Some(newest) = numbers(archive)?.into_iter().max() else {
            return Ok(None);
        };
        for (file, text, _) in files.each() {
            let found =
                file::read(&archive.join(folder_name(newest)).join(file))?.map(Zeroizing::new);
            if found.is_none_or(|found| found.as_slice() != text.as_bytes()) {
                return Ok(None);
            }
        }
        Ok(Some(newest))
    }

    fn switch(&self, name: &CertName, number: u32) -> Result<(), AgentError> {
        let link = self.live(name);
        let target = Path::new("../archive")
            .join(name.as_str())
            .join(folder_name(number));
        if fs::read_link(&link).is_ok_and(|found| found == target) {
            return Ok(());
        }
        let beside = file::beside(&link);
        file::remove(&beside)?;
        symlink(&target, &beside).map_err(|error| failed("make the link", &beside, error))?;
        if fs::symlink_metadata(&link).is_ok_and(|found| found.is_dir()) {
            flat::exchange(&beside, &link, &self.archive(name))?;
        } else {
            fs::rename(&beside, &link).map_err(|error| failed("switch", &link, error))?;
        }
        file::sync_parent(&link)
    }
}

/// Writes the next generation and gives its number. It has its name only when it is complete.
fn write(archive: &Path, files: &Files) -> Result<u32, AgentError> {
    let unfinished = archive.join(UNFINISHED);
    remove_folder(&unfinished)?;
    file::make_folder(&unfinished, OPEN_FOLDER)?;
    for (file, text, mode) in files.each() {
        file::write_new(&unfinished.join(file), text.as_bytes(), mode)?;
    }
    file::sync_folder(&unfinished)?;
    let newest = numbers(archive)?.into_iter().max().unwrap_or_default();
    let number = newest.saturating_add(1);
    let folder = archive.join(folder_name(number));
    fs::rename(&unfinished, &folder).map_err(|error| failed("put in place", &folder, error))?;
    file::sync_folder(archive)?;
    Ok(number)
}

/// Removes what is older than the generations kept, and never the live one.
fn prune(archive: &Path, live: u32) -> Result<(), AgentError> {
    let mut numbers = numbers(archive)?;
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let old = numbers
        .into_iter()
        .skip(GENERATIONS_KEPT)
        .filter(|number| *number != live);
    old.into_iter()
        .try_for_each(|number| remove_folder(&archive.join(folder_name(number))))
}

fn remove_folder(path: &Path) -> Result<(), AgentError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path, error)),
    }
}

fn numbers(archive: &Path) -> Result<Vec<u32>, AgentError> {
    Ok(file::names(archive)?
        .iter()
        .filter_map(|name| number(name))
        .collect())
}

fn number(name: &str) -> Option<u32> {
    let digits = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

fn folder_name(number: u32) -> String {
    format!("{number:04}")
}

fn leaf(fullchain: &[u8]) -> Result<Certificate, String> {
    let text = std::str::from_utf8(fullchain).map_err(|error| error.to_string())?;
    let blocks = pem::decode(text, "CERTIFICATE", CHAIN_MAX).map_err(|error| error.to_string())?;
    let first = blocks.first().ok_or("fullchain.pem is empty")?;
    Certificate::parse(first).map_err(|error| error.to_string())
}

fn bad(folder: &Path, reason: String) -> AgentError {
    AgentError::BadFiles {
        folder: folder.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use chancery_testkit::TempDir;

    use super::*;

    fn files(content: &str) -> Files {
        Files {
            privkey: Zeroizing::new(format!("key {content}\n")),
            cert: format!("cert {content}\n"),
            chain: format!("chain {content}\n"),
        }
    }

    fn name() -> CertName {
        CertName::parse("a.test").expect("a name")
    }

    fn read(folder: &Path, file: &str) -> String {
        fs::read_to_string(folder.join(file)).expect("readable")
    }

    fn world() -> (TempDir, State) {
        let folder = TempDir::new("agent-generation").expect("made");
        let state = State::new(folder.path());
        state.open().expect("free");
        (folder, state)
    }

    #[test]
    fn a_generation_is_complete_and_the_key_is_private() {
        let (_folder, state) = world();
        assert_eq!(state.install(&name(), &files("1")).expect("installed"), 1);
        let live = state.live(&name());
        assert_eq!(read(&live, "privkey.pem"), "key 1\n");
        assert_eq!(read(&live, "cert.pem"), "cert 1\n");
        assert_eq!(read(&live, "chain.pem"), "chain 1\n");
        assert_eq!(read(&live, "fullchain.pem"), "cert 1\nchain 1\n");
        let mode = |file: &str| {
            live.join(file)
                .metadata()
                .expect("there")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode("privkey.pem"), mode("fullchain.pem")), (0o600, 0o644));
        let link = fs::read_link(&live).expect("a link");
        assert_eq!(link, Path::new("../archive/a.test/0001"));
    }

    #[test]
    fn installing_again_goes_on_and_makes_no_new_generation() {
        let (_folder, state) = world();
        state.install(&name(), &files("1")).expect("installed");
        // Killed after the generation was written and before the link was switched.
        assert_eq!(
            write(&state.archive(&name()), &files("2")).expect("written"),
            2
        );
        assert_eq!(read(&state.live(&name()), "cert.pem"), "cert 1\n");
        assert_eq!(state.install(&name(), &files("2")).expect("installed"), 2);
        assert_eq!(read(&state.live(&name()), "cert.pem"), "cert 2\n");
        // Killed while the generation was being written, and while the link was.
        let unfinished = state.archive(&name()).join(UNFINISHED);
        fs::create_dir(&unfinished).expect("made");
        fs::write(unfinished.join("privkey.pem"), "half").expect("written");
        symlink("nowhere", file::beside(&state.live(&name()))).expect("made");
        assert_eq!(state.install(&name(), &files("3")).expect("installed"), 3);
        assert_eq!(read(&state.live(&name()), "privkey.pem"), "key 3\n");
    }

    #[test]
    fn three_generations_are_kept() {
        let (_folder, state) = world();
        for content in 1..=6 {
            state
                .install(&name(), &files(&content.to_string()))
                .expect("installed");
        }
        let mut kept = numbers(&state.archive(&name())).expect("listed");
        kept.sort_unstable();
        assert_eq!(kept, [4, 5, 6]);
    }

    #[test]
    fn plain_files_in_the_place_of_the_link_give_way_and_are_kept() {
        let (_folder, state) = world();
        let live = state.live(&name());
        fs::create_dir(&live).expect("made");
        fs::write(live.join("cert.pem"), "by hand\n").expect("written");
        state.install(&name(), &files("1")).expect("installed");
        assert_eq!(read(&live, "cert.pem"), "cert 1\n");
        let archive = state.archive(&name());
        let kept = file::names(&archive).expect("listed");
        let flat = kept
            .iter()
            .find(|name| name.starts_with("flat"))
            .expect("kept");
        assert_eq!(read(&archive.join(flat), "cert.pem"), "by hand\n");
    }

    #[test]
    fn a_reader_that_follows_the_link_once_never_sees_two_generations() {
        let (_folder, state) = world();
        state.install(&name(), &files("0")).expect("installed");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) {
                    let folder =
                        fs::canonicalize(state.live(&name())).expect("there is always one");
                    let Ok(cert) = fs::read_to_string(folder.join("cert.pem")) else {
                        continue; // Pruned since: three generations later.
                    };
                    let Ok(key) = fs::read_to_string(folder.join("privkey.pem")) else {
                        continue;
                    };
                    assert_eq!(
                        cert.trim_start_matches("cert"),
                        key.trim_start_matches("key")
                    );
                    seen += 1;
                }
                seen
            });
            for content in 1..=50 {
                state
                    .install(&name(), &files(&content.to_string()))
                    .expect("installed");
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().expect("no mixture") > 0);
        });
    }
}
