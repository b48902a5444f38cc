//! Revocation (RFC 8555 §7.6) and what operators ask of certificates.

use std::sync::Arc;

use chancery_authority::account::Account;
use chancery_authority::audit::Actor;
use chancery_authority::authorization::ReuseTag;
use chancery_authority::certificate::{Certificate, Revocation, revocation_reason};
use chancery_authority::holding::Holding;
use chancery_authority::refusal::Denied;
use chancery_authority::{
    Action, CertificateId, Change, Object, OrderId, Outcome, Refusal, Subject, authorize,
};
use chancery_crypto::PublicKey;
use chancery_pki::{Certificate as Parsed, Serial, UnixTime};

use crate::{Engine, EngineError, TRIES_MAX};

/// How many of an account's newest orders are looked at for what it has proven: ten pages of a hundred.
const HELD_PAGES_MAX: usize = 10;
const HELD_PAGE: u16 = 100;

/// Who asks for a revocation.
#[derive(Debug, Clone, Copy)]
pub enum Revoker<'a> {
    /// An account.
    Account(&'a Account),
    /// Whoever holds this key.
    Key(&'a PublicKey),
    /// A local user.
    Operator {
        /// The user's number.
        uid: u32,
    },
}

impl<'a> Revoker<'a> {
    fn subject(self) -> Subject<'a> {
        match self {
            Self::Account(account) => Subject::Account(account),
            Self::Key(key) => Subject::Key(key),
            Self::Operator { uid } => Subject::Operator { uid },
        }
    }

    fn actor(self) -> Actor {
        match self {
            Self::Account(account) => Actor::Account(account.id),
            Self::Key(_) => Actor::CertificateKey,
            Self::Operator { uid } => Actor::Operator(uid),
        }
    }
}

impl Engine {
    /// A certificate of the account, as stored.
    ///
    /// # Errors
    /// [`Denied`], store errors.
    pub async fn certificate(
        &self,
        by: &Account,
        id: CertificateId,
    ) -> Result<Arc<Certificate>, EngineError> {
        let found = self.find_certificate(id).await?.ok_or(Denied::NotYours)?;
        let key = certified_key(&found)?;
        authorize(
            Subject::Account(by),
            Action::Read,
            Object::Certificate(&found, &key),
        )?;
        Ok(found)
    }

    /// Revokes the certificate that `der` is. When this answers, the revocation is durable.
    ///
    /// # Errors
    /// [`Refusal::AlreadyRevoked`], [`Refusal::RevocationReason`], [`Denied`], store errors.
    pub async fn revoke_der(
        &self,
        by: Revoker<'_>,
        der: &[u8],
        reason: Option<i64>,
    ) -> Result<UnixTime, EngineError> {
        let parsed = Parsed::parse(der).map_err(|_| Denied::NotYours)?;
        let found = self.find(&parsed.serial()).await?;
        // The same serial in another certificate is not ours (statement 107: refused without telling more).
        if found.der != der {
            return Err(Denied::NotYours.into());
        }
        self.revoke(by, found.id, reason).await
    }

    /// Revokes by serial, as operators do.
    ///
    /// # Errors
    /// As [`Engine::revoke_der`].
    pub async fn revoke_serial(
        &self,
        by: Revoker<'_>,
        serial: &Serial,
        reason: Option<i64>,
    ) -> Result<UnixTime, EngineError> {
        let found = self.find(serial).await?;
        self.revoke(by, found.id, reason).await
    }

    async fn revoke(
        &self,
        by: Revoker<'_>,
        id: CertificateId,
        reason: Option<i64>,
    ) -> Result<UnixTime, EngineError> {
        for _ in 0..TRIES_MAX {
            let found = self.store.certificate(id).await?.ok_or(Denied::NotYours)?;
            let key = certified_key(&found)?;
            let object = Object::Certificate(&found, &key);
            let mut allowed = authorize(by.subject(), Action::Revoke, object);
            if let (Err(Denied::NotYours), Revoker::Account(account)) = (allowed, by)
                && let Some(holding) = self.holding(account, &found).await?
            {
                allowed = authorize(Subject::Holder(holding), Action::Revoke, object);
            }
            if let Err(denied) = allowed {
                let why = denied.to_string();
                self.remember(Change::refused_revocation(self.now(), by.actor(), id, why));
                return Err(denied.into());
            }
            let reason = revocation_reason(reason)?;
            let now = self.now();
            match found.revoke(now, by.actor(), reason)? {
                Revocation::Already(_) => {
                    return Err(Refusal::AlreadyRevoked {
                        serial: found.serial,
                    }
                    .into());
                }
                Revocation::Change(change) => {
                    if self.apply(*change).await? == Outcome::Applied {
                        self.crls.dirty(found.issuer, found.shard);
                        return Ok(now);
                    }
                }
            }
        }
        Err(EngineError::Contended)
    }

    /// Whether the account has proven all names of a certificate that is another's: by what later orders may rest on, and by
    /// its newest orders.
    async fn holding<'a>(
        &self,
        account: &'a Account,
        certificate: &Certificate,
    ) -> Result<Option<Holding<'a>>, EngineError> {
        let Ok(parsed) = Parsed::parse(&certificate.der) else {
            return Ok(None);
        };
        let (now, names) = (self.now(), parsed.sans());
        let tags = names.iter().map(|name| ReuseTag::new(account.id, name));
        let mut held = self.store.reusable(tags.collect()).await?;
        let mut before = OrderId(i64::MAX);
        for _ in 0..HELD_PAGES_MAX {
            if let Some(holding) = Holding::of(now, account, certificate, names, &held) {
                return Ok(Some(holding));
            }
            let page = self.store.orders_of(account.id, before, HELD_PAGE).await?;
            let Some(last) = page.last() else { break };
            before = last.id;
            let parts = page
                .iter()
                .filter(|order| names.iter().any(|name| order.names.contains(name)))
                .flat_map(|order| order.parts.iter().map(|part| part.authorization));
            held.extend(self.store.authorizations(parts.collect()).await?);
        }
        Ok(Holding::of(now, account, certificate, names, &held))
    }

    async fn find(&self, serial: &Serial) -> Result<Certificate, EngineError> {
        let issuer = self.issuer().record.id;
        let found = self.store.certificate_by_serial(issuer, *serial).await?;
        found.ok_or_else(|| Denied::NotYours.into())
    }
}

/// The key in a stored certificate.
fn certified_key(certificate: &Certificate) -> Result<PublicKey, EngineError> {
    Parsed::parse(&certificate.der)
        .map(|parsed| parsed.spki().key().clone())
        .map_err(|_| {
            EngineError::Store(chancery_authority::StoreError::Damaged {
                what: format!("certificate {}", certificate.id),
            })
        })
}
