//! The first run, the second, and everything that can be wrong with either: one sentence that says what to do, and
//! nothing half made.

mod clock;
mod configuration;
mod disk;
mod folder;
mod network;

use chancery_testkit::process::Finished;
use chancery_tests::sentences;

/// That a program ended with this code and one sentence, in which all these words are.
fn ended_with(finished: &Finished, code: i32, words: &[&str]) {
    let told = sentences(finished);
    let [sentence] = told.as_slice() else {
        panic!(
            "one sentence, not {told:?}; all of it:\n{}{}",
            finished.stdout, finished.stderr
        )
    };
    for word in words {
        assert!(sentence.contains(word), "{word:?} in {sentence:?}");
    }
    assert_eq!(finished.status.code(), Some(code), "{sentence}");
    assert!(!finished.stdout.contains("ready "), "{}", finished.stdout);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}
