//! The ACME gateway (RFC 8555): protocol in, protocol out. It decides nothing.
//!
//! A request passes, in this order and cheapest first: route, method, media type, size, JWS form, URL, nonce, account,
//! signature ([`request`]); then one function per resource ([`accounts`], [`resources`]) asks the engine and shapes the answer.

mod accounts;
mod answer;
mod cors;
mod even_time;
mod key_change;
mod nonce;
mod problem;
mod renewal_info;
mod request;
mod resources;
mod route;
mod shape;
mod terms;
mod urls;

use std::sync::Arc;
use std::time::Instant;

use chancery_authority::gateway::Gateway;
use chancery_engine::Engine;
use http::{Method, Request};
use hyper::body::Incoming;

pub use nonce::{Nonces, Redeemed};
pub use urls::Urls;

use crate::acme::answer::{method_not_allowed, not_found};
use crate::acme::even_time::EvenTime;
use crate::acme::problem::Failure;
use crate::acme::request::Accepts;
use crate::acme::route::{Resource, Route};
use crate::answer::{empty, set};
use crate::listener::{Answer, Handler, Peer};
use crate::metrics::HttpMetrics;

/// All ACME gateways of a server behind one listener.
pub struct AcmeFront {
    pub(crate) engine: Arc<Engine>,
    pub(crate) nonces: Nonces,
    pub(crate) urls: Urls,
    pub(crate) metrics: Arc<HttpMetrics>,
    even_time: EvenTime,
}

impl AcmeFront {
    /// A front over an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>, nonces: Nonces, urls: Urls, metrics: Arc<HttpMetrics>) -> Self {
        Self {
            engine,
            nonces,
            urls,
            metrics,
            even_time: EvenTime::start(),
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let path = request.uri().path().to_owned();
        let route = match Route::parse(&path) {
            Some(Route::WellKnown) => return self.to_default_directory(),
            Some(route) => route,
            None => return not_found(),
        };
        let (gateway, resource) = match route {
            Route::WellKnown => return self.to_default_directory(),
            Route::DefaultDirectory => (self.engine.default_gateway(), Resource::Directory),
            Route::Gateway(name, resource) => match self.engine.gateway(name) {
                Ok(gateway) => (gateway, resource),
                Err(_) => return not_found(),
            },
        };
        let answer = self
            .dispatch(gateway, resource, &path, (request, peer))
            .await;
        answer.unwrap_or_else(|failure| self.refuse(gateway, failure))
    }

    async fn dispatch(
        &self,
        gateway: &Gateway,
        resource: Resource<'_>,
        path: &str,
        (request, peer): (Request<Incoming>, Peer),
    ) -> Result<Answer, Failure> {
        let method = request.method().clone();
        match (&method, resource) {
            (&Method::GET | &Method::HEAD, Resource::Directory) => Ok(self.directory(gateway)),
            (&Method::HEAD, Resource::NewNonce) => {
                Ok(self.new_nonce(gateway, http::StatusCode::OK))
            }
            (&Method::GET, Resource::NewNonce) => {
                Ok(self.new_nonce(gateway, http::StatusCode::NO_CONTENT))
            }
            (&Method::GET | &Method::HEAD, Resource::Terms(word)) => {
                self.terms_page(gateway, word).await
            }
            (&Method::GET | &Method::HEAD, Resource::RenewalInfo(id)) => {
                self.renewal_info(gateway, id).await
            }
            (&Method::GET | &Method::HEAD, Resource::Limits) => Ok(self.limits_page()),
            (&Method::OPTIONS, _) => Ok(cors::preflight()),
            (&Method::POST, resource) => {
                let accepts = match resource {
                    Resource::NewAccount => Accepts::NewKey,
                    Resource::RevokeCert => Accepts::AccountOrKey,
                    Resource::Terms(word) => return self.agree(gateway, word).await,
                    Resource::Directory
                    | Resource::NewNonce
                    | Resource::NewOrder
                    | Resource::NewAuthorization
                    | Resource::RenewalInfo(_)
                    | Resource::Limits
                    | Resource::KeyChange
                    | Resource::Account(_)
                    | Resource::Orders(_)
                    | Resource::OrdersBelow(..)
                    | Resource::Order(_)
                    | Resource::Finalize(_)
                    | Resource::Authorization(_)
                    | Resource::Challenge(_)
                    | Resource::Certificate(_) => Accepts::Account,
                };
                let signed = self
                    .authenticate(gateway, path, (request, peer), accepts)
                    .await?;
                let proven = Instant::now();
                let answer = self.resource(gateway, resource, &signed).await;
                if matches!(&answer, Err(failure) if failure.is_not_yours()) {
                    self.even_time.hold(proven).await;
                }
                answer
            }
            _ => Ok(method_not_allowed(self, gateway)),
        }
    }

    fn to_default_directory(&self) -> Answer {
        let mut answer = empty(http::StatusCode::TEMPORARY_REDIRECT);
        let directory = self.urls.directory(self.engine.default_gateway());
        set(&mut answer, http::header::LOCATION, &directory);
        answer
    }
}

impl Handler for AcmeFront {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let started = self.metrics.begin();
        let mut answer = self.answer(request, peer).await;
        cors::allow_everyone(&mut answer);
        self.metrics.end("public", started, answer.status());
        answer
    }
}
