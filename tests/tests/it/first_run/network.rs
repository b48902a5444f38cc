//! Ports that are taken, and a resolver that does not answer.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use chancery_tests::{Authority, Setup, eventually};

use super::ended_with;

#[test]
fn an_occupied_port_is_named_and_nothing_is_made() {
    for key in ["public", "status", "metrics"] {
        let mut authority = Authority::prepare(Setup::new());
        let address = match key {
            "public" => authority.public(),
            "status" => authority.status_listener(),
            _ => authority.metrics_listener(),
        };
        let squatter = TcpListener::bind(address).expect("the port is free");
        let told = authority.serve_to_end();
        ended_with(
            &told,
            1,
            &[
                &format!("listen.{key}"),
                &address.to_string(),
                "another program listens",
            ],
        );
        for part in ["keys", "journal", "chancery.db", "root.pem"] {
            assert!(!authority.data().join(part).exists(), "{part} is not made");
        }
        // Once the port is free the first run is one like any other.
        drop(squatter);
        authority.serve();
        assert!(
            authority.output().contains("made a new authority"),
            "{}",
            authority.output()
        );
    }
}

#[test]
fn an_occupied_port_does_no_harm_to_an_authority_that_is_there() {
    let mut authority = Authority::start();
    authority.stop();
    let squatter = TcpListener::bind(authority.public()).expect("the port is free");
    ended_with(
        &authority.serve_to_end(),
        1,
        &["listen.public", "another program listens"],
    );
    drop(squatter);
    authority.serve();
    authority.check_invariants();
}

#[test]
fn a_port_of_another_machine_is_named() {
    let authority = Authority::prepare(Setup::new().set("listen.public", "192.0.2.1:8443"));
    ended_with(
        &authority.serve_to_end(),
        1,
        &["listen.public", "192.0.2.1:8443"],
    );
    assert!(!authority.data().join("keys").exists(), "nothing is made");
}

/// A resolver at which nobody listens, and one that never answers.
#[test]
fn a_wrong_resolver_is_told_to_the_client_and_the_operator() {
    let silent = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let silent = silent.local_addr().expect("it is bound");
    let deaf = SocketAddr::from(([127, 0, 0, 1], 9));
    let authorities =
        [deaf, silent].map(|resolver| Authority::start_with(Setup::new().resolver(resolver)));
    let clients = authorities.each_ref().map(Authority::client);
    let accounts = clients.each_ref().map(chancery_tests::Client::register);
    let urls = accounts.each_ref().map(|account| {
        let order = account.order(&["a.test"]);
        let url = order.authorizations().remove(0);
        account.respond(&url, "http-01");
        url
    });
    for (n, account) in accounts.iter().enumerate() {
        let error = eventually("the first attempt is over", Duration::from_secs(40), || {
            let object = account.read(&urls[n]).json();
            let all = object["challenges"].as_array().cloned().unwrap_or_default();
            all.into_iter()
                .map(|challenge| challenge["error"].clone())
                .find(|error| error.is_object())
        });
        assert_eq!(error["type"], "urn:ietf:params:acme:error:dns", "{error}");
        let detail = error["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("a.test"),
            "it names what was asked: {detail}"
        );
        let line = authorities[n]
            .told(&["order", "list"])
            .pop()
            .expect("an order");
        let id = line["id"].as_str().expect("an id").to_owned();
        let why = authorities[n].told(&["order", "show", &id])[0].to_string();
        assert!(
            why.contains("validation.resolvers") || detail.contains("validation.resolvers"),
            "it says which setting to look at: {detail} {why}"
        );
    }
    // What was issued before is not touched by it: law 9.
    for authority in &authorities {
        assert_eq!(authority.machine_page("/livez").status, 200);
        authority.check_invariants();
        assert!(fs::metadata(authority.root()).is_ok());
    }
}
