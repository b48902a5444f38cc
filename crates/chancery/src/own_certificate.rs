//! The server's own TLS certificate: kept in the data folder, so that a second start changes nothing; renewed while running.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::PrivateKey;
use chancery_engine::{Engine, ServerCertificate};
use chancery_front::ServerIdentity;
use chancery_front::listener::Stop;
use chancery_pki::{Certificate, San, UnixTime, pem};

use crate::Exit;
use crate::data_folder::DataFolder;

const CHAIN_FILE: &str = "tls/server.pem";
const KEY_FILE: &str = "tls/server.key";

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Certificates in the file at most.
const CHAIN_MAX: usize = 8;

/// The stored certificate if it still serves, else a new one.
pub(crate) async fn obtain(
    engine: &Engine,
    folder: &DataFolder,
    names: &BTreeSet<San>,
) -> Result<ServerCertificate, Exit> {
    if let Some(stored) = stored(engine, folder, names) {
        return Ok(stored);
    }
    let fresh = engine.server_certificate(names).await.map_err(|error| {
        Exit::failed(format!(
            "the server's own certificate cannot be made: {error}"
        ))
    })?;
    keep(folder, &fresh)?;
    Ok(fresh)
}

/// A short life is looked at when it is due; a long one often enough that a clock that was set does not matter.
fn until_look(now: UnixTime, renew_at: UnixTime) -> Duration {
    let secs = u64::try_from(now.seconds_until(renew_at)).unwrap_or(0);
    Duration::from_secs(secs.max(1)).min(LOOK_EVERY)
}

/// Renews it in time, without a restart.
pub(crate) async fn keep_fresh(
    engine: Arc<Engine>,
    folder: Arc<DataFolder>,
    names: BTreeSet<San>,
    identity: Arc<ServerIdentity>,
    mut renew_at: UnixTime,
    mut stop: Stop,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(until_look(engine.now(), renew_at)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = engine.now();
        if now < renew_at {
            continue;
        }
        match engine.server_certificate(&names).await {
            Ok(fresh) => match renew(&folder, &identity, &fresh) {
                Ok(()) => {
                    renew_at = fresh.renew_at(now);
                    tracing::info!("the server's own certificate was renewed");
                }
                Err(exit) => {
                    tracing::error!(reason = exit.sentence, "the new certificate is not used")
                }
            },
            Err(error) => {
                tracing::error!(%error, "the server's own certificate cannot be renewed yet")
            }
        }
    }
}

fn renew(
    folder: &DataFolder,
    identity: &ServerIdentity,
    fresh: &ServerCertificate,
) -> Result<(), Exit> {
    let key = fresh.key.to_pkcs8().map_err(Exit::failed)?;
    identity
        .replace(fresh.chain.clone(), &key)
        .map_err(Exit::failed)?;
    keep(folder, fresh)
}

fn keep(folder: &DataFolder, certificate: &ServerCertificate) -> Result<(), Exit> {
    let key = certificate.key.to_pkcs8().map_err(Exit::failed)?;
    let chain: String = certificate
        .chain
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect();
    folder
        .write_private(KEY_FILE, pem::encode("PRIVATE KEY", &key).as_bytes())
        .map_err(Exit::failed)?;
    folder
        .write_private(CHAIN_FILE, chain.as_bytes())
        .map_err(Exit::failed)
}

/// What is stored, if it is whole, for these names, by our issuer, and a third of its life is left.
fn stored(
    engine: &Engine,
    folder: &DataFolder,
    names: &BTreeSet<San>,
) -> Option<ServerCertificate> {
    let read = |name| {
        folder
            .read(name)
            .and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let chain = pem::decode(&read(CHAIN_FILE)?, "CERTIFICATE", CHAIN_MAX).ok()?;
    let key = pem::decode(&read(KEY_FILE)?, "PRIVATE KEY", 1).ok()?;
    let key = PrivateKey::from_pkcs8(key.first()?).ok()?;
    let leaf = Certificate::parse(chain.first()?).ok()?;
    let ours = engine.issuers().into_iter().any(|issuer| {
        leaf.verify_signed_by(issuer.certificate.spki().key())
            .is_ok()
    });
    let covers = leaf.sans().iter().cloned().collect::<BTreeSet<_>>() == *names;
    let life = leaf.not_before().seconds_until(leaf.not_after());
    let left = engine.now().seconds_until(leaf.not_after());
    let usable = ours && covers && leaf.spki().key() == key.public() && left > life / 3;
    usable.then(|| ServerCertificate {
        chain,
        not_after: leaf.not_after(),
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_lives_for_seconds_is_renewed_in_time() {
        let now = UnixTime(1000);
        let wait = |secs: i64| until_look(now, UnixTime(1000 + secs)).as_secs();
        assert_eq!(wait(66), 60);
        assert_eq!(wait(7), 7);
        assert_eq!(wait(0), 1, "no busy loop");
        assert_eq!(wait(-5), 1);
        assert_eq!(wait(90 * 86_400), 60);
    }
}
