//! From a request to a proven sender (RFC 8555 §6.2–6.5). Cheap checks come before the signature.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_acme::ErrorType;
use chancery_authority::account::{Account, AccountStatus};
use chancery_authority::gateway::Gateway;
use chancery_engine::LiveAccount;
use chancery_jose::{BODY_BYTES_MAX, Jwk, Jws, JwsKey, MEDIA_TYPE, SignerRef, Verified};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};

use crate::acme::problem::Failure;
use crate::acme::{AcmeFront, Redeemed};
use crate::listener::Peer;

/// Time for the body of a request; 64 KiB in ten seconds is a very slow modem.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Which credential a resource takes (RFC 8555 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// `kid` only.
    Account,
    /// `jwk` only.
    NewKey,
    /// Either.
    AccountOrKey,
}

/// Who signed.
#[derive(Debug)]
pub(crate) enum Sender {
    Account(Arc<LiveAccount>),
    Key(Jwk),
}

/// A request whose signature was verified.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) verified: Verified,
    pub(crate) sender: Sender,
    /// Where it came from, as far as that is a network address.
    pub(crate) from: Option<IpAddr>,
}

impl Signed {
    /// The account; requests that may come from a bare key ask `sender` instead.
    pub(crate) fn account(&self) -> Result<&Account, Failure> {
        match &self.sender {
            Sender::Account(live) => Ok(&live.account),
            Sender::Key(_) => Err(Failure::malformed("this resource needs a kid, not a jwk")),
        }
    }

    pub(crate) fn live_account(&self) -> Result<&Arc<LiveAccount>, Failure> {
        match &self.sender {
            Sender::Account(live) => Ok(live),
            Sender::Key(_) => Err(Failure::malformed("this resource needs a kid, not a jwk")),
        }
    }
}

impl AcmeFront {
    pub(crate) async fn authenticate(
        &self,
        gateway: &Gateway,
        path: &str,
        (request, peer): (Request<Incoming>, Peer),
        accepts: Accepts,
    ) -> Result<Signed, Failure> {
        if request.uri().query().is_some() {
            return Err(Failure::malformed("the URL of a request has no query here"));
        }
        check_media_type(&request)?;
        let body = read_body(request).await?;
        let jws = Jws::parse(&body)?;
        let header = jws.header();
        // §6.4: against the configured base, so that neither a proxy nor a Host header can change it.
        if header.url != self.urls.of_path(path) {
            let detail = "the url in the protected header is not the URL of this request";
            return Err(Failure::new(
                ErrorType::Unauthorized,
                StatusCode::FORBIDDEN,
                detail,
            ));
        }
        self.spend_nonce(header.nonce.as_deref())?;
        let sender = self.sender(gateway, accepts, &header.signer).await?;
        let verified = match &sender {
            Sender::Account(live) => jws.verify(&live.key)?,
            Sender::Key(jwk) => jws.verify(&JwsKey::new(jwk.key())?)?,
        };
        if let Sender::Account(live) = &sender {
            check_active(&live.account)?;
        }
        let from = match peer {
            Peer::Network(address) => Some(address),
            Peer::Local { .. } => None,
        };
        Ok(Signed {
            verified,
            sender,
            from,
        })
    }

    fn spend_nonce(&self, nonce: Option<&str>) -> Result<(), Failure> {
        let bad = |detail: &str| Failure::new(ErrorType::BadNonce, StatusCode::BAD_REQUEST, detail);
        let nonce = nonce.ok_or_else(|| bad("the protected header has no nonce"))?;
        // Statement 32: a nonce outside the alphabet is malformed, whatever it might have been.
        if !nonce
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        {
            return Err(Failure::malformed("the nonce is not base64url"));
        }
        match self.nonces.redeem(nonce) {
            Redeemed::Yes => {
                self.metrics.nonce_redeemed();
                Ok(())
            }
            Redeemed::No => {
                self.metrics.nonce_rejected();
                Err(bad(
                    "the nonce was not given out by this server, is too old, or was used before",
                ))
            }
        }
    }

    async fn sender(
        &self,
        gateway: &Gateway,
        accepts: Accepts,
        signer: &SignerRef,
    ) -> Result<Sender, Failure> {
        match (signer, accepts) {
            (SignerRef::Jwk(jwk), Accepts::NewKey | Accepts::AccountOrKey) => {
                Ok(Sender::Key(jwk.clone()))
            }
            (SignerRef::Kid(kid), Accepts::Account | Accepts::AccountOrKey) => {
                let id = self
                    .urls
                    .read_account(gateway, kid)
                    .ok_or_else(no_such_account)?;
                let live = self.engine.account(id).await?.ok_or_else(no_such_account)?;
                if live.account.gateway != gateway.name {
                    return Err(no_such_account());
                }
                Ok(Sender::Account(live))
            }
            (SignerRef::Jwk(_), Accepts::Account) => {
                Err(Failure::malformed("this resource needs a kid, not a jwk"))
            }
            (SignerRef::Kid(_), Accepts::NewKey) => {
                Err(Failure::malformed("newAccount needs a jwk, not a kid"))
            }
        }
    }
}

fn no_such_account() -> Failure {
    let detail = "the kid is not the URL of an account at this gateway";
    Failure::new(
        ErrorType::AccountDoesNotExist,
        StatusCode::BAD_REQUEST,
        detail,
    )
}

/// §7.3.6: every request of a deactivated account, reads too.
fn check_active(account: &Account) -> Result<(), Failure> {
    match account.status {
        AccountStatus::Valid => Ok(()),
        AccountStatus::Deactivated | AccountStatus::Revoked => {
            let detail = "this account is deactivated; create another with a new key";
            Err(Failure::new(
                ErrorType::Unauthorized,
                StatusCode::UNAUTHORIZED,
                detail,
            ))
        }
    }
}

fn check_media_type(request: &Request<Incoming>) -> Result<(), Failure> {
    let given = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case(MEDIA_TYPE) => Ok(()),
        _ => Err(Failure::new(
            ErrorType::Malformed,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "requests need Content-Type application/jose+json",
        )),
    }
}

async fn read_body(request: Request<Incoming>) -> Result<Bytes, Failure> {
    let announced = request.body().size_hint().lower();
    if announced > u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX) {
        return Err(Failure::new(
            ErrorType::Malformed,
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {BODY_BYTES_MAX} octets"),
        ));
    }
    let limited = Limited::new(request.into_body(), BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_TIME, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(_)) => Err(Failure::new(
            ErrorType::Malformed,
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is cut off or larger than {BODY_BYTES_MAX} octets"),
        )),
        Err(_) => Err(Failure::new(
            ErrorType::Malformed,
            StatusCode::REQUEST_TIMEOUT,
            format!("the body took longer than {} s", BODY_TIME.as_secs()),
        )),
    }
}
