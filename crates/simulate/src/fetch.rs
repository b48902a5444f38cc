use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chancery_pki::certificate::Certificate;
use chancery_pki::time::UnixTime;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::SimulateError;

/// From the first packet to the last octet of the page.
const TIME: Duration = Duration::from_secs(10);
const PAGE_OCTETS_MAX: u64 = 64 * 1024;

/// What a verified server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerFacts {
    /// When the leaf certificate ends.
    pub not_after: UnixTime,
    /// The leaf's serial, lower-case hex.
    pub serial: String,
    /// The chain as sent, DER, leaf first.
    pub chain: Vec<Vec<u8>>,
}

/// Connects to `addr` as a client that wants `name` (a DNS name or an IP address) and trusts only the
/// certificates in `root_pem`, and gets the page there. Success means: the chain leads to the root, is valid
/// now, names `name`, and the server answered 200.
///
/// # Errors
/// Every variant of [`SimulateError`] that says what did not hold; [`SimulateError::Handshake`] when the
/// certificate did not verify.
pub async fn fetch_verified(
    addr: SocketAddr,
    name: &str,
    root_pem: &str,
) -> Result<PeerFacts, SimulateError> {
    let connector = TlsConnector::from(Arc::new(trusting(root_pem)?));
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| SimulateError::Name { octets: name.len() })?;
    let fetching = async {
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|source| SimulateError::Connect { addr, source })?;
        let mut stream = connector
            .connect(server, stream)
            .await
            .map_err(|source| SimulateError::Handshake { addr, source })?;
        get_page(addr, name, &mut stream).await?;
        facts(&stream)
    };
    let late = SimulateError::Deadline {
        addr,
        seconds: TIME.as_secs(),
    };
    timeout(TIME, fetching).await.unwrap_or(Err(late))
}

fn trusting(root_pem: &str) -> Result<ClientConfig, SimulateError> {
    let refused = |detail: String| SimulateError::Root { detail };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(root_pem.as_bytes()) {
        let root = root.map_err(|error| refused(error.to_string()))?;
        roots
            .add(root)
            .map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("no certificate block in it".to_owned()));
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| refused(error.to_string()))
}

async fn get_page(
    addr: SocketAddr,
    name: &str,
    stream: &mut TlsStream<TcpStream>,
) -> Result<(), SimulateError> {
    let no_page = |detail: String| SimulateError::Page { addr, detail };
    let broken = |error: io::Error| no_page(error.to_string());
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    stream
        .take(PAGE_OCTETS_MAX)
        .read_to_end(&mut answer)
        .await
        .map_err(broken)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let first = answer
        .split(|octet| *octet == b'\r')
        .next()
        .unwrap_or_default();
    let first = String::from_utf8_lossy(first.get(..64).unwrap_or(first)).into_owned();
    Err(no_page(format!("{first:?} instead of status 200")))
}

fn facts(stream: &TlsStream<TcpStream>) -> Result<PeerFacts, SimulateError> {
    let unreadable = |detail: String| SimulateError::Certificate { detail };
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let Some(leaf) = shown.first() else {
        return Err(unreadable("none was shown".to_owned()));
    };
    let leaf = Certificate::parse(leaf).map_err(|error| unreadable(error.to_string()))?;
    Ok(PeerFacts {
        not_after: leaf.not_after(),
        serial: leaf.serial().to_hex(),
        chain: shown
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SerialNumber,
    };

    use super::*;
    use crate::{Credentials, TlsSite};

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root")
    }

    fn issued(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str, serial: u64) -> Credentials {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.serial_number = Some(SerialNumber::from(serial));
        let leaf = params.signed_by(&key, issuer).expect("a certificate");
        Credentials::from_pem(&leaf.pem(), &key.serialize_pem()).expect("a pair")
    }

    async fn site(shown: &Credentials) -> TlsSite {
        let addr = "127.0.0.1:0".parse().expect("an address");
        TlsSite::start(addr, shown).await.expect("a free port")
    }

    #[tokio::test]
    async fn a_client_sees_the_certificate_and_then_its_replacement() {
        let issuer = authority();
        let site = site(&issued(&issuer, "www.corp.test", 0x1234)).await;
        let first = fetch_verified(site.addr(), "www.corp.test", &issuer.pem()).await;
        let first = first.expect("verified");
        assert!(first.serial.ends_with("1234"), "{}", first.serial);
        assert_eq!(first.chain.len(), 1);
        site.replace(&issued(&issuer, "www.corp.test", 0x5678));
        let second = fetch_verified(site.addr(), "www.corp.test", &issuer.pem()).await;
        assert!(second.expect("verified").serial.ends_with("5678"));
    }

    #[tokio::test]
    async fn another_root_or_another_name_does_not_verify() {
        let issuer = authority();
        let site = site(&issued(&issuer, "www.corp.test", 1)).await;
        let other = fetch_verified(site.addr(), "www.corp.test", &authority().pem()).await;
        assert!(
            matches!(other, Err(SimulateError::Handshake { .. })),
            "{other:?}"
        );
        let other = fetch_verified(site.addr(), "mail.corp.test", &issuer.pem()).await;
        assert!(
            matches!(other, Err(SimulateError::Handshake { .. })),
            "{other:?}"
        );
    }

    #[tokio::test]
    async fn a_root_that_is_none_and_a_key_of_another_are_refused() {
        let issuer = authority();
        let addr = "127.0.0.1:1".parse().expect("an address");
        let none = fetch_verified(addr, "a.test", "no PEM").await;
        assert!(matches!(none, Err(SimulateError::Root { .. })), "{none:?}");
        let key = KeyPair::generate().expect("a key").serialize_pem();
        let mixed = Credentials::from_pem(&issuer.pem(), &key);
        assert!(
            matches!(mixed, Err(SimulateError::Credentials { .. })),
            "{mixed:?}"
        );
    }
}
