use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response};
use hyper::body::Incoming;
use url::Url;

use crate::DialError;
use crate::connect::Connector;
use crate::deadline::Deadline;
use crate::http::{Answer, Limits, Wire, build, checked_host, http_cause, late, no_http, read};
use crate::tls::Tls;
use crate::trace::Trace;

/// Connections kept for later, one to each origin.
const IDLE_MAX: usize = 16;

/// An HTTP client for a server that an operator configured: HTTP/1.1, one kept connection to each origin, TLS by
/// the given roots only. It follows no redirect.
pub struct HttpClient {
    connector: Connector,
    tls: Tls,
    limits: Limits,
    deadline: Duration,
    /// Idle connections by `scheme://host:port`. A request takes its connection out, so the lock is never held
    /// while anything is awaited.
    idle: Mutex<HashMap<String, Wire>>,
}

/// One request of an [`HttpClient`].
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// An `http` or `https` URL.
    pub url: Url,
    /// Fields besides `Host`, `User-Agent` and `Accept`, which have values of their own unless they are given here.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// How far a request came that got no answer.
enum Lost {
    /// Nothing was sent: the kept connection had been closed.
    Unsent,
    /// It may have been received.
    Sent(DialError),
}

impl HttpClient {
    /// Bounds that every answer of an ACME server and a CRL of half a million entries keep to.
    pub const LIMITS: Limits = Limits {
        head_octets_max: 16 * 1024,
        headers_max: 100,
        body_octets_max: 16 << 20,
    };

    /// A client that dials through `connector`, believes `tls`, and gives each request `deadline`.
    #[must_use]
    pub fn new(connector: Connector, tls: Tls, limits: Limits, deadline: Duration) -> Self {
        Self {
            connector,
            tls,
            limits,
            deadline,
            idle: Mutex::default(),
        }
    }

    /// GET.
    ///
    /// # Errors
    /// See [`HttpClient::send`].
    pub async fn get(&self, url: &Url) -> Result<Answer, DialError> {
        self.send(&HttpRequest::new(Method::GET, url)).await
    }

    /// HEAD.
    ///
    /// # Errors
    /// See [`HttpClient::send`].
    pub async fn head(&self, url: &Url) -> Result<Answer, DialError> {
        self.send(&HttpRequest::new(Method::HEAD, url)).await
    }

