//! CAA (RFC 8659, RFC 8657) at the front door: against a real authoritative server, and against a hostile one.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use chancery_testkit::hostile_dns::{Behaviour, HostileDns, RecordType, ResponseCode};
use chancery_testkit::process::Program;
use chancery_testkit::{TempDir, free_port, require};
use chancery_tests::{Account, Authority, Setup, csr_for, new_key, runtime};
use serde_json::Value;

const OURS: &str = "ca.corp.test";
const CAA: &str = "urn:ietf:params:acme:error:caa";

/// An authority that asks about every name but those below `private.test`.
fn setup(resolver: SocketAddr) -> Setup {
    Setup::new()
        .set("gateway.server.caa_identities", OURS)
        .set("gateway.server.private_suffixes", "private.test,internal")
        .resolver(resolver)
}

/// Proves a name by http-01 and gives its authorization as it is in the end.
fn outcome(account: &Account<'_>, name: &str) -> Value {
    let order = account.order(&[name]);
    account.try_prove(&order).ok();
    let url = order.authorizations().remove(0);
    account.read(&url).json()
}

fn is_refused(account: &Account<'_>, name: &str, word: &str) {
    let object = outcome(account, name);
    assert_eq!(object["status"], "invalid", "{name}: {object}");
    let error = &object["challenges"][0]["error"];
    assert_eq!(error["type"], CAA, "{name}: {object}");
    let detail = error["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(word), "{name}: {detail}");
}

fn is_proven(account: &Account<'_>, name: &str) {
    let object = outcome(account, name);
    assert_eq!(object["status"], "valid", "{name}: {object}");
}

/// A real authoritative server with a zone `test`.
struct Knot {
    addr: SocketAddr,
    _program: Program,
    _folder: TempDir,
}

impl Knot {
    /// `None` where there is no Knot on this machine.
    fn start(zone: &str) -> Option<Self> {
        let knotd = require("knotd")?;
        let folder = TempDir::new("knot").expect("a folder");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let path = folder.path().display();
        let port = addr.port();
        let configuration = format!(
            "server:\n    rundir: \"{path}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\n\
             log:\n  - target: stdout\n    any: info\n\
             database:\n    storage: \"{path}\"\n\
             zone:\n  - domain: test\n    storage: \"{path}\"\n    file: test.zone\n"
        );
        let file = folder.join("knot.conf");
        std::fs::write(&file, configuration).expect("written");
        std::fs::write(folder.join("test.zone"), zone).expect("written");
        let mut command = Command::new(knotd);
        command.arg("-c").arg(&file);
        let program = Program::spawn(command).expect("knotd starts");
        let ready = |line: &str| line.contains("server started");
        program
            .wait_for_line(ready, Duration::from_secs(20))
            .unwrap_or_else(|error| panic!("{error}"));
        Some(Self {
            addr,
            _program: program,
            _folder: folder,
        })
    }
}

/// What a zone file says of every kind of name that matters. `@ACCOUNT@` is the account's URL.
const ZONE: &str = r#"$ORIGIN test.
$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
* A 127.0.0.1
plain A 127.0.0.1
ours A 127.0.0.1
ours CAA 0 issue "ca.corp.test"
deep.ours A 127.0.0.1
x.y.ours A 127.0.0.1
others A 127.0.0.1
others CAA 0 issue "other-ca.test"
deep.others A 127.0.0.1
opened.others A 127.0.0.1
opened.others CAA 0 issue "ca.corp.test"
nobody A 127.0.0.1
nobody CAA 0 issue ";"
wild A 127.0.0.1
wild CAA 0 issue "ca.corp.test"
wild CAA 0 issuewild ";"
critical A 127.0.0.1
critical CAA 128 future "x"
lenient A 127.0.0.1
lenient CAA 1 future "x"
alias CNAME target
target A 127.0.0.1
target CAA 0 issue "other-ca.test"
method A 127.0.0.1
method CAA 0 issue "ca.corp.test; validationmethods=dns-01"
both A 127.0.0.1
both CAA 0 issue "ca.corp.test; validationmethods=dns-01,http-01"
account A 127.0.0.1
account CAA 0 issue "ca.corp.test; accounturi=https://ca.corp.test/acme/server/account/x"
host.private A 127.0.0.1
private CAA 0 issue ";"
"#;

#[test]
fn a_real_zone_decides_who_may_issue() {
    let Some(knot) = Knot::start(ZONE) else {
        return;
    };
    let authority = Authority::start_with(setup(knot.addr));
    let client = authority.client();
    let account = client.register();
    for name in [
        "plain.test",
        "ours.test",
        "deep.ours.test",
        "x.y.ours.test",
        "opened.others.test",
        "wild.test",
        "lenient.test",
        "both.test",
        "host.private.test",
    ] {
        is_proven(&account, name);
    }
    for (name, word) in [
        ("others.test", "permits other-ca.test, not ca.corp.test"),
        ("deep.others.test", "at others.test"),
        ("nobody.test", "permits nobody"),
        ("critical.test", "critical property \"future\""),
        ("alias.test", "permits other-ca.test"),
        ("method.test", "validationmethods"),
        ("account.test", "accounturi is that of another account"),
    ] {
        is_refused(&account, name, word);
    }
}

#[test]
fn the_url_that_clients_see_is_the_one_that_a_record_binds() {
    let dns = runtime()
        .block_on(HostileDns::start())
        .expect("a DNS server");
    let address = Behaviour::address(Ipv4Addr::LOCALHOST.into());
    for name in ["bound.test", "strange.test"] {
        dns.on(name, RecordType::A, [address.clone()]);
    }
    let authority = Authority::start_with(setup(dns.addr()));
    let client = authority.client();
    let (account, stranger) = (client.register(), client.register());
    let value = format!("{OURS}; accounturi={}", account.url);
    for name in ["bound.test", "strange.test"] {
        let record = Behaviour::caa(&[(0, "issue", &value)]);
        dns.on(name, RecordType::CAA, [record]);
    }
    is_proven(&account, "bound.test");
    is_refused(&stranger, "strange.test", "accounturi");
}

#[test]
fn what_a_hostile_server_leaves_unsaid_is_a_refusal() {
    let dns = runtime()
        .block_on(HostileDns::start())
        .expect("a DNS server");
    let address = Behaviour::address(Ipv4Addr::LOCALHOST.into());
    let hostile = [
        ("servfail.test", Behaviour::Code(ResponseCode::ServFail)),
        ("silent.test", Behaviour::Silence),
        ("looped.test", Behaviour::CnameLoop { links: 3 }),
        (
            "chained.test",
            Behaviour::CnameChain {
                links: 50,
                end: Vec::new(),
            },
        ),
        ("cut.test", Behaviour::AlwaysTruncated),
        ("garbage.test", Behaviour::Raw(vec![0x81, 0x80, 0, 1, 0, 9])),
        (
            "huge.test",
            Behaviour::caa(&[(0, "issue", &"x".repeat(2000))]),
        ),
    ];
    for (name, behaviour) in &hostile {
        dns.on(name, RecordType::A, [address.clone()]);
        dns.on(name, RecordType::CAA, [behaviour.clone()]);
    }
    let authority = Authority::start_with(setup(dns.addr()));
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    // Together: those that say nothing take their time.
    let names = hostile.each_ref().map(|(name, _)| *name);
    let order = account.order(&names);
    let urls = order.authorizations();
    for url in &urls {
        let challenge = account.challenge(url, "http-01");
        let token = challenge["token"].as_str().expect("a token");
        let proof = account.key_authorization(token);
        authority.site().tokens.put_token(token, proof);
        account.respond(url, "http-01");
    }
    for url in &urls {
        let decided = account.decided(url, &["valid", "invalid"]);
        let object = decided.expect("an answer").json();
        assert_eq!(object["status"], "invalid", "{object}");
        let error = &object["challenges"][0]["error"];
        assert_eq!(error["type"], CAA, "{object}");
    }
    calm.holds(&authority);
}

#[test]
fn the_directory_tells_the_names_and_without_any_nothing_is_asked() {
    let dns = runtime()
        .block_on(HostileDns::start())
        .expect("a DNS server");
    let address = Behaviour::address(Ipv4Addr::LOCALHOST.into());
    dns.on("a.test", RecordType::A, [address]);
    dns.on(
        "a.test",
        RecordType::CAA,
        [Behaviour::caa(&[(0, "issue", ";")])],
    );
    let told = |authority: &Authority| {
        let reply = authority.client().http.get(authority.directory());
        reply.json()["meta"]["caaIdentities"].clone()
    };
    let authority = Authority::start_with(setup(dns.addr()));
    assert_eq!(told(&authority), serde_json::json!([OURS]));
    drop(authority);
    let authority = Authority::start_with(Setup::new().resolver(dns.addr()));
    assert_eq!(told(&authority), Value::Null);
    let client = authority.client();
    let account = client.register();
    let object = outcome(&account, "a.test");
    assert_eq!(object["status"], "valid", "{object}");
    assert_eq!(dns.asked("a.test", RecordType::CAA), 0);
}

#[test]
fn a_certificate_is_issued_where_caa_permits_and_a_fresh_answer_is_not_asked_for_twice() {
    let dns = runtime()
        .block_on(HostileDns::start())
        .expect("a DNS server");
    let address = Behaviour::address(Ipv4Addr::LOCALHOST.into());
    dns.on("a.test", RecordType::A, [address]);
    dns.on(
        "a.test",
        RecordType::CAA,
        [Behaviour::caa(&[(0, "issue", OURS)])],
    );
    let authority = Authority::start_with(setup(dns.addr()));
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test"]);
    let key = new_key();
    let csr = csr_for(&key, &["a.test"]);
    account.try_fetch(&order, key, &csr).expect("a certificate");
    assert_eq!(dns.asked("a.test", RecordType::CAA), 1);
}

#[test]
fn a1_what_was_not_asked_with_the_proof_is_asked_at_finalize_and_exactly_the_failing_name_is_told()
{
    const NAMES: [&str; 3] = ["a.test", "b.test", "host.private.test"];
    let dns = runtime()
        .block_on(HostileDns::start())
        .expect("a DNS server");
    let address = Behaviour::address(Ipv4Addr::LOCALHOST.into());
    for name in NAMES {
        dns.on(name, RecordType::A, [address.clone()]);
        let ours = Behaviour::caa(&[(0, "issue", OURS)]);
        dns.on(name, RecordType::CAA, [ours]);
    }
    let others = Behaviour::caa(&[(0, "issue", "other-ca.test")]);
    dns.on("b.test", RecordType::CAA, [others]);
    let mut authority = Authority::start_with(Setup::new().resolver(dns.addr()));
    let (key, order) = {
        let client = authority.client();
        let account = client.register();
        let order = account.ready_order(&NAMES);
        (account.key.to_pkcs8().expect("a key"), order)
    };
    authority.set("gateway.server.caa_identities", OURS);
    authority.set("gateway.server.private_suffixes", "private.test");
    authority.restart();
    let client = authority.client();
    let key = chancery_crypto::PrivateKey::from_pkcs8(&key).expect("a key");
    let account = client.register_with(key);
    let refused = account.finalize(&order, &csr_for(&new_key(), &NAMES));
    assert_eq!(refused.in_short(), "403 caa", "{}", refused.text());
    let told = refused.json();
    let subproblems = told["subproblems"].as_array().expect("subproblems");
    let [only] = subproblems.as_slice() else {
        panic!("one subproblem: {told}")
    };
    assert_eq!(only["type"], CAA);
    assert_eq!(only["identifier"]["value"], "b.test");
    for (name, asked) in [("a.test", 1), ("b.test", 1), ("host.private.test", 0)] {
        assert_eq!(dns.asked(name, RecordType::CAA), asked, "{name}");
    }
    // The order is as it was; once the owner permits, the same request is good.
    let ours = Behaviour::caa(&[(0, "issue", OURS)]);
    dns.on("b.test", RecordType::CAA, [ours]);
    let key = new_key();
    let csr = csr_for(&key, &NAMES);
    account.try_fetch(&order, key, &csr).expect("a certificate");
    assert_eq!(dns.asked("a.test", RecordType::CAA), 1);
    authority.check_invariants();
}
