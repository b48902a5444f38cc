//! The data folder: made once, whole or not at all, for one process at a time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use chancery_crypto::sha256;
use chancery_tests::{Authority, Http, Setup, sentences};

use super::ended_with;

/// Every file below a folder, with a digest of what is in it.
fn files(folder: &Path) -> BTreeMap<String, [u8; 32]> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path)
                .expect("it is there")
                .file_type();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let name = path
                    .strip_prefix(folder)
                    .expect("below")
                    .display()
                    .to_string();
                found.insert(name, sha256(&fs::read(&path).expect("readable")));
            }
        }
    }
    found
}

/// What must be the same after another start: not the store, the journal and what they write beside themselves.
fn made_once(folder: &Path) -> BTreeMap<String, [u8; 32]> {
    let mut files = files(folder);
    files.retain(|name, _| {
        ["root.pem", "keys/", "tls/"]
            .iter()
            .any(|kept| name.starts_with(kept))
    });
    files
}

fn certificate_shown(authority: &Authority) -> Vec<String> {
    let certificates = authority.certificates();
    certificates
        .iter()
        .map(|one| one["serial"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_second_start_changes_nothing() {
    let mut authority = Authority::start();
    let (made, serials) = (made_once(authority.data()), certificate_shown(&authority));
    assert!(made.contains_key("root.pem") && made.keys().any(|name| name.starts_with("tls/")));
    assert_eq!(serials.len(), 1, "the server's own certificate");
    for _ in 0..2 {
        authority.restart();
        assert!(
            !authority.output().contains("made a new authority"),
            "{}",
            authority.output()
        );
        assert_eq!(made_once(authority.data()), made);
        assert_eq!(certificate_shown(&authority), serials);
    }
    let directory = Http::trusting(&authority.root_pem()).get(authority.directory());
    assert_eq!(directory.status, 200);
    authority.check_invariants();
}

#[test]
fn the_first_run_says_what_it_made() {
    let authority = Authority::start();
    let said = authority.output();
    let root = chancery_pki::pem::decode(&authority.root_pem(), "CERTIFICATE", 1).expect("PEM");
    let digest = sha256(&root[0]);
    let fingerprint: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
    assert!(said.contains(&fingerprint.join(":")), "{said}");
    assert!(
        said.contains("root.pem") && said.contains("sealing-key"),
        "{said}"
    );
    let ready = said
        .lines()
        .filter(|line| line.starts_with("ready https://"))
        .count();
    assert_eq!(ready, 1, "{said}");
}

#[test]
fn everything_private_is_private() {
    let authority = Authority::start();
    let client = authority.client();
    let _ = client.register().issue(&["a.test"]);
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(authority.data()), 0o700, "the folder itself");
    for name in files(authority.data()).keys() {
        let path = authority.data().join(name);
        assert_eq!(
            mode(&path) & 0o077,
            0,
            "{name} is for nobody else: {:o}",
            mode(&path)
        );
    }
    assert_eq!(mode(&authority.data().join("admin.sock")), 0o600);
    let sealing_key = authority.data().with_extension("sealing-key");
    assert_eq!(mode(&sealing_key), 0o600, "{}", sealing_key.display());
    let key = fs::read_to_string(authority.data().join("keys/issuer-1.key"));
    assert!(
        key.is_err() || !key.unwrap_or_default().contains("PRIVATE KEY"),
        "keys are sealed"
    );
}

#[test]
fn a_second_process_is_refused() {
    let authority = Authority::start();
    let second = authority.serve_to_end();
    ended_with(&second, 1, &["another chancery runs on", "stop it"]);
    assert!(authority.is_running());
    let directory = Http::trusting(&authority.root_pem()).get(authority.directory());
    assert_eq!(directory.status, 200, "the first one is not disturbed");
    assert_eq!(
        authority.certificates().len(),
        1,
        "its socket is its own still"
    );
}

#[test]
fn what_is_missing_is_asked_for_by_name() {
    let cases = [
        ("keys", &["keys", "backup"][..]),
        ("journal", &["journal", "backup"]),
        ("chancery.db", &["store", "backup"]),
    ];
    for (missing, words) in cases {
        let mut authority = Authority::start();
        authority.stop();
        let away = authority.scratch("away");
        fs::create_dir(&away).expect("a folder");
        let parts: Vec<_> = fs::read_dir(authority.data())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().starts_with(missing))
            .collect();
        assert!(!parts.is_empty(), "{missing}");
        for part in &parts {
            fs::rename(authority.data().join(part), away.join(part)).expect("it can be moved");
        }
        let before = files(authority.data());
        ended_with(&authority.serve_to_end(), 1, words);
        let after = files(authority.data());
        assert_eq!(after, before, "without {missing} nothing is made");
        // Put back, it goes on.
        for part in &parts {
            fs::rename(away.join(part), authority.data().join(part)).expect("it can be moved");
        }
        authority.serve();
        authority.check_invariants();
    }
}

#[test]
fn without_the_sealing_key_the_signer_says_so() {
    let mut authority = Authority::start();
    authority.stop();
    let sealing_key = authority.data().with_extension("sealing-key");
    fs::rename(&sealing_key, authority.scratch("away")).expect("it can be moved");
    ended_with(&authority.serve_to_end(), 1, &["sealing key"]);
    assert!(
        !sealing_key.exists(),
        "no other key is made for files that are sealed already"
    );
    fs::rename(authority.scratch("away"), &sealing_key).expect("it can be moved");
    authority.serve();
}

#[test]
fn keys_of_another_authority_are_noticed() {
    let mut authority = Authority::start();
    let mut other = Authority::start();
    authority.stop();
    other.stop();
    for part in ["keys", "journal"] {
        fs::remove_dir_all(authority.data().join(part)).expect("it can be removed");
        fs::rename(other.data().join(part), authority.data().join(part)).expect("it can be moved");
    }
    let key = |of: &Authority| of.data().with_extension("sealing-key");
    fs::rename(key(&other), key(&authority)).expect("it can be moved");
    ended_with(&authority.serve_to_end(), 1, &["belong"]);
}

#[test]
fn a_first_run_that_was_interrupted_is_not_gone_on_with() {
    let mut authority = Authority::prepare(Setup::new());
    fs::create_dir(authority.data()).expect("a folder");
    let marker = authority.data().join("first-run.unfinished");
    fs::write(&marker, "").expect("a file");
    ended_with(
        &authority.serve_to_end(),
        1,
        &["interrupted", "remove", "start again"],
    );
    // What it says helps.
    fs::remove_dir_all(authority.data()).expect("it can be removed");
    authority.serve();
}

#[test]
fn a_first_run_may_be_killed_at_any_moment() {
    let mut ready = 0;
    for kill_after_ms in [1, 5, 10, 20, 30, 40, 60, 80, 120] {
        let mut authority = Authority::prepare(Setup::new());
        let program = chancery_testkit::process::Program::spawn(authority.serve_command());
        let program = program.expect("it starts");
        // Long enough for some of the work: this is the one thing that is not waited for.
        let ended = program.wait(Duration::from_millis(kill_after_ms));
        assert!(ended.is_err(), "it goes on by itself");
        program.kill9_all().expect("it can be killed");
        drop(program);
        match authority.try_serve() {
            Ok(()) => ready += 1,
            Err(_) => {
                let told = authority.serve_to_end();
                ended_with(&told, 1, &["remove", "start again"]);
                // It names everything that has to go.
                let sentence = sentences(&told).remove(0);
                assert!(
                    sentence.contains(&authority.data().display().to_string()),
                    "{sentence}"
                );
                fs::remove_dir_all(authority.data()).expect("it can be removed");
                fs::remove_file(authority.data().with_extension("sealing-key")).ok();
                authority.serve();
            }
        }
        authority.check_invariants();
        let client = authority.client();
        let _ = client.register().issue(&["a.test"]);
    }
    assert!(ready > 0, "the earliest kills leave nothing behind");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // As root every folder can be written, but not below a file, nor where the kernel makes the files.
    let file = Authority::prepare(Setup::new());
    let below_a_file = file.scratch("a-file").join("data");
    fs::write(file.scratch("a-file"), "").expect("a file");
    for data in [
        below_a_file.as_path(),
        Path::new("/proc/chancery"),
        Path::new("/dev/null"),
    ] {
        let authority = Authority::prepare(Setup::new().data(data));
        let told = authority.serve_to_end();
        ended_with(
            &told,
            1,
            &["data folder", &data.display().to_string(), "writable"],
        );
    }
}

#[test]
fn a_data_folder_may_be_a_link() {
    let mut authority = Authority::prepare(Setup::new());
    let elsewhere = authority.scratch("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    symlink(&elsewhere, authority.data()).expect("a link");
    authority.serve();
    let root = authority.root_pem();
    authority.restart();
    assert_eq!(authority.root_pem(), root);
    assert!(elsewhere.join("root.pem").is_file());
}
