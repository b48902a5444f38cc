use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::DialError;
use crate::connect::Connector;
use crate::deadline::{Deadline, Elapsed};
use crate::error::{bounded, io_cause};
use crate::tls::Tls;
use crate::trace::Trace;

/// What requests call themselves.
const USER_AGENT_VALUE: HeaderValue = HeaderValue::from_static("chancery");
/// The read buffer of one connection; hyper asks for at least 8 KiB.
const BUFFER_OCTETS_MAX: usize = 16 * 1024;

/// Bounds of one answer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Octets of the status line with all header fields, at most 16 KiB.
    pub head_octets_max: usize,
    /// Number of header fields.
    pub headers_max: usize,
    /// Octets of the body.
    pub body_octets_max: usize,
}

/// One GET on a connection of its own: no keep-alive, proxy, cookies or compression; a redirect is an answer. Only
/// the body of a 200 is read: of any other answer, status and header say all that matters.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// An `http` or `https` URL without credentials. It decides path and `Host`.
    pub url: &'a Url,
    /// The port that is dialled, whatever the URL says.
    pub port: u16,
    /// Bounds of the answer.
    pub limits: Limits,
    /// How an `https` server is believed.
    pub tls: &'a Tls,
    /// When all of it must be over.
    pub deadline: Deadline,
}

/// An answer within its limits.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Connector {
    /// Fetches one URL; what was asked and dialled goes into `trace`.
    ///
    /// # Errors
    /// Every [`DialError`] but those about configuration; [`DialError::LongBody`] where the body goes beyond its
    /// limit, of which no more than that was read.
    pub async fn fetch(&self, fetch: &Fetch<'_>, trace: &mut Trace) -> Result<Answer, DialError> {
        let host = checked_host(fetch.url)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let request = build(&Method::GET, fetch.url, &headers, Bytes::new())?;
        let stream = self
            .connect(&host, fetch.port, fetch.deadline, trace)
            .await?;
        let mut wire =
            Wire::open(stream, fetch.url, fetch.tls, fetch.limits, fetch.deadline).await?;
        let response = match fetch
            .deadline
            .bound(wire.sender.send_request(request))
            .await
        {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(no_http(&host, http_cause(&error))),
            Err(after) => return Err(no_http(&host, late(after))),
        };
        if response.status() != StatusCode::OK {
            let (head, _unread) = response.into_parts();
            return Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: Bytes::new(),
            });
        }
        read(&host, response, fetch.limits, fetch.deadline).await
    }
}

/// An HTTP/1.1 connection with the task that drives it; dropping it ends both.
pub(crate) struct Wire {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Wire {
    /// Speaks HTTP, through TLS first where the URL says so.
    pub(crate) async fn open(
        stream: TcpStream,
        url: &Url,
        tls: &Tls,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Self, DialError> {
        if url.scheme() == "http" {
            return Self::over(stream, url, limits, deadline).await;
        }
        let host = checked_host(url)?;
        let failed = |cause| DialError::Tls {
            host: bounded(&host),
            cause,
        };
        let name = match &host {
            Host::Domain(name) => ServerName::try_from((*name).to_owned())
                .map_err(|_| failed("it is not a name that TLS can ask for".to_owned()))?,
            Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
            Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
        };
        let handshake = TlsConnector::from(tls.config()).connect(name, stream);
        match deadline.bound(handshake).await {
            Ok(Ok(stream)) => Self::over(stream, url, limits, deadline).await,
            Ok(Err(error)) => Err(failed(io_cause(&error))),
            Err(after) => Err(failed(late(after))),
        }
    }

    async fn over<S>(
        stream: S,
        url: &Url,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Self, DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(BUFFER_OCTETS_MAX)
            .max_header_size(limits.head_octets_max.min(BUFFER_OCTETS_MAX))
            .max_headers(limits.headers_max);
        let host = checked_host(url)?;
        let (sender, connection) = match deadline
            .bound(builder.handshake(TokioIo::new(stream)))
            .await
        {
            Ok(Ok(parts)) => parts,
            Ok(Err(error)) => return Err(no_http(&host, http_cause(&error))),
            Err(after) => return Err(no_http(&host, late(after))),
        };
        let mut driver = JoinSet::new();
        // Its errors reach whoever waits for the answer.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self {
            sender,
            _driver: driver,
        })
    }
}

