//! The authority's own TLS certificate: an order like any other, whose evidence is the operator's configuration.

use std::collections::BTreeSet;

use chancery_authority::account::Owner;
use chancery_authority::order::{Order, OrderState};
use chancery_authority::{CertificateId, Outcome};
use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_pki::{Csr, San, UnixTime, csr, pem};
use tokio::time::{Duration, Instant, sleep};

use crate::bindings::Entrance;
use crate::orders::KeyLookup;
use crate::{Engine, EngineError};

/// Time for the signature.
const WAIT: Duration = Duration::from_secs(20);

/// Chain and key for the server's listeners.
pub struct ServerCertificate {
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The key, PKCS#8.
    pub key: PrivateKey,
    /// When it ends.
    pub not_after: UnixTime,
}

impl ServerCertificate {
    /// When it should be replaced: a third of its life before its end.
    #[must_use]
    pub fn renew_at(&self, now: UnixTime) -> UnixTime {
        let left = now.seconds_until(self.not_after).max(0);
        UnixTime(now.0 + left * 2 / 3)
    }
}

impl Engine {
    /// Issues a certificate for the server's own names with a fresh key.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn server_certificate(
        &self,
        names: &BTreeSet<San>,
    ) -> Result<ServerCertificate, EngineError> {
        let failed = |error: chancery_crypto::CryptoError| EngineError::Signer(error.to_string());
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).map_err(failed)?;
        let wanted: Vec<San> = names.iter().cloned().collect();
        let csr = Csr::parse(&csr::build(&key, &wanted)?)?;
        let gateway = self.default_gateway();
        let profile = gateway.profile(None)?.name.clone();
        let (change, order, _) = {
            let (now, millis) = (self.now(), self.clock.now_millis());
            let mut ids = self.lock_ids();
            Order::create_for_server(now, millis, &mut ids, gateway, names.clone(), profile)
        };
        if self.apply(change).await? == Outcome::Conflict {
            return Err(EngineError::Contended);
        }
        let decision = self
            .decide_claim(
                &Entrance::of_authority(gateway),
                Owner::AUTHORITY,
                &order,
                &csr,
                KeyLookup::AtCommit,
            )
            .await?;
        if self.commit(decision).await? == Outcome::Conflict {
            return Err(EngineError::Contended);
        }
        let id = self.issued(&order).await?;
        let found = self
            .store
            .certificate(id)
            .await?
            .ok_or(EngineError::Contended)?;
        let mut chain = vec![found.der.clone()];
        let above = pem::decode(self.chain_pem(found.issuer), "CERTIFICATE", 8);
        chain.extend(above.unwrap_or_default());
        Ok(ServerCertificate {
            chain,
            key,
            not_after: found.not_after,
        })
    }

    async fn issued(&self, order: &Order) -> Result<CertificateId, EngineError> {
        let until = Instant::now() + WAIT;
        loop {
            let wait = self.waiters.register(order.id.0);
            let now = self
                .find_order(order.id)
                .await?
                .ok_or(EngineError::Contended)?;
            match now.state {
                OrderState::Valid { .. } => return Ok(CertificateId::of(order.id)),
                OrderState::Processing { .. } if Instant::now() < until => {
                    wait.at_most(Duration::from_secs(1)).await;
                }
                _ => {
                    sleep(Duration::from_millis(10)).await;
                    let why = format!("the server's own order is {}", now.state.name());
                    return Err(EngineError::Signer(why));
                }
            }
        }
    }
}
