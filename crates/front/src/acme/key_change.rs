//! Key change (RFC 8555 §7.3.5): a message by the new key inside one by the old.

use chancery_acme as wire;
use chancery_acme::{ErrorType, from_slice_bounded};
use chancery_authority::Refusal;
use chancery_authority::gateway::Gateway;
use chancery_engine::EngineError;
use chancery_jose::{Jwk, Jws, JwsKey, SignerRef};
use http::StatusCode;

use crate::acme::AcmeFront;
use crate::acme::problem::Failure;
use crate::acme::request::Signed;
use crate::listener::Answer;

impl AcmeFront {
    pub(crate) async fn key_change(
        &self,
        gateway: &Gateway,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let own = signed.live_account()?;
        let new = self.proven_new_key(gateway, signed)?;
        match self.engine.change_key(own, &new).await {
            Ok(live) => Ok(self.account_answer(gateway, StatusCode::OK, &live)),
            Err(EngineError::Refused(Refusal::KeyInUse { account })) => {
                // §7.3.5: the client learns whose it is, having proven that it holds the key.
                let detail = Refusal::KeyInUse { account }.to_string();
                Err(
                    Failure::new(ErrorType::Malformed, StatusCode::CONFLICT, detail)
                        .location(self.urls.account(gateway, account)),
                )
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The checks that need no stored state, in the RFC's order.
    fn proven_new_key(&self, gateway: &Gateway, signed: &Signed) -> Result<Jwk, Failure> {
        let wrong = |what: &str| Failure::malformed(format!("the inner message {what}"));
        if signed.verified.is_post_as_get() {
            return Err(wrong("is missing"));
        }
        let inner = Jws::parse(signed.verified.payload())?;
        let header = inner.header().clone();
        let SignerRef::Jwk(new) = header.signer else {
            return Err(wrong("needs the new key as its jwk"));
        };
        if header.nonce.is_some() {
            return Err(wrong("has a nonce, which only the outer one has"));
        }
        if header.url != signed.verified.header().url {
            return Err(wrong("is for another url than the outer one"));
        }
        let inner = inner.verify(&JwsKey::new(new.key())?)?;
        let asked: wire::KeyChange = from_slice_bounded(inner.payload())
            .map_err(|error| wrong(&format!("cannot be used: {error}")))?;
        let own = signed.live_account()?;
        if asked.account != self.urls.account(gateway, own.account.id) {
            return Err(wrong("names another account than the outer one"));
        }
        if !asked.replaces(&Jwk::from_key(own.key.public())) {
            return Err(wrong("has an oldKey that is not the account's key"));
        }
        Ok(new)
    }
}