/// The host of a URL that this crate fetches.
pub(crate) fn checked_host(url: &Url) -> Result<Host<&str>, DialError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(DialError::BadUrl {
            reason: "its scheme is neither http nor https",
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(DialError::BadUrl {
            reason: "it carries credentials",
        });
    }
    url.host().ok_or(DialError::BadUrl {
        reason: "it has no host",
    })
}

/// A request in origin form with the URL's own authority as `Host` (RFC 9112 §3.2).
pub(crate) fn build(
    method: &Method,
    url: &Url,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, DialError> {
    let bad = |reason| DialError::BadUrl { reason };
    // Without credentials, which `checked_host` refuses, and without the default port.
    let authority =
        HeaderValue::from_str(url.authority()).map_err(|_| bad("its host cannot be sent"))?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(body))
        .map_err(|_| bad("its path cannot be sent"))?;
    let all = request.headers_mut();
    all.insert(HOST, authority);
    all.insert(USER_AGENT, USER_AGENT_VALUE);
    all.insert(ACCEPT, HeaderValue::from_static("*/*"));
    for (name, value) in headers {
        all.insert(name, value.clone());
    }
    Ok(request)
}

/// Reads the body up to its limit; no more than one buffer is held beyond it.
pub(crate) async fn read(
    host: &Host<&str>,
    response: Response<Incoming>,
    limits: Limits,
    deadline: Deadline,
) -> Result<Answer, DialError> {
    let (head, mut body) = response.into_parts();
    let (host, status) = (bounded(host), head.status.as_u16());
    let mut octets = Vec::new();
    loop {
        let broken = match deadline.bound(body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => {
                octets.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
                if octets.len() > limits.body_octets_max {
                    return Err(DialError::LongBody {
                        host,
                        status,
                        max: limits.body_octets_max,
                    });
                }
                continue;
            }
            Ok(Some(Err(error))) => http_cause(&error),
            Err(after) => late(after),
        };
        return Err(DialError::BrokenBody {
            host,
            status,
            octets: octets.len(),
            cause: broken,
        });
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: octets.into(),
    })
}

pub(crate) fn no_http(host: &Host<&str>, cause: String) -> DialError {
    DialError::NoHttp {
        host: bounded(host),
        cause,
    }
}

pub(crate) fn late(after: Elapsed) -> String {
    format!("it was not done within {after}")
}

