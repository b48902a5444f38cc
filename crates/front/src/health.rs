//! `/livez`, `/readyz` and `/metrics` on a listener of their own: no secrets, no names, no serials.

use std::sync::Arc;

use chancery_engine::Engine;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;

use crate::answer::{body, empty, json};
use crate::listener::{Answer, Handler, Peer};
use crate::metrics::HttpMetrics;

/// Tells machines how the server is.
pub struct HealthFront {
    engine: Arc<Engine>,
    metrics: Arc<HttpMetrics>,
}

#[derive(Debug, Serialize)]
struct Readiness {
    acme: bool,
    status: bool,
    crls_waiting: usize,
}

impl HealthFront {
    /// A front over an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>, metrics: Arc<HttpMetrics>) -> Self {
        Self { engine, metrics }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if *request.method() != Method::GET {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        match request.uri().path() {
            "/livez" => body(StatusCode::OK, "text/plain; charset=utf-8", "alive\n"),
            "/readyz" => self.readiness().await,
            "/metrics" => {
                let text = format!("{}{}", self.engine.metrics_text(), self.metrics.render());
                body(
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    text,
                )
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn readiness(&self) -> Answer {
        let status = self.engine.status();
        let current = status
            .soonest_next_update
            .is_some_and(|next| next > status.now);
        let told = Readiness {
            acme: self.engine.can_issue().await,
            status: current,
            crls_waiting: status.crls_waiting,
        };
        let code = if told.acme && told.status {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        json(code, &told)
    }
}

impl Handler for HealthFront {
    async fn handle(&self, request: Request<Incoming>, _peer: Peer) -> Answer {
        self.answer(&request).await
    }
}
