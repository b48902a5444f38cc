//! Addresses as identifiers (RFC 8738): how they are written, how they are proven, what the certificate says.

use std::net::{Ipv4Addr, SocketAddr};

use chancery_pki::San;
use chancery_testkit::hostile_alpn::{Answer, ChallengeCertificate, HostileAlpn};
use chancery_tests::{Account, Authority, Order, Setup, csr_for, new_key, runtime};
use serde_json::json;

const HOME: &str = "127.0.0.1";

fn certificate(account: &Account<'_>, order: &Order, names: &[&str]) -> Vec<San> {
    let order = account.look_at(order).expect("the order");
    assert_eq!(order.status(), "ready", "{}", order.object);
    let key = new_key();
    let csr = csr_for(&key, names);
    let issued = account.try_fetch(&order, key, &csr).expect("a certificate");
    issued.leaf().sans().to_vec()
}

#[test]
fn an_address_is_proven_by_http_01_at_the_address_itself() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.order_typed(&[("ip", HOME), ("dns", "a.test")]);
    let identifiers = json!([
        { "type": "dns", "value": "a.test" },
        { "type": "ip", "value": HOME },
    ]);
    assert_eq!(order.object["identifiers"], identifiers);
    let order = account.try_prove(&order).expect("both are proven");
    let expected = ["a.test", HOME].map(|name| San::parse(name).expect("a name"));
    assert_eq!(certificate(&account, &order, &["a.test", HOME]), expected);
}

#[test]
fn an_address_is_proven_by_tls_alpn_01_under_its_reverse_name() {
    let authority = Authority::start();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, authority.tls_port()));
    let web = runtime().block_on(HostileAlpn::start_on(addr));
    let web = web.expect("the port is free");
    let client = authority.client();
    let account = client.register();
    let order = account.order_typed(&[("ip", HOME)]);
    let url = order.authorizations().remove(0);
    let challenge = account.challenge(&url, "tls-alpn-01");
    let proof = account.key_authorization(challenge["token"].as_str().expect("a token"));
    let address = San::parse(HOME).expect("an address");
    let shown = ChallengeCertificate::right(&address, &proof);
    web.on("1.0.0.127.in-addr.arpa", Answer::Show(shown));
    account.respond(&url, "tls-alpn-01");
    let decided = account.decided(&url, &["valid", "invalid"]);
    let decided = decided.expect("an answer").json();
    assert_eq!(decided["status"], "valid", "{decided}");
    assert_eq!(certificate(&account, &order, &[HOME]), [address]);
}

#[test]
fn addresses_of_both_families_are_never_offered_dns_01() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    for address in ["10.0.0.1", "fd00::1", "2001:db8::1"] {
        let order = account.order_typed(&[("ip", address)]);
        let url = order.authorizations().remove(0);
        assert_eq!(account.offered(&url), ["http-01", "tls-alpn-01"]);
        let identifier = account.read(&url).json()["identifier"].clone();
        assert_eq!(identifier, json!({ "type": "ip", "value": address }));
    }
}

#[test]
fn a_gateway_with_dns_01_alone_takes_no_address() {
    let setup = Setup::new().set("gateway.server.challenges", "dns-01");
    let authority = Authority::start_with(setup);
    let client = authority.client();
    let account = client.register();
    let asked = json!({ "identifiers": [{ "type": "ip", "value": HOME }] });
    let reply = account.send(&client.url("newOrder"), &asked);
    assert_eq!(reply.in_short(), "400 rejectedIdentifier");
}

#[test]
fn ranges_decide_which_addresses_a_gateway_takes() {
    let setup = Setup::new()
        .set("gateway.server.names.allow", "10.0.0.0/8,fd00::/8,*.a.test")
        .set("gateway.server.names.deny", "10.9.0.0/16");
    let authority = Authority::start_with(setup);
    let client = authority.client();
    let account = client.register();
    for (kind, value, expected) in [
        ("ip", "10.1.2.3", 201),
        ("ip", "fd00::7", 201),
        ("dns", "x.a.test", 201),
        ("ip", "10.9.0.1", 400),
        ("ip", "192.168.0.1", 400),
        ("ip", "2001:db8::1", 400),
        ("dns", "b.test", 400),
    ] {
        let asked = json!({ "identifiers": [{ "type": kind, "value": value }] });
        let reply = account.send(&client.url("newOrder"), &asked);
        assert_eq!(reply.status, expected, "{value}: {}", reply.text());
        if expected == 400 {
            assert_eq!(reply.in_short(), "400 rejectedIdentifier", "{value}");
        }
    }
}

#[test]
fn b3_an_address_that_may_not_be_dialled_is_not_dialled_because_it_was_ordered() {
    let setup = Setup::new()
        .set("validation.allow", "public,private")
        .without_web_host();
    let authority = Authority::start_with(setup);
    let canary = chancery_testkit::Canary::start(SocketAddr::from((
        Ipv4Addr::LOCALHOST,
        authority.http_port(),
    )));
    let canary = canary.expect("the port is free");
    let client = authority.client();
    let account = client.register();
    let order = account.order_typed(&[("ip", HOME)]);
    let url = order.authorizations().remove(0);
    account.respond(&url, "http-01");
    let decided = account.decided(&url, &["valid", "invalid"]);
    let decided = decided.expect("an answer").json();
    assert_eq!(decided["status"], "invalid");
    let error = &decided["challenges"][0]["error"];
    let kind = "urn:ietf:params:acme:error:connection";
    assert_eq!(error["type"], kind, "{decided}");
    assert_eq!(canary.visits(), 0);
}