/// What went wrong. hyper's texts are fixed ones, which never hold what was received.
pub(crate) fn http_cause(error: &hyper::Error) -> String {
    if error.is_parse() {
        return bounded(format!(
            "what came is not HTTP/1.1 within its limits ({error})"
        ));
    }
    if error.is_incomplete_message() {
        return "the connection was closed before the answer was complete".to_owned();
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(io) => io_cause(io),
        None => bounded(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::connect::Names;
    use crate::policy::Policy;
    use crate::test_http::{Script, TestHttp, answer};

    const SMALL: Limits = Limits {
        head_octets_max: 4096,
        headers_max: 8,
        body_octets_max: 128,
    };

    async fn fetch(url: &str) -> Result<Answer, DialError> {
        fetch_within(Duration::from_secs(10), url).await
    }

    async fn fetch_within(total: Duration, url: &str) -> Result<Answer, DialError> {
        let url = Url::parse(url).expect("a URL");
        let connector = Connector::new(Names::System, Policy::anywhere());
        let fetch = Fetch {
            url: &url,
            port: url.port_or_known_default().expect("a port"),
            limits: SMALL,
            tls: &Tls::Unverified,
            deadline: Deadline::after(total),
        };
        connector.fetch(&fetch, &mut Trace::default()).await
    }

    async fn check(script: Script, expected: &str) -> TestHttp {
        check_within(Duration::from_secs(10), script, expected).await
    }

    async fn check_within(total: Duration, script: Script, expected: &str) -> TestHttp {
        let server = TestHttp::start("127.0.0.1:0", move |_| script.clone()).await;
        let url = format!("http://{}/x", server.address);
        let error = fetch_within(total, &url).await.expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        server
    }

    #[tokio::test]
    async fn a_request_says_who_asks_for_what_and_keeps_nothing_open() {
        let server = TestHttp::start("127.0.0.1:0", |_| Script::Send(answer(200, "", "ok"))).await;
        let url = format!("http://{}/a/b?c=d#e", server.address);
        let got = fetch(&url).await.expect("answers");
        assert_eq!(
            (got.status.as_u16(), got.body.as_ref()),
            (200, b"ok".as_slice())
        );
        let seen = server.seen();
        let request = seen.requests.first().expect("one request");
        assert!(
            request.starts_with("GET /a/b?c=d HTTP/1.1\r\n"),
            "{request}"
        );
        for field in [
            format!("host: {}", server.address),
            "user-agent: chancery".to_owned(),
            "connection: close".to_owned(),
        ] {
            assert!(request.contains(&format!("{field}\r\n")), "{request}");
        }
        assert!(
            !request.to_ascii_lowercase().contains("accept-encoding"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn b4_a_body_of_ten_megabytes_is_cut_at_its_limit() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n".to_owned();
        let server = check(Script::Flood(head, 10 << 20), "more than 128 octets").await;
        // What was sent is in the buffers of the kernel; the rest was never taken.
        assert!(server.seen().octets_sent < 9 << 20);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n".to_owned();
        check(Script::Flood(chunked, 10 << 20), "more than 128 octets").await;
    }

    #[tokio::test]
    async fn the_body_of_a_redirect_is_not_read() {
        let head = "HTTP/1.1 301 Moved\r\nLocation: /y\r\nContent-Length: 99999\r\n\r\n".to_owned();
        let script = Script::Drip(head, Duration::from_millis(50));
        let server = TestHttp::start("127.0.0.1:0", move |_| script.clone()).await;
        let got = fetch(&format!("http://{}/x", server.address))
            .await
            .expect("answers");
        assert_eq!((got.status.as_u16(), got.body.len()), (301, 0));
        assert!(got.headers.contains_key("location"));
    }

    #[tokio::test]
    async fn b4_what_comes_slowly_or_never_ends_at_the_deadline() {
        let (total, beat) = (Duration::from_millis(300), Duration::from_millis(50));
        let late = "was not done within 300 ms";
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_owned();
        check_within(total, Script::Drip(head, beat), late).await;
        let head = "HTTP/1.1 200 OK\r\nX-Slow: ".to_owned();
        check_within(total, Script::Drip(head, beat), late).await;
        check_within(total, Script::Silence, late).await;
    }

    #[tokio::test]
    async fn b4_heads_beyond_their_limits_are_refused() {
        let long = format!("X-Long: {}\r\n", "x".repeat(5000));
        check(Script::Send(answer(200, &long, "ok")), "within its limits").await;
        let many = "X-Many: x\r\n".repeat(20);
        check(Script::Send(answer(200, &many, "ok")), "within its limits").await;
    }

    #[tokio::test]
    async fn b5_what_is_not_http_is_told_without_its_contents() {
        for script in [
            Script::Last("SECRET-123\r\n\r\n".to_owned()),
            Script::Last("HTTP/1.1 SECRET-123\r\n\r\n".to_owned()),
            Script::Last("HTTP/1.1 200 OK\r\nSECRET-123\r\n\r\n".to_owned()),
            Script::Last("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nSECRET-123".to_owned()),
            Script::Close,
        ] {
            let server = TestHttp::start("127.0.0.1:0", move |_| script.clone()).await;
            let url = format!("http://{}/", server.address);
            let error = fetch(&url).await.expect_err("no answer");
            assert_eq!(error.class(), crate::FailureClass::Connection);
            assert!(
                !format!("{error:?} {error}").contains("SECRET"),
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn https_is_spoken_with_any_certificate_where_that_is_asked_for() {
        let answers = |_: &str| Script::Send(answer(200, "", "ok"));
        let (server, _) = TestHttp::start_tls("127.0.0.1:0", "other.test", answers).await;
        let got = fetch(&format!("https://{}/", server.address))
            .await
            .expect("answers");
        assert_eq!(got.body.as_ref(), b"ok");
    }

    #[tokio::test]
    async fn a_server_without_tls_fails_the_handshake() {
        // It waits for the end of what it takes for a request.
        let server = TestHttp::start("127.0.0.1:0", |_| Script::Close).await;
        let url = format!("https://{}/", server.address);
        let error = fetch_within(Duration::from_millis(300), &url)
            .await
            .expect_err("no TLS");
        assert_eq!(error.class(), crate::FailureClass::Tls, "{error}");
    }

    #[tokio::test]
    async fn other_schemes_and_credentials_are_refused() {
        for (url, reason) in [
            ("ftp://127.0.0.1/", "neither http nor https"),
            ("http://user@127.0.0.1/", "credentials"),
            ("http://:secret@127.0.0.1/", "credentials"),
        ] {
            let error = fetch(url).await.expect_err(reason);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
