//! A server that shows certificates and no more, for clients that leave that to others: what they are given, or what they
//! made for tls-alpn-01 (RFC 8737).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::runtime;

/// RFC 8737 §6.2.
const PROTOCOL: &[u8] = b"acme-tls/1";

/// The running server; dropping it ends it, and its port is free then.
#[derive(Debug)]
pub struct TlsHost(JoinHandle<()>);

impl TlsHost {
    /// Shows for a name `NAME.crt.pem` with `NAME.key.pem` of a folder, as they are when it is asked.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn serve(port: u16, folder: &Path) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let of_folder = OfFolder {
            folder: folder.to_owned(),
            provider: Arc::clone(&provider),
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions");
        let mut config = config
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(of_folder));
        config.alpn_protocols.push(PROTOCOL.to_vec());
        Self::shaking_hands(port, config)
    }

    /// Shakes hands with whoever comes, and no more.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn shaking_hands(port: u16, config: ServerConfig) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime()
            .block_on(TcpListener::bind(addr))
            .expect("the port is free");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self(runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
            }
        }))
    }
}

impl Drop for TlsHost {
    fn drop(&mut self) {
        self.0.abort();
        runtime().block_on(&mut self.0).ok();
    }
}

#[derive(Debug)]
struct OfFolder {
    folder: PathBuf,
    provider: Arc<CryptoProvider>,
}

impl ResolvesServerCert for OfFolder {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // The library has made sure that it is a name, which is no path to anywhere.
        let name = hello.server_name()?;
        let file = |kind: &str| self.folder.join(format!("{name}.{kind}.pem"));
        let certificate = CertificateDer::from_pem_file(file("crt")).ok()?;
        let key = PrivateKeyDer::from_pem_file(file("key")).ok()?;
        let key = self.provider.key_provider.load_private_key(key).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![certificate], key)))
    }
}
