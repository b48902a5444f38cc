//! Where programs and scripts are.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The program under test: `CHANCERY_BIN`, else the `chancery` that was built with this test.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn chancery() -> PathBuf {
    if let Some(named) = std::env::var_os("CHANCERY_BIN") {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "CHANCERY_BIN names {}, which is no file",
            named.display()
        );
        return named;
    }
    // target/PROFILE/deps/it-… is a test of this package, target/PROFILE/conform its program.
    let this = std::env::current_exe().expect("a program has a path");
    let beside = this.ancestors().skip(1).take(2);
    let built = beside.map(|folder| folder.join("chancery"));
    let built = built
        .reduce(|near, above| if near.is_file() { near } else { above })
        .expect("a program lies in a folder");
    assert!(
        built.is_file(),
        "{} is missing: `cargo xtask test` builds it before it runs tests, or use `cargo build --release --workspace`",
        built.display()
    );
    built
}

/// Our agent, as it was built with [`chancery`].
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn agent() -> PathBuf {
    let built = chancery().with_file_name("chancery-agent");
    assert!(
        built.is_file(),
        "{} is missing: `cargo xtask test` builds it before it runs tests",
        built.display()
    );
    built
}

/// A script of this package, from the folder `clients`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// Records that the running test cannot run here for another want than a tool's, as `chancery_testkit::require` does
/// for tools; the test returns then.
///
/// # Panics
/// When `CI` is `true`, where nothing may be skipped.
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{reason}; with CI=true a test may not be skipped for that"
    );
    eprintln!("skipped: {reason}");
    let Some(skips) = std::env::var_os("CHANCERY_SKIPS") else {
        return;
    };
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&skips)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("cannot record a skip in {skips:?}: {error}"));
}
