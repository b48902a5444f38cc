//! Configurations that cannot be used: named by file and key, before anything is made.

use std::fs;
use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::{Finished, run};
use chancery_tests::{Authority, Setup, chancery};

use super::ended_with;

const ENDS_WITHIN: Duration = Duration::from_secs(20);

fn nothing_is_made(authority: &Authority) {
    let made = fs::read_dir(authority.data()).map_or(0, Iterator::count);
    assert_eq!(made, 0, "nothing is in {}", authority.data().display());
    assert!(!authority.data().with_extension("sealing-key").exists());
}

fn is_refused(setup: Setup, words: &[&str]) {
    let authority = Authority::prepare(setup);
    ended_with(&authority.serve_to_end(), 2, words);
    nothing_is_made(&authority);
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    let file = |toml: &str, words: &[&str]| {
        is_refused(
            Setup::new().configuration(toml),
            &[words, &["chancery.toml"]].concat(),
        );
    };
    file("[validation]\nalow = [\"public\"]\n", &["alow", "allow"]);
    file("[listn]\npublic = \"127.0.0.1:1\"\n", &["listn"]);
    file(
        "[gateway.server]\nprotocol = \"acme\"\nexternal = true\n",
        &["external"],
    );
    file(
        "[profile.server]\nlifetime = \"47d\"\nlife = \"1d\"\n",
        &["life"],
    );
    file("publc = 1\n", &["publc"]);
}

#[test]
fn an_unknown_variable_is_named() {
    let variable = |name: &str, words: &[&str]| {
        is_refused(Setup::new().environment(name, "x"), words);
    };
    variable("CHANCERY_VALIDATION__ALOW", &["alow"]);
    variable("CHANCERY_LISTN__PUBLIC", &["listn"]);
    variable(
        "CHANCERY_PUBLIC",
        &["CHANCERY_PUBLIC", "CHANCERY_LISTEN__PUBLIC"],
    );
}

#[test]
fn a_bad_value_is_named_with_what_belongs_there() {
    let set =
        |key: &str, value: &str, words: &[&str]| is_refused(Setup::new().set(key, value), words);
    set("listen.public", "localhost:99999", &["public"]);
    set("validation.http_port", "70000", &["http_port"]);
    set(
        "validation.allow",
        "public,everything",
        &["validation.allow", "everything", "loopback"],
    );
    set(
        "validation.resolvers",
        "resolver.example",
        &["validation.resolvers", "resolver.example"],
    );
    set("limits.enabled", "perhaps", &["enabled"]);
    set("server.url", "http://ca.test", &["server.url", "https://"]);
    set(
        "server.status_url",
        "https://ca.test",
        &["server.status_url", "http://"],
    );
    set("store.url", "mysql://x", &["store.url", "sqlite"]);
}

#[test]
fn a_bad_value_in_a_file_is_named_too() {
    let file = |toml: &str, words: &[&str]| is_refused(Setup::new().configuration(toml), words);
    file("[profile.server]\nlifetime = \"long\"\n", &["lifetime"]);
    file("[profile.server]\nlifetime = \"0d\"\n", &["lifetime"]);
    file(
        "[gateway.server]\nchallenges = [\"http-02\"]\n",
        &["challenges", "http-02"],
    );
    file(
        "[gateway.server]\nprofiles = [\"servr\"]\n",
        &["profiles", "servr"],
    );
    file(
        "[gateway.server]\nprotocol = \"acmee\"\n",
        &["protocol", "acmee"],
    );
    file("[gateway.\"a/b\"]\nprotocol = \"acme\"\n", &["a/b"]);
    file(
        "[gateway.server]\nnames = { allow = [\"*.*.test\"] }\n",
        &["*.*.test"],
    );
    file(
        "[gateway.server]\nnames = { allow = [\"10.0.0.1/8\"] }\n",
        &["names.allow", "10.0.0.1/8", "the range begins at 10.0.0.0"],
    );
    file(
        "[gateway.server]\ncaa_identities = [\"https://ca.test\"]\n",
        &["caa_identities", "https://ca.test"],
    );
    file(
        "[gateway.server]\nprivate_suffixes = [\"*.corp.test\"]\n",
        &["private_suffixes", "*.corp.test"],
    );
    file("this is no TOML", &["chancery.toml"]);
    file("[store]\nurl = 1\n", &["store.url"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let authority = Authority::prepare(Setup::new());
    let mut command = authority.serve_command();
    command.args(["--config", "/nonexistent/chancery.toml"]);
    let finished = run(command, ENDS_WITHIN);
    ended_with(
        &finished.expect("it ends"),
        2,
        &["/nonexistent/chancery.toml", "cannot be read"],
    );
    nothing_is_made(&authority);
}

/// Runs `check-config` on a file with this text.
fn check(authority: &Authority, toml: &str) -> Finished {
    let path = authority.scratch("checked.toml");
    fs::write(&path, toml).expect("a file");
    let mut command = Command::new(chancery());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHANCERY_") {
            command.env_remove(name);
        }
    }
    command.arg("check-config").arg(path);
    run(command, ENDS_WITHIN).expect("it ends")
}

