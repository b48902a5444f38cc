use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_acme::{Directory, ErrorType, NewAccount, Problem, from_slice_bounded};
use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_jose::{Jwk, SignWith, Thumbprint, sign};
use http::Method;

use crate::connection::{Answer, Connection, Endpoint, RequestError};

/// Answers of a server with which requests were answered well.
#[derive(Debug)]
pub(crate) struct Good {
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
    /// Of the request that was accepted, without signing it.
    pub(crate) took: Duration,
}

/// An account on a connection: signs each request with the nonce of the answer before.
pub(crate) struct Client {
    connection: Connection,
    directory: Arc<Directory>,
    key: PrivateKey,
    thumbprint: Thumbprint,
    /// The account's URL; empty until it is registered.
    account: String,
    nonce: Option<String>,
    /// Nonces that the server gave and did not take.
    pub(crate) bad_nonces: u64,
}

impl Client {
    /// A new ES256 key, registered as an account that agrees to whatever terms there are.
    ///
    /// # Errors
    /// [`RequestError`]
    pub(crate) async fn register(
        endpoint: Arc<Endpoint>,
        directory: Arc<Directory>,
    ) -> Result<Self, RequestError> {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256));
        let key = key.map_err(|_| RequestError::Unreadable("key of our own"))?;
        let mut client = Self {
            connection: Connection::new(endpoint),
            directory,
            thumbprint: Jwk::from_key(key.public()).thumbprint(),
            key,
            account: String::new(),
            nonce: None,
            bad_nonces: 0,
        };
        let agreed = NewAccount {
            terms_of_service_agreed: true,
            ..NewAccount::default()
        };
        let payload = json(&agreed)?;
        let url = client.directory.new_account.clone();
        let answer = client.post(&url, Some(&payload)).await?;
        client.account = answer
            .location
            .ok_or(RequestError::Unreadable("newAccount answer"))?;
        Ok(client)
    }

    /// The account key's thumbprint, half of every key authorization.
    pub(crate) fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// Connections beyond the first one.
    pub(crate) fn reconnections(&self) -> u64 {
        self.connection.made.saturating_sub(1)
    }

    /// A signed request; without a payload a POST-as-GET. A nonce that the server does not take is replaced once
    /// by the one on its refusal (RFC 8555 §6.5).
    ///
    /// # Errors
    /// [`RequestError`]
    pub(crate) async fn post(
        &mut self,
        url: &str,
        payload: Option<&[u8]>,
    ) -> Result<Good, RequestError> {
        match self.post_once(url, payload).await? {
            Ok(good) => Ok(good),
            Err(problem) if problem.is(ErrorType::BadNonce) => {
                self.bad_nonces += 1;
                self.post_once(url, payload)
                    .await?
                    .map_err(|problem| refused(&problem))
            }
            Err(problem) => Err(refused(&problem)),
        }
    }

    async fn post_once(
        &mut self,
        url: &str,
        payload: Option<&[u8]>,
    ) -> Result<Result<Good, Problem>, RequestError> {
        let nonce = match self.nonce.take() {
            Some(nonce) => nonce,
            None => self.new_nonce().await?,
        };
        let signer = match self.account.as_str() {
            "" => SignWith::Jwk,
            account => SignWith::Kid(account),
        };
        let message = sign(&self.key, url, Some(&nonce), signer, payload)
            .map_err(|_| RequestError::Unreadable("message of our own"))?;
        let answer = self
            .connection
            .send(Method::POST, url, Some(message))
            .await?;
        self.nonce.clone_from(&answer.nonce);
        Ok(judged(answer))
    }

    /// RFC 8555 §7.2; only for the first request, or after a connection that broke.
    async fn new_nonce(&mut self) -> Result<String, RequestError> {
        let url = self.directory.new_nonce.clone();
        let answer = self.connection.send(Method::HEAD, &url, None).await?;
        answer
            .nonce
            .ok_or(RequestError::Unreadable("newNonce answer"))
    }
}

/// The directory of a server.
///
/// # Errors
/// [`RequestError`]
pub(crate) async fn directory(
    endpoint: Arc<Endpoint>,
    url: &str,
) -> Result<Directory, RequestError> {
    let answer = Connection::new(endpoint)
        .send(Method::GET, url, None)
        .await?;
    match judged(answer) {
        Ok(good) => read(&good.body, "directory"),
        Err(problem) => Err(refused(&problem)),
    }
}

/// A message as JSON.
///
/// # Errors
/// [`RequestError::Unreadable`]
pub(crate) fn json<T: serde::Serialize>(message: &T) -> Result<Vec<u8>, RequestError> {
    serde_json::to_vec(message).map_err(|_| RequestError::Unreadable("message of our own"))
}

/// An answer's object.
///
/// # Errors
/// [`RequestError::Unreadable`]
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    body: &[u8],
    what: &'static str,
) -> Result<T, RequestError> {
    from_slice_bounded(body).map_err(|_| RequestError::Unreadable(what))
}

fn judged(answer: Answer) -> Result<Good, Problem> {
    if answer.status.is_success() {
        return Ok(Good {
            location: answer.location,
            body: answer.body,
            took: answer.took,
        });
    }
    // Some refusals come from in front of ACME (404, 413, …) and carry no problem.
    let problem = from_slice_bounded(&answer.body)
        .unwrap_or_else(|_| Problem::new(ErrorType::ServerInternal, "no problem document"));
    Err(problem.with_status(answer.status.as_u16()))
}

/// Problems by their type alone: details differ from request to request.
fn refused(problem: &Problem) -> RequestError {
    let kind = problem.kind.to_string();
    let kind = kind
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .take(60)
        .collect();
    RequestError::Refused {
        status: problem.status,
        kind,
    }
}
