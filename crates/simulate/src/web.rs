use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::SimulateError;
use crate::listen::{self, Task};

/// RFC 8555 §8.3.
const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";
/// A client that has not said what it wants by then is gone.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The request line and all headers.
const HEADER_OCTETS_MAX: usize = 16 * 1024;

/// The key authorizations that a [`WebHost`] serves. Clones share one set.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<RwLock<HashMap<String, Bytes>>>);

impl Tokens {
    /// No tokens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `key_authorization` as the answer for `token` from now on.
    pub fn put_token(&self, token: impl Into<String>, key_authorization: impl Into<String>) {
        let body = Bytes::from(key_authorization.into());
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.into(), body);
    }

    /// Forgets a token; requests for it are 404 again.
    pub fn remove_token(&self, token: &str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token);
    }

    fn find(&self, token: &str) -> Option<Bytes> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }
}

/// An HTTP/1.1 server that answers http-01 challenges (RFC 8555 §8.3) for whatever host is asked for, and
/// nothing else.
#[derive(Debug)]
pub struct WebHost {
    addr: SocketAddr,
    tokens: Tokens,
    _task: Task,
}

impl WebHost {
    /// Starts serving `tokens` on `addr`; port 0 picks a free one. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`SimulateError::Listen`]
    pub async fn start(addr: SocketAddr, tokens: Tokens) -> Result<Self, SimulateError> {
        let (listener, addr) = listen::bind(addr).await?;
        let served = tokens.clone();
        let task = listen::accept(listener, move |stream| {
            let tokens = served.clone();
            serve(stream, move |request| answer_challenge(request, &tokens))
        });
        Ok(Self {
            addr,
            tokens,
            _task: task,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it serves; changes are seen by the next request.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }
}

/// Answers the requests of one connection until the client or a time limit ends it. Bodies are not read.
pub(crate) async fn serve<Stream, Answer>(stream: Stream, answer: Answer)
where
    Stream: AsyncRead + AsyncWrite + Unpin,
    Answer: Fn(&Request<Incoming>) -> Response<Full<Bytes>>,
{
    let service = service_fn(|request| ready(Ok::<_, Infallible>(answer(&request))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_OCTETS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a client of the simulated host broke off");
    }
}

/// The answer with this status and body.
pub(crate) fn reply(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Whether the method asks for a page and does nothing else.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn answer_challenge(request: &Request<Incoming>, tokens: &Tokens) -> Response<Full<Bytes>> {
    if !is_read(request.method()) {
        return reply(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is answered here\n",
        );
    }
    let token = request.uri().path().strip_prefix(CHALLENGE_PATH);
    match token.and_then(|token| tokens.find(token)) {
        Some(body) => reply(StatusCode::OK, body),
        None => reply(StatusCode::NOT_FOUND, "no such token here\n"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn host() -> WebHost {
        let host = WebHost::start("127.0.0.1:0".parse().expect("an address"), Tokens::new()).await;
        let host = host.expect("a free port");
        host.tokens().put_token("token", "token.thumbprint");
        host
    }

    async fn exchange(host: &WebHost, request: &str) -> String {
        let mut stream = TcpStream::connect(host.addr()).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    }

    #[tokio::test]
    async fn a_token_is_served_exactly_until_it_is_removed() {
        let host = host().await;
        let asked = get("/.well-known/acme-challenge/token");
        let answer = exchange(&host, &asked).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\ntoken.thumbprint"), "{answer}");
        host.tokens().remove_token("token");
        assert!(exchange(&host, &asked).await.starts_with("HTTP/1.1 404 "));
    }

    #[tokio::test]
    async fn other_paths_and_methods_get_nothing() {
        let host = host().await;
        for path in [
            "/",
            "/token",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/x",
        ] {
            assert!(
                exchange(&host, &get(path))
                    .await
                    .starts_with("HTTP/1.1 404 "),
                "{path}"
            );
        }
        let post = get("/.well-known/acme-challenge/token").replace("GET", "POST");
        assert!(exchange(&host, &post).await.starts_with("HTTP/1.1 405 "));
    }

    #[tokio::test]
    async fn one_connection_carries_many_requests() {
        let host = host().await;
        let kept = get("/.well-known/acme-challenge/token").replace("close", "keep-alive");
        let all = [
            kept.as_str(),
            &kept,
            &get("/.well-known/acme-challenge/token"),
        ]
        .concat();
        assert_eq!(
            exchange(&host, &all)
                .await
                .matches("token.thumbprint")
                .count(),
            3
        );
    }

    #[tokio::test]
    async fn endless_headers_end_the_connection() {
        let host = host().await;
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEADER_OCTETS_MAX));
        assert!(exchange(&host, &long).await.starts_with("HTTP/1.1 431 "));
    }
}