#[test]
fn a_configuration_can_be_checked_before_it_is_used() {
    let authority = Authority::prepare(Setup::new());
    let good = check(
        &authority,
        "[gateway.server]\nprotocol = \"acme\"\nnames = { allow = [\"*.corp.test\"] }\n",
    );
    assert!(good.status.success(), "{}", good.stderr);
    assert!(good.stdout.contains("can be used"), "{}", good.stdout);
    assert!(!good.stdout.contains("warning"), "{}", good.stdout);
    let bad = check(&authority, "[gatway.server]\n");
    ended_with(&bad, 2, &["gatway"]);
}

#[test]
fn a3_a_challenge_that_is_not_known_is_refused_by_name() {
    for word in [
        "tls-sni-01",
        "tls-sni-02",
        "TLS-ALPN-01",
        "http-01 ",
        "email-reply-00",
        "email",
        "whois",
        "any",
        "none",
        "*",
        "",
    ] {
        let toml = format!("[gateway.server]\nchallenges = [\"dns-01\", \"{word}\"]\n");
        let named = format!("{word:?}");
        let known = ["gateway.server.challenges", &named, "dns-01", "tls-alpn-01"];
        is_refused(Setup::new().configuration(&toml), &known);
    }
}

#[test]
fn a13_there_is_no_key_for_mail_or_registries() {
    let file = |toml: &str, word: &str| is_refused(Setup::new().configuration(toml), &[word]);
    file(
        "[validation]\nwhois_server = \"whois.test\"\n",
        "whois_server",
    );
    file("[validation]\nsmtp = \"mail.test\"\n", "smtp");
    file("[gateway.server]\nemail = true\n", "email");
    file("[mail]\nfrom = \"ca@a.test\"\n", "mail");
}

/// Settings by which other authorities, or careless ones, make everything valid.
#[test]
fn a14_no_setting_that_would_skip_a_proof_is_accepted() {
    for (name, word) in [
        ("CHANCERY_VALIDATION__SKIP", "skip"),
        ("CHANCERY_VALIDATION__ALWAYS_VALID", "always_valid"),
        ("CHANCERY_VALIDATION__ENABLED", "enabled"),
        ("CHANCERY_VALIDATION__DISABLED", "disabled"),
        (
            "CHANCERY_GATEWAY__SERVER__SKIP_VALIDATION",
            "skip_validation",
        ),
        ("CHANCERY_GATEWAY__SERVER__ALWAYS_VALID", "always_valid"),
        ("CHANCERY_TEST__MODE", "test"),
        ("CHANCERY_VA_ALWAYS_VALID", "CHANCERY_VA_ALWAYS_VALID"),
        ("CHANCERY_ALWAYS_VALID", "CHANCERY_ALWAYS_VALID"),
        ("CHANCERY_SKIP_VALIDATION", "CHANCERY_SKIP_VALIDATION"),
        ("CHANCERY_INSECURE", "CHANCERY_INSECURE"),
    ] {
        for value in ["1", "true", "false", "0"] {
            is_refused(Setup::new().environment(name, value), &[word]);
        }
    }
    for (toml, word) in [
        ("[validation]\nskip = true\n", "skip"),
        ("[validation]\nalways_valid = false\n", "always_valid"),
        ("[gateway.server]\nvalidation = false\n", "validation"),
        ("[gateway.server]\ntrusted = true\n", "trusted"),
        (
            "[profile.server]\nlifetime = \"1d\"\nunproven = true\n",
            "unproven",
        ),
        ("insecure = true\n", "insecure"),
    ] {
        is_refused(Setup::new().configuration(toml), &[word]);
    }
}

#[test]
fn b15_a_gateway_that_allows_no_name_is_warned_of_and_one_without_means_is_refused() {
    let authority = Authority::prepare(Setup::new());
    for toml in [
        "[gateway.server]\nnames = { allow = [] }\n",
        "[gateway.server]\nnames = { allow = \"\", deny = [\"*\"] }\n",
    ] {
        let warned = check(&authority, toml);
        assert!(warned.status.success(), "{}", warned.stderr);
        let lines: Vec<&str> = warned.stdout.lines().collect();
        let [warning, verdict] = lines.as_slice() else {
            panic!("a warning and a verdict: {lines:?}")
        };
        assert!(
            warning.starts_with("warning: gateway.server.names.allow is empty"),
            "{warning}"
        );
        assert!(verdict.contains("can be used"), "{verdict}");
    }
    for part in ["challenges", "profiles"] {
        for empty in ["[]", "\"\"", "\" , \""] {
            let toml = format!("[gateway.server]\n{part} = {empty}\n");
            let key = format!("gateway.server.{part}");
            let words = [key.as_str(), "at least one is needed"];
            ended_with(&check(&authority, &toml), 2, &words);
            is_refused(Setup::new().configuration(&toml), &words);
        }
    }
    let none = check(&authority, "gateway = {}\n");
    ended_with(&none, 2, &["gateway", "there is none"]);
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    let authority = Authority::prepare(Setup::new());
    let mut command = authority.serve_command();
    command.arg("--dta");
    let finished = run(command, ENDS_WITHIN);
    let finished = finished.expect("it ends");
    assert_eq!(finished.status.code(), Some(2));
    assert!(
        finished.stderr.contains("--dta") && finished.stderr.contains("--data"),
        "{}",
        finished.stderr
    );
    nothing_is_made(&authority);
}
