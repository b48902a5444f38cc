//! rustls-acme, a Rust crate: it lives inside a server, and gets and renews what that presents.

use std::sync::{Arc, Mutex, PoisonError};

use chancery_tests::{Authority, Setup, TlsHost, Webroot, eventually, runtime};
use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_acme::acme::ACME_TLS_ALPN_NAME;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, EventOk, UseChallenge};
use tokio::task::JoinHandle;

use super::{P256, WITHIN, is_a_good_chain_for, served_after, short_lived, short_lived_directory};

const NAMES: [&str; 2] = ["a.test", "www.a.test"];

/// A server that has the client inside. Dropping it ends both.
pub(super) struct Server {
    driven: JoinHandle<()>,
    _web: Webroot,
    _tls: TlsHost,
    /// What the client has done, and what went wrong.
    events: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn start(authority: &Authority, directory: &str, challenge: UseChallenge) -> Self {
        let config = AcmeConfig::new_with_client_config(NAMES, trusting(authority))
            .directory(directory)
            .contact_push("mailto:admin@a.test")
            .challenge_type(challenge)
            .cache(DirCache::new(authority.scratch("cache")));
        let mut state = config.state();
        let resolver = state.resolver();
        let web = Webroot::answering(authority.http_port(), move |token| {
            resolver.get_http_01_key_auth(token).map(String::into_bytes)
        });
        let mut config = Arc::unwrap_or_clone(state.default_rustls_config());
        config.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_TLS_ALPN_NAME.to_vec()];
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let driven = runtime().spawn(async move {
            while let Some(event) = state.next().await {
                let said = match event {
                    Ok(EventOk::DeployedCachedCert) => "an old certificate".to_owned(),
                    Ok(EventOk::DeployedNewCert) => "a new certificate".to_owned(),
                    Ok(other) => format!("{other:?}"),
                    Err(error) => format!("error: {error}"),
                };
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(said);
            }
        });
        Self {
            driven,
            _web: web,
            _tls: TlsHost::shaking_hands(authority.tls_port(), config),
            events,
        }
    }

    fn wait_for(&self, event: &str) {
        eventually(event, WITHIN, || {
            let said = self.events().iter().any(|said| said == event);
            said.then_some(())
        });
    }

    pub(super) fn events(&self) -> Vec<String> {
        let events = self.events.lock();
        events.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.driven.abort();
    }
}

/// How the client trusts the authority, with the one cryptographic library that everything here uses.
fn trusting(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority.root()).expect("the root");
    roots.add(root).expect("a trust anchor");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// Each name takes it a second by its own waiting; the second certificate comes when a third of the first one's life is
/// left, six seconds after that.
#[test]
fn rustls_acme_presents_what_it_got_by_itself_and_renews_it_in_time() {
    let authority = Authority::start_with(short_lived());
    let port = authority.tls_port();
    let server = Server::start(
        &authority,
        &short_lived_directory(&authority),
        UseChallenge::Http01,
    );
    let first = served_after(&authority, port, "www.a.test", "");
    is_a_good_chain_for(&authority, P256, &first, &NAMES);
    let second = served_after(&authority, port, "www.a.test", &first);
    is_a_good_chain_for(&authority, P256, &second, &NAMES);
    let errors = server.events();
    let errors: Vec<&String> = errors
        .iter()
        .filter(|said| said.contains("error"))
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    authority.check_invariants();
}

/// What it keeps is the account's key and the certificate, which is not due yet.
#[test]
fn rustls_acme_goes_on_with_what_it_has_after_a_restart() {
    let authority = Authority::start_with(Setup::new().without_web_host());
    let port = authority.tls_port();
    let server = Server::start(&authority, authority.directory(), UseChallenge::Http01);
    let first = served_after(&authority, port, "a.test", "");
    server.wait_for("CertCacheStore");
    drop(server);

    let server = Server::start(&authority, authority.directory(), UseChallenge::Http01);
    server.wait_for("an old certificate");
    assert_eq!(served_after(&authority, port, "a.test", ""), first);
    let issued = authority.certificates();
    assert_eq!(issued.len(), 2, "the server's own and this: {issued:?}");
}
