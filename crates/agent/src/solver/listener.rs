use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chancery_acme::{HTTP01_PATH, Token};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::AgentError;

/// A CA asks from a handful of places at once; whoever else comes may wait.
const CONNECTIONS_MAX: usize = 64;
/// A whole connection. A CA asks once and is gone.
const CONNECTION_TIME: Duration = Duration::from_secs(15);
/// The request line and all headers.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// After a failed accept, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What the kernel says of an IPv6 address where there is no IPv6.
const EAFNOSUPPORT: i32 = 97;

/// Answers by token.
type Answers = Arc<RwLock<HashMap<String, Bytes>>>;

/// An HTTP server that knows the answers it was given and nothing else. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Listener {
    answers: Answers,
    /// The accepting task, which owns those of the connections.
    task: JoinSet<()>,
    #[cfg(test)]
    addr: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind(addr: SocketAddr) -> Result<Self, AgentError> {
        let bound = match TcpListener::bind(addr).await {
            // "Every address" is every IPv4 address on a machine without IPv6.
            Err(error) if addr.ip().is_unspecified() && has_no_ipv6(&error) => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, addr.port())).await
            }
            bound => bound,
        };
        let listener = bound.map_err(|source| AgentError::Listen { addr, source })?;
        let answers = Answers::default();
        #[cfg(test)]
        let addr = listener
            .local_addr()
            .map_err(|source| AgentError::Listen { addr, source })?;
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&answers)));
        Ok(Self {
            answers,
            task,
            #[cfg(test)]
            addr,
        })
    }

    /// Closes the port and every connection.
    pub(crate) async fn close(mut self) {
        self.task.shutdown().await;
    }

    pub(crate) fn put(&self, token: &Token, key_authorization: &str) {
        let body = Bytes::copy_from_slice(key_authorization.as_bytes());
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_string(), body);
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

async fn accept(listener: TcpListener, answers: Answers) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        tracing::debug!("http-01 is being asked for by {}", from.ip());
        let answers = Arc::clone(&answers);
        connections.spawn(async move {
            // Whoever is too slow or breaks off is nobody's failure here: the CA tells.
            tokio::time::timeout(CONNECTION_TIME, serve(stream, answers))
                .await
                .ok();
        });
    }
}

async fn serve(stream: TcpStream, answers: Answers) {
    let service = service_fn(|request| ready(Ok::<_, Infallible>(answer(&request, &answers))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIME)
        .max_buf_size(HEAD_OCTETS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a client of the http-01 listener broke off: {error}");
    }
}

fn answer(request: &Request<Incoming>, answers: &Answers) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    let token = request.uri().path().strip_prefix(HTTP01_PATH);
    let known = answers.read().unwrap_or_else(PoisonError::into_inner);
    match token.and_then(|token| known.get(token)) {
        Some(body) => reply(StatusCode::OK, body.clone()),
        None => reply(StatusCode::NOT_FOUND, Bytes::new()),
    }
}

fn reply(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let binary = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, binary);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn listener() -> Listener {
        Listener::bind("127.0.0.1:0".parse().expect("an address"))
            .await
            .expect("a free port")
    }

    fn token() -> Token {
        Token::new([7; 32])
    }

    async fn ask(listener: &Listener, request: &str) -> String {
        let mut stream = TcpStream::connect(listener.addr).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn a_known_token_is_answered_and_nothing_else_is() {
        let listener = listener().await;
        listener.put(&token(), "token.thumbprint");
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let known = format!("{HTTP01_PATH}{}", token());
        let answer = ask(&listener, &get(&known)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\ntoken.thumbprint"), "{answer}");
        let other = format!("{HTTP01_PATH}{}", Token::new([8; 32]));
        for path in [
            "/",
            HTTP01_PATH,
            &other,
            &format!("{known}/"),
            &format!("/x{known}"),
        ] {
            let answer = ask(&listener, &get(path)).await;
            assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        }
        let post = get(&known).replace("GET", "POST");
        assert!(ask(&listener, &post).await.starts_with("HTTP/1.1 405 "));
    }

    #[tokio::test]
    async fn closing_it_frees_the_port_at_once_and_a_taken_port_is_told() {
        let first = listener().await;
        let addr = first.addr;
        let error = Listener::bind(addr).await.expect_err("taken").to_string();
        assert!(error.contains("--webroot"), "{error}");
        first.close().await;
        Listener::bind(addr).await.expect("free again");
    }
}