    /// POST of a body with its media type.
    ///
    /// # Errors
    /// See [`HttpClient::send`].
    pub async fn post(
        &self,
        url: &Url,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, DialError> {
        let mut request = HttpRequest::new(Method::POST, url);
        request
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        request.body = body.into();
        self.send(&request).await
    }

    /// Sends a request on the kept connection to its origin, or on a new one. A kept connection that proves to be
    /// closed is replaced once: always where nothing was sent, and for GET and HEAD also where it was.
    ///
    /// # Errors
    /// Every [`DialError`] but those about configuration. An answer of any status is an answer.
    pub async fn send(&self, request: &HttpRequest) -> Result<Answer, DialError> {
        let deadline = Deadline::after(self.deadline);
        checked_host(&request.url)?;
        let origin = request.url.origin().ascii_serialization();
        if let Some(kept) = self.take(&origin) {
            match self.exchange(kept, request, deadline).await {
                Ok((answer, wire)) => {
                    self.keep(origin, wire);
                    return Ok(answer);
                }
                Err(Lost::Sent(error))
                    if !is_repeatable(&request.method, &error)
                        || deadline.remaining().is_zero() =>
                {
                    return Err(error);
                }
                Err(Lost::Sent(_) | Lost::Unsent) => {}
            }
        }
        let fresh = self.connect(&request.url, deadline).await?;
        match self.exchange(fresh, request, deadline).await {
            Ok((answer, wire)) => {
                self.keep(origin, wire);
                Ok(answer)
            }
            Err(Lost::Sent(error)) => Err(error),
            Err(Lost::Unsent) => Err(no_http(
                &checked_host(&request.url)?,
                "the connection was closed at once".to_owned(),
            )),
        }
    }

    async fn connect(&self, url: &Url, deadline: Deadline) -> Result<Wire, DialError> {
        let host = checked_host(url)?;
        let port = url
            .port_or_known_default()
            .ok_or(DialError::BadUrl { reason: "no port" })?;
        let stream = self
            .connector
            .connect(&host, port, deadline, &mut Trace::default())
            .await?;
        Wire::open(stream, url, &self.tls, self.limits, deadline).await
    }

    async fn exchange(
        &self,
        mut wire: Wire,
        request: &HttpRequest,
        deadline: Deadline,
    ) -> Result<(Answer, Wire), Lost> {
        let host = checked_host(&request.url).map_err(Lost::Sent)?;
        let response = self.head_of(&mut wire, request, deadline).await?;
        let answer = read(&host, response, self.limits, deadline)
            .await
            .map_err(Lost::Sent)?;
        Ok((answer, wire))
    }

    async fn head_of(
        &self,
        wire: &mut Wire,
        request: &HttpRequest,
        deadline: Deadline,
    ) -> Result<Response<Incoming>, Lost> {
        let host = checked_host(&request.url).map_err(Lost::Sent)?;
        let late = |after| Lost::Sent(no_http(&host, late(after)));
        let HttpRequest {
            method,
            url,
            headers,
            body,
        } = request;
        let message = build(method, url, headers, body.clone()).map_err(Lost::Sent)?;
        if deadline
            .bound(wire.sender.ready())
            .await
            .map_err(late)?
            .is_err()
        {
            return Err(Lost::Unsent);
        }
        match deadline
            .bound(wire.sender.try_send_request(message))
            .await
            .map_err(late)?
        {
            Ok(response) => Ok(response),
            Err(error) if error.message().is_some() => Err(Lost::Unsent),
            Err(error) => Err(Lost::Sent(no_http(&host, http_cause(error.error())))),
        }
    }

    fn take(&self, origin: &str) -> Option<Wire> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(origin)
    }

    fn keep(&self, origin: String, wire: Wire) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| !kept.sender.is_closed());
        if !wire.sender.is_closed() && idle.len() < IDLE_MAX {
            idle.entry(origin).or_insert(wire);
        }
    }
}

