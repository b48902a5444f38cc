use std::path::{Path, PathBuf};

use chancery_acme::{HTTP01_PATH, Token};

use crate::AgentError;
use crate::state;

/// The web server reads through it.
const FOLDER: u32 = 0o755;

/// Answers as files below a web server's folder. The only part of a path that comes from the CA is a [`Token`].
#[derive(Debug)]
pub(crate) struct Webroot {
    folder: PathBuf,
    put_up: Vec<Token>,
}

impl Webroot {
    /// Makes the challenge folder and checks that it can be written.
    pub(crate) fn open(root: &Path) -> Result<Self, AgentError> {
        // A mistyped folder is not made: nobody would serve it.
        state::check_folder(root)?;
        let folder = challenges(root);
        state::make_folder(&folder, FOLDER)?;
        state::check_folder(&folder)?;
        Ok(Self {
            folder,
            put_up: Vec::new(),
        })
    }

    pub(crate) fn put(&mut self, token: &Token, key_authorization: &str) -> Result<(), AgentError> {
        self.put_up.push(token.clone());
        let path = self.folder.join(token.as_str());
        state::replace(&path, key_authorization.as_bytes(), state::PUBLIC)
    }

    /// Removes an answer that an agent left which was killed.
    pub(crate) fn remove_left(root: &Path, token: &Token) -> Result<(), AgentError> {
        state::remove(&challenges(root).join(token.as_str()))
    }
}

impl Drop for Webroot {
    fn drop(&mut self) {
        for token in &self.put_up {
            if let Err(error) = state::remove(&self.folder.join(token.as_str())) {
                tracing::warn!("an http-01 answer was left behind: {error}");
            }
        }
    }
}

fn challenges(root: &Path) -> PathBuf {
    root.join(HTTP01_PATH.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use chancery_testkit::TempDir;

    use super::*;

    fn token(last: &str) -> Token {
        Token::parse(&format!("{}{last}", "a".repeat(30))).expect("a token")
    }

    #[test]
    fn answers_are_files_while_they_are_needed_and_others_stay() {
        let root = TempDir::new("agent-webroot").expect("made");
        let folder = challenges(root.path());
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("of-another-client"), "x").expect("written");
        let mut webroot = Webroot::open(root.path()).expect("writable");
        webroot.put(&token("1"), "one").expect("written");
        webroot.put(&token("2"), "two").expect("written");
        assert_eq!(
            fs::read_to_string(folder.join(token("2").as_str())).expect("there"),
            "two"
        );
        drop(webroot);
        let left: Vec<_> = fs::read_dir(&folder).expect("listed").flatten().collect();
        assert_eq!(left.len(), 1);
        assert!(folder.join("of-another-client").exists());
    }

    #[test]
    fn what_a_killed_agent_left_is_removed_by_name() {
        let root = TempDir::new("agent-webroot").expect("made");
        let mut webroot = Webroot::open(root.path()).expect("writable");
        webroot.put(&token("1"), "one").expect("written");
        std::mem::forget(webroot);
        Webroot::remove_left(root.path(), &token("1")).expect("removed");
        Webroot::remove_left(root.path(), &token("1")).expect("nothing to do");
        assert!(!challenges(root.path()).join(token("1").as_str()).exists());
    }

    #[test]
    fn a_mistyped_folder_is_not_made() {
        let root = TempDir::new("agent-webroot").expect("made");
        let error = Webroot::open(&root.join("typo"))
            .expect_err("refused")
            .to_string();
        assert!(error.contains("typo"), "{error}");
        assert!(!root.join("typo").exists());
    }
}
