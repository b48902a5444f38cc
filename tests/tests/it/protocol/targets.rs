//! Where validation may connect (failures B3): nowhere near home, whatever DNS and web servers say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use chancery_testkit::Canary;
use chancery_testkit::hostile_dns::{Behaviour, HostileDns, RecordType};
use chancery_testkit::hostile_http::{HostileHttp, Reply};
use chancery_tests::{Account, Authority, Setup, runtime};
use serde_json::Value;

/// An address of this machine that is permitted by name where its class is not.
const PERMITTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Orders all names, answers their http-01 challenges, and gives the challenge of each as it is in the end.
fn outcomes(account: &Account<'_>, names: &[&str]) -> Vec<(String, Value)> {
    let order = account.order(names);
    for url in order.authorizations() {
        account.respond(&url, "http-01");
    }
    let outcome = |url: String| {
        let object = account
            .decided(&url, &["valid", "invalid"])
            .expect("an answer")
            .json();
        let name = object["identifier"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let all = object["challenges"].as_array().cloned().unwrap_or_default();
        let http = all
            .into_iter()
            .find(|challenge| challenge["type"] == "http-01");
        (name, http.expect("the challenge that was answered"))
    };
    order.authorizations().into_iter().map(outcome).collect()
}

fn is_no_connection(name: &str, challenge: &Value) {
    assert_eq!(challenge["status"], "invalid", "{name}: {challenge}");
    let kind = "urn:ietf:params:acme:error:connection";
    assert_eq!(challenge["error"]["type"], kind, "{name}: {challenge}");
}

/// Where nobody may come: the port of http-01 on both loopback addresses.
fn canaries(port: u16) -> Vec<Canary> {
    let v4 = Canary::start(SocketAddr::from(([127, 0, 0, 1], port))).expect("the port is free");
    // Some machines have no IPv6.
    let v6 = Canary::start(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
    std::iter::once(v4).chain(v6).collect()
}

fn nobody_came(canaries: &[Canary]) {
    for canary in canaries {
        assert_eq!(canary.visits(), 0, "{}", canary.addr());
    }
}

#[test]
fn b3_names_that_lead_home_are_not_followed() {
    let authority = Authority::start_with(
        Setup::new()
            .set("validation.allow", "public,private")
            .without_web_host(),
    );
    let canaries = canaries(authority.http_port());
    let addresses = [
        ("v4.test", "127.0.0.1"),
        ("other-v4.test", "127.9.9.9"),
        ("v6.test", "::1"),
        ("mapped.test", "::ffff:127.0.0.1"),
        ("zero.test", "0.0.0.0"),
        ("zero-v6.test", "::"),
        ("metadata.test", "169.254.169.254"),
        ("link-local.test", "169.254.1.1"),
        ("link-local-v6.test", "fe80::1"),
        ("nat64.test", "64:ff9b::7f00:1"),
        ("6to4.test", "2002:7f00:1::"),
        ("multicast.test", "224.0.0.1"),
        ("broadcast.test", "255.255.255.255"),
    ];
    for (name, address) in addresses {
        let address: IpAddr = address.parse().expect("an address");
        authority.site().zone.set_a(name, address).expect("a name");
    }
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let names = addresses.map(|(name, _)| name);
    for (name, challenge) in outcomes(&account, &names) {
        is_no_connection(&name, &challenge);
        let detail = challenge["error"]["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("validation.allow"),
            "it says what permits it: {detail}"
        );
    }
    nobody_came(&canaries);
    calm.holds(&authority);
}

#[test]
fn b3_own_listeners_are_not_dialled_even_where_loopback_may_be() {
    let mut authority = Authority::prepare(Setup::new().without_web_host());
    let port = authority.status_listener().port();
    authority.set("validation.http_port", port);
    authority.serve();
    let client = authority.client();
    let account = client.register();
    for (name, challenge) in outcomes(&account, &["a.test"]) {
        is_no_connection(&name, &challenge);
        let detail = challenge["error"]["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("listener of this server itself"),
            "{detail}"
        );
    }
}

#[test]
fn b3_redirects_that_lead_home_are_not_followed() {
    let authority = Authority::start_with(
        Setup::new()
            .set("validation.allow", format!("public,{PERMITTED}"))
            .without_web_host(),
    );
    let port = authority.http_port();
    let canaries = canaries(port);
    let web = runtime().block_on(HostileHttp::start_on(SocketAddr::from((PERMITTED, port))));
    let web = web.expect("a web server");
    let zone = &authority.site().zone;
    zone.set_default_a(PERMITTED.into());
    zone.set_a("home.test", Ipv4Addr::LOCALHOST.into())
        .expect("a name");
    zone.set_a("metadata.test", Ipv4Addr::new(169, 254, 169, 254).into())
        .expect("a name");
    let targets = [
        "http://127.0.0.1/".to_owned(),
        format!("http://127.0.0.1:{port}/"),
        "http://[::1]/".to_owned(),
        "http://[::ffff:127.0.0.1]/".to_owned(),
        "http://[fe80::1%25eth0]/".to_owned(),
        "http://0x7f.1/".to_owned(),
        "http://2130706433/".to_owned(),
        "http://0.0.0.0/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://home.test/".to_owned(),
        "http://metadata.test/".to_owned(),
        "https://home.test/".to_owned(),
        format!("//127.0.0.1:{port}/"),
    ];
    let client = authority.client();
    let account = client.register();
    let names: Vec<String> = (0..targets.len()).map(|n| format!("n{n}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let order = account.order(&names);
    for (url, target) in order.authorizations().iter().zip(&targets) {
        let token = http01_token(&account, url);
        web.on(
            &format!("/.well-known/acme-challenge/{token}"),
            [Reply::redirect(302, target)],
        );
        account.respond(url, "http-01");
    }
    for (url, target) in order.authorizations().iter().zip(&targets) {
        let object = account
            .decided(url, &["valid", "invalid"])
            .expect("an answer")
            .json();
        is_no_connection(target, &object["challenges"][0]);
    }
    nobody_came(&canaries);
}

fn http01_token(account: &Account<'_>, authorization_url: &str) -> String {
    let object = account.read(authorization_url).json();
    let all = object["challenges"].as_array().cloned().unwrap_or_default();
    let http = all
        .iter()
        .find(|challenge| challenge["type"] == "http-01")
        .expect("http-01");
    http["token"].as_str().expect("a token").to_owned()
}

#[test]
fn b3_a_name_is_resolved_once_and_that_address_is_used() {
    let dns = runtime()
        .block_on(HostileDns::start())
        .expect("a DNS server");
    let authority = Authority::start_with(
        Setup::new()
            .set("validation.allow", PERMITTED)
            .resolver(dns.addr())
            .without_web_host(),
    );
    let port = authority.http_port();
    let canaries = canaries(port);
    let web = runtime().block_on(HostileHttp::start_on(SocketAddr::from((PERMITTED, port))));
    let web = web.expect("a web server");
    // A good address for whoever asks first, home for whoever asks again.
    dns.on(
        "rebind.test",
        RecordType::A,
        [
            Behaviour::address(PERMITTED.into()),
            Behaviour::address(Ipv4Addr::LOCALHOST.into()),
        ],
    );
    dns.on(
        "rebind.test",
        RecordType::AAAA,
        [Behaviour::Answer(Vec::new())],
    );
    let client = authority.client();
    let account = client.register();
    let order = account.order(&["rebind.test"]);
    let url = order.authorizations().remove(0);
    let token = http01_token(&account, &url);
    let proof = account.key_authorization(&token);
    web.on(
        &format!("/.well-known/acme-challenge/{token}"),
        [Reply::page(200, &proof)],
    );
    account.respond(&url, "http-01");
    let object = account
        .decided(&url, &["valid", "invalid"])
        .expect("an answer")
        .json();
    assert_eq!(object["status"], "valid", "{object}");
    assert_eq!(dns.asked("rebind.test", RecordType::A), 1);
    nobody_came(&canaries);
}