impl HttpRequest {
    /// A request without a body and without fields of its own.
    #[must_use]
    pub fn new(method: Method, url: &Url) -> Self {
        Self {
            method,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// Whether a request that was lost on a kept connection may go again on a new one (RFC 9110 §9.2.2).
fn is_repeatable(method: &Method, error: &DialError) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && matches!(error, DialError::NoHttp { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::connect::Names;
    use crate::policy::Policy;
    use crate::test_http::{Script, TestHttp, answer};

    fn client(tls: Tls) -> HttpClient {
        let connector = Connector::new(Names::System, Policy::anywhere());
        HttpClient::new(connector, tls, HttpClient::LIMITS, Duration::from_secs(2))
    }

    fn no_roots() -> Tls {
        Tls::with_roots::<&str>(&[]).expect("an empty list is a list")
    }

    fn url(server: &TestHttp, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", server.address)).expect("a URL")
    }

    #[tokio::test]
    async fn requests_to_one_origin_share_a_connection() {
        let server = TestHttp::start("127.0.0.1:0", |request| {
            let body = if request.starts_with("HEAD") {
                ""
            } else {
                "ok"
            };
            Script::Send(answer(200, "Replay-Nonce: n\r\n", body))
        })
        .await;
        let client = client(no_roots());
        let got = client.head(&url(&server, "/nonce")).await.expect("answers");
        assert_eq!(
            got.headers.get("replay-nonce").map(HeaderValue::as_bytes),
            Some(&b"n"[..])
        );
        let got = client
            .post(&url(&server, "/order"), "application/jose+json", "{}")
            .await;
        assert_eq!(got.expect("answers").body.as_ref(), b"ok");
        client.get(&url(&server, "/cert")).await.expect("answers");
        let seen = server.seen();
        assert_eq!((seen.connections, seen.requests.len()), (1, 3));
        let post = seen.requests.get(1).expect("the second");
        assert!(
            post.contains("content-type: application/jose+json\r\n"),
            "{post}"
        );
        assert!(post.ends_with("\r\n\r\n{}"), "{post}");
    }

    #[tokio::test]
    async fn a_connection_closed_while_idle_is_replaced_for_every_method() {
        let server = TestHttp::start("127.0.0.1:0", |_| Script::Last(answer(200, "", "ok"))).await;
        let client = client(no_roots());
        for _ in 0..3 {
            client
                .post(&url(&server, "/"), "text/plain", "x")
                .await
                .expect("answers");
            // The server's FIN has to arrive before the next request for this to be the case that is meant.
            client.idle_closed().await;
        }
        assert_eq!(server.seen().connections, 3);
    }

    #[tokio::test]
    async fn a_lost_get_goes_again_and_a_lost_post_does_not() {
        let closed = AtomicBool::new(false);
        let server = TestHttp::start("127.0.0.1:0", move |request| {
            let closes = request.contains("/second") && !closed.fetch_not(Ordering::SeqCst);
            if closes {
                Script::Close
            } else {
                Script::Send(answer(200, "", "ok"))
            }
        })
        .await;
        let client = client(no_roots());
        client.get(&url(&server, "/first")).await.expect("answers");
        client
            .get(&url(&server, "/second"))
            .await
            .expect("answers the second time");
        assert_eq!(server.seen().requests.len(), 3);

        let error = client
            .post(&url(&server, "/second"), "text/plain", "x")
            .await
            .expect_err("the server may have acted on it");
        assert!(error.to_string().contains("gave no HTTP answer"), "{error}");
        assert_eq!(server.seen().requests.len(), 4);
    }

    #[tokio::test]
    async fn a_server_is_believed_by_its_roots_only() {
        let answers = |_: &str| Script::Send(answer(200, "", "ok"));
        let (server, pem) = TestHttp::start_tls("127.0.0.1:0", "localhost", answers).await;
        let port = server.address.port();
        let by_name = Url::parse(&format!("https://localhost:{port}/")).expect("a URL");

        let trusting = client(Tls::with_roots(&[&pem]).expect("a certificate"));
        assert_eq!(
            trusting.get(&by_name).await.expect("answers").body.as_ref(),
            b"ok"
        );
        trusting.get(&by_name).await.expect("answers");
        assert_eq!(server.seen().connections, 1);

        let by_address = Url::parse(&format!("https://127.0.0.1:{port}/")).expect("a URL");
        for (client, url) in [(client(no_roots()), &by_name), (trusting, &by_address)] {
            let error = client.get(url).await.expect_err("not believed");
            assert_eq!(error.class(), crate::FailureClass::Tls, "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_of_any_status_is_an_answer_and_no_redirect_is_followed() {
        let server = TestHttp::start("127.0.0.1:0", |_| {
            Script::Send(answer(302, "Location: /elsewhere\r\n", "moved"))
        })
        .await;
        let got = client(no_roots())
            .get(&url(&server, "/"))
            .await
            .expect("answers");
        assert_eq!(got.status.as_u16(), 302);
        assert_eq!(server.seen().requests.len(), 1);
    }

    impl HttpClient {
        /// Waits until each kept connection is seen to be closed.
        async fn idle_closed(&self) {
            let kept: Vec<(String, Wire)> = self.idle.lock().expect("whole").drain().collect();
            for (origin, mut wire) in kept {
                while wire.sender.ready().await.is_ok() {
                    tokio::task::yield_now().await;
                }
                self.idle.lock().expect("whole").insert(origin, wire);
            }
        }
    }
}
