//! Other people's clients, and ours beside them: register, issue with ECDSA and RSA keys and several names, wildcards by dns-01 where the
//! client can, renew, revoke both ways, deactivate.

mod acme_client_npm;
mod acme_tiny;
mod acmetool;
mod agent;
mod apache;
mod caddy;
mod certbot;
mod dehydrated;
mod extensions;
mod instant_acme;
mod lego;
mod root_acme_npm;
mod rustls_acme;
mod uacme;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chancery_pki::{Certificate, pem};
use chancery_testkit::process::{Finished, Program, run};
use chancery_tests::openssl::{Dossier, key_of, served_chain};
use chancery_tests::{Authority, Setup, eventually};

/// Two names are done in a second or two by most; acmetool waits five seconds of its own, and machines are busy.
const WITHIN: Duration = Duration::from_secs(120);

const P256: &str = "id-ecPublicKey (256 bit)";
const P384: &str = "id-ecPublicKey (384 bit)";
const RSA_2048: &str = "rsaEncryption (2048 bit)";

/// Certificates that live for 39 s after the minute by which they are dated back: clients that renew when a third of
/// the whole is left do so six seconds after they got one. They come by a gateway of their own, since the server's own
/// certificate is of the default gateway's profile.
fn short_lived() -> Setup {
    Setup::new()
        .without_web_host()
        .set("profile.short.lifetime", "99s")
        .set("gateway.short.profiles", "short")
}

/// The directory of that gateway.
fn short_lived_directory(authority: &Authority) -> String {
    authority
        .directory()
        .replace("/acme/directory", "/acme/short/directory")
}

/// A client that goes on by itself; it tells what it said when its story fails.
struct Unattended(Program);

impl Unattended {
    fn start(command: Command) -> Self {
        Self(Program::spawn(command).unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Drop for Unattended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.0.lines();
            lines.iter().for_each(|line| eprintln!("{}", line.text));
        }
    }
}

/// Runs a client to its end, whatever that is.
fn finish(command: Command) -> Finished {
    run(command, WITHIN).unwrap_or_else(|error| panic!("{error}"))
}

/// The same where the client must be content.
fn succeed(command: Command) -> Finished {
    let said = format!("{command:?}");
    let finished = finish(command);
    assert!(
        finished.status.success(),
        "{said}: {}{}",
        finished.stdout,
        finished.stderr
    );
    finished
}

/// The text of a file that a client wrote.
fn text_of(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a server presents for a name as soon as that is a certificate of ours, and not this one.
fn served_after(authority: &Authority, port: u16, name: &str, before: &str) -> String {
    eventually("a new certificate is served", WITHIN, || {
        served_chain(authority, port, name).filter(|chain| chain != before)
    })
}

/// The same as [`is_a_good_chain`], and the certificate is for a key of this kind.
fn is_a_good_chain_for(authority: &Authority, kind: &str, chain: &str, names: &[&str]) -> String {
    assert_eq!(key_of(authority, chain), kind);
    is_a_good_chain(authority, chain, names)
}

/// What a client was given: names as asked for, a chain that holds, an entry in the inventory. Gives the serial.
fn is_a_good_chain(authority: &Authority, chain_pem: &str, names: &[&str]) -> String {
    let chain = pem::decode(chain_pem, "CERTIFICATE", 8).expect("a chain in PEM");
    let leaf = Certificate::parse(&chain[0]).expect("a certificate");
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    let mut got: Vec<String> = leaf.sans().iter().map(ToString::to_string).collect();
    got.sort_unstable();
    assert_eq!(got, wanted);
    let serial = leaf.serial().to_hex();
    let judged = Dossier::collect(authority, &serial, chain_pem).verify();
    assert!(
        judged.status.success(),
        "{}{}",
        judged.stdout,
        judged.stderr
    );
    let mut listed = authority.certificates().into_iter();
    let listed = listed.find(|listed| listed["serial"] == serial.as_str());
    let listed = listed.expect("it is in the inventory");
    let known = listed["names"].as_array().into_iter().flatten();
    let mut known: Vec<&str> = known.filter_map(serde_json::Value::as_str).collect();
    known.sort_unstable();
    assert_eq!(known, wanted);
    assert_eq!(listed["status"], "good");
    serial
}

fn status_of(authority: &Authority, serial: &str) -> String {
    let shown = authority.told(&["cert", "show", serial]).remove(0);
    shown["status"].as_str().unwrap_or_default().to_owned()
}
