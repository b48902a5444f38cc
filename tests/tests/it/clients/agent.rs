//! Our own agent, where the operator of the CA has to vouch for it.

use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::{Finished, run};
use chancery_tests::{Authority, Setup, agent};

use super::is_a_good_chain;

struct Agent<'a> {
    authority: &'a Authority,
}

impl Agent<'_> {
    fn run(&self, words: &[&str]) -> Finished {
        let mut command = Command::new(agent());
        let listen = format!("127.0.0.1:{}", self.authority.http_port());
        command
            .args(words)
            .arg("--prefix")
            .arg(self.authority.scratch("agent"))
            .args(["--ca", self.authority.directory()])
            .args(["--http-listen", &listen])
            .arg("--root")
            .arg(self.authority.root());
        run(command, Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn chain(&self) -> String {
        let path = self
            .authority
            .scratch("agent")
            .join("live/a.test/fullchain.pem");
        std::fs::read_to_string(path).expect("it is installed")
    }
}

#[test]
fn the_agent_shows_a_binding_and_needs_it_once() {
    let setup = Setup::new().without_web_host();
    let setup = setup.set("gateway.server.external_account_required", true);
    let authority = Authority::start_with(setup);
    let agent = Agent {
        authority: &authority,
    };
    let refused = agent.run(&["obtain", "-d", "a.test"]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("--eab-kid"),
        "{} {}",
        refused.stdout,
        refused.stderr
    );

    let given = authority.eab(&["--single-use", "--name", "a.test"]);
    let file = authority.scratch("eab.key");
    std::fs::write(&file, &given.hmac_key).expect("written");
    let file = file.to_str().expect("text");
    let bound = ["--eab-kid", &given.kid, "--eab-hmac-key-file", file];
    let missing = agent.run(&[
        "obtain",
        "-d",
        "a.test",
        "--eab-kid",
        &given.kid,
        "--eab-hmac-key-file",
        "/nowhere",
    ]);
    assert_eq!(missing.status.code(), Some(2), "{}", missing.stderr);
    let done = agent.run(&[&["obtain", "-d", "a.test"][..], &bound].concat());
    assert!(done.status.success(), "{} {}", done.stdout, done.stderr);
    let first = is_a_good_chain(&authority, &agent.chain(), &["a.test"]);
    let renewed = agent.run(&["renew", "--force"]);
    assert!(
        renewed.status.success(),
        "{} {}",
        renewed.stdout,
        renewed.stderr
    );
    let second = is_a_good_chain(&authority, &agent.chain(), &["a.test"]);
    assert_ne!(first, second);
    authority.check_invariants();
}
