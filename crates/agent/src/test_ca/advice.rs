use bytes::Bytes;
use chancery_pki::UnixTime;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

/// What a test CA says of the renewal of every certificate (RFC 9773).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<&'static str>,
    /// Nothing is said at all, and the connection stays open.
    pub(crate) is_silent: bool,
}

impl Advice {
    /// A window.
    pub(crate) fn window(start: UnixTime, end: UnixTime) -> Self {
        let window = json!({"start": start.to_rfc3339(), "end": end.to_rfc3339()});
        Self::body(json!({ "suggestedWindow": window }).to_string())
    }

    /// Any text.
    pub(crate) fn body(body: String) -> Self {
        Self {
            status: 200,
            body,
            retry_after: None,
            is_silent: false,
        }
    }

    /// An error.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::body(String::new())
        }
    }

    pub(crate) fn silence() -> Self {
        Self {
            is_silent: true,
            ..Self::status(200)
        }
    }

    pub(crate) fn retry_after(self, value: &'static str) -> Self {
        Self {
            retry_after: Some(value),
            ..self
        }
    }

    pub(super) async fn response(self) -> Response<Full<Bytes>> {
        if self.is_silent {
            std::future::pending::<()>().await;
        }
        let status = StatusCode::from_u16(self.status).expect("a status");
        let mut response = Response::builder().status(status);
        if let Some(value) = self.retry_after {
            response = response.header("retry-after", value);
        }
        let response = response.body(Full::new(self.body.into()));
        response.expect("a response")
    }
}
