//! `/api/v1` on the operator's socket. Who may connect is decided by the socket's file mode and the kernel's word for the
//! user at the other end: only root and the server's own user are heard.

mod bindings;
mod view;
mod why;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chancery_authority::OrderId;
use chancery_authority::audit::Walk;
use chancery_authority::store::{CertificateFilter, OnlyRevoked, Page};
use chancery_engine::{Engine, EngineError, Revoker};
use chancery_pki::{RevocationReason, Serial, UnixTime};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answer::json;
use crate::listener::{Answer, Handler, Peer};

const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(10);

/// Records in one page where the request does not say.
const LIMIT: u16 = 200;

/// Answers operators.
pub struct ApiFront {
    engine: Arc<Engine>,
    /// The server's own user.
    own_uid: u32,
}

/// What an operator is told when something does not work.
#[derive(Debug, Serialize)]
struct Trouble {
    error: String,
}

#[derive(Debug)]
struct Refused(StatusCode, String);

impl Refused {
    fn bad(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }

    fn missing(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            EngineError::Refused(_) | EngineError::Csr(_) => StatusCode::CONFLICT,
            EngineError::Busy { .. }
            | EngineError::Store(_)
            | EngineError::Signer(_)
            | EngineError::OlderJournal { .. }
            | EngineError::Contended => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(code, error.to_string())
    }
}

/// One page of a listing; `next` is the `after` of the page behind it.
#[derive(Debug, Serialize)]
struct Listing<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeOrder {
    reason: Option<String>,
}

impl ApiFront {
    /// A front over an engine, for the user that the server runs as.
    #[must_use]
    pub fn new(engine: Arc<Engine>, own_uid: u32) -> Self {
        Self { engine, own_uid }
    }

    async fn answer(&self, request: Request<Incoming>, uid: u32) -> Result<Answer, Refused> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or("").to_owned();
        let query = Query::parse(&query)?;
        let segments: Vec<&str> = path.split('/').skip(1).take(6).collect();
        let method = request.method().clone();
        match (&method, segments.as_slice()) {
            (&Method::GET, ["api", "v1", "status"]) => Ok(json(
                StatusCode::OK,
                &view::Status::of(&self.engine.status()),
            )),
            (&Method::GET, ["api", "v1", "certificates"]) => self.certificates(&query).await,
            (&Method::GET, ["api", "v1", "certificates", serial]) => self.certificate(serial).await,
            (&Method::POST, ["api", "v1", "certificates", serial, "revoke"]) => {
                self.revoke(serial, request, uid).await
            }
            (&Method::GET, ["api", "v1", "orders"]) => self.orders(&query).await,
            (&Method::GET, ["api", "v1", "orders", id]) => self.order(id).await,
            (&Method::GET, ["api", "v1", "orders", id, "why"]) => self.why(id).await,
            (method, ["api", "v1", "bindings", rest @ ..]) => {
                self.binding_resource(method, rest, &query, (request, uid))
                    .await
            }
            (&Method::GET, ["api", "v1", "crls"]) => {
                let all = self.engine.crls().all();
                let items: Vec<_> = all.iter().map(|crl| view::CrlLine::of(crl)).collect();
                Ok(json(StatusCode::OK, &Listing { items, next: None }))
            }
            (&Method::GET, ["api", "v1", "invariants"]) => {
                let report = self.engine.invariants().await?;
                Ok(json(StatusCode::OK, &view::Invariants::of(report)))
            }
            (&Method::GET, ["api", "v1", "audit", "verify"]) => self.verify_audit().await,
            (_, ["api", "v1", ..]) => Err(Refused::missing("resource")),
            _ => Err(Refused::missing("page; the API is below /api/v1")),
        }
    }

    async fn certificates(&self, query: &Query<'_>) -> Result<Answer, Refused> {
        let filter = CertificateFilter {
            expires_before: query.time("expires_before")?,
            only_revoked: match query.get("status") {
                None => OnlyRevoked::No,
                Some("revoked") => OnlyRevoked::Yes,
                Some(_) => return Err(Refused::bad("status can be asked for as revoked only")),
            },
        };
        let page = query.page()?;
        let found = self.engine.certificates(page, filter).await?;
        let next = full(&found, page).map(|last| last.id.0.to_string());
        let items = found
            .iter()
            .map(|found| view::CertificateLine::of(found, self.engine.now()));
        Ok(json(
            StatusCode::OK,
            &Listing {
                items: items.collect(),
                next,
            },
        ))
    }

    async fn certificate(&self, serial: &str) -> Result<Answer, Refused> {
        let found = self
            .engine
            .certificate_by_serial(read_serial(serial)?)
            .await?;
        let found = found.ok_or_else(|| Refused::missing("certificate"))?;
        Ok(json(
            StatusCode::OK,
            &view::CertificateInFull::of(&found, self.engine.now()),
        ))
    }

    async fn revoke(
        &self,
        serial: &str,
        request: Request<Incoming>,
        uid: u32,
    ) -> Result<Answer, Refused> {
        let serial = read_serial(serial)?;
        let asked: RevokeOrder = read_json(request).await?;
        let reason = match asked.reason.as_deref() {
            None => None,
            Some(name) => {
                let reason = RevocationReason::from_name(name)
                    .ok_or_else(|| Refused::bad(format!("{name:?} is not a revocation reason")))?;
                Some(i64::from(reason.code()))
            }
        };
        let at = self
            .engine
            .revoke_serial(Revoker::Operator { uid }, &serial, reason)
            .await?;
        Ok(json(StatusCode::OK, &view::Revoked::of(serial, at)))
    }

    async fn orders(&self, query: &Query<'_>) -> Result<Answer, Refused> {
        let page = query.page()?;
        let found = self.engine.orders(page).await?;
        let next = full(&found, page).map(|last| last.id.0.to_string());
        let now = self.engine.now();
        let items = found
            .iter()
            .map(|order| view::OrderLine::of(order, now))
            .collect();
        Ok(json(StatusCode::OK, &Listing { items, next }))
    }

    async fn order(&self, id: &str) -> Result<Answer, Refused> {
        let found = self.engine.order_in_full(self.order_id(id)?).await?;
        let (order, authorizations) = found.ok_or_else(|| Refused::missing("order"))?;
        let now = self.engine.now();
        Ok(json(
            StatusCode::OK,
            &view::OrderInFull::of(&order, &authorizations, now),
        ))
    }

    async fn why(&self, id: &str) -> Result<Answer, Refused> {
        let found = self.engine.why(self.order_id(id)?).await?;
        let found = found.ok_or_else(|| Refused::missing("order"))?;
        Ok(json(StatusCode::OK, &why::Story::of(&found, &self.engine)))
    }

    /// An order's number, or the last word of its URL, which is what a client has.
    fn order_id(&self, text: &str) -> Result<OrderId, Refused> {
        if let Ok(number) = text.parse() {
            return Ok(OrderId(number));
        }
        self.engine
            .public_names
            .read_order(text)
            .ok_or_else(|| Refused::bad("an order is named by its number or its URL"))
    }

    async fn verify_audit(&self) -> Result<Answer, Refused> {
        let mut walk = Walk::default();
        let mut after = 0;
        loop {
            let blocks = self.engine.audit(after, Page::LIMIT_MAX).await?;
            let Some(last) = blocks.last() else { break };
            after = last.sequence;
            if let Some(error) = blocks.iter().find_map(|block| walk.step(block).err()) {
                return Ok(json(StatusCode::OK, &view::AuditReport::broken(&error)));
            }
        }
        Ok(json(StatusCode::OK, &view::AuditReport::whole(walk.head())))
    }
}

impl Handler for ApiFront {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let uid = match peer {
            Peer::Local { uid } if uid == 0 || uid == self.own_uid => uid,
            Peer::Local { .. } | Peer::Network(_) => {
                let error = "only root and the server's own user may use this socket".to_owned();
                return json(StatusCode::FORBIDDEN, &Trouble { error });
            }
        };
        match self.answer(request, uid).await {
            Ok(answer) => answer,
            Err(Refused(code, error)) => json(code, &Trouble { error }),
        }
    }
}

/// The body of a request; an empty one asks for nothing in particular.
async fn read_json<T: DeserializeOwned + Default>(
    request: Request<Incoming>,
) -> Result<T, Refused> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = tokio::time::timeout(BODY_TIME, body)
        .await
        .map_err(|_| Refused::bad("the body came too slowly"))?
        .map_err(|_| Refused::bad("the body is too large"))?
        .to_bytes();
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| Refused::bad(format!("the body cannot be read: {error}")))
}

/// The last record of a page that is full, so that another may follow.
fn full<T>(found: &[T], page: Page) -> Option<&T> {
    found
        .last()
        .filter(|_| found.len() >= usize::from(page.limit))
}

fn read_serial(text: &str) -> Result<Serial, Refused> {
    Serial::parse_hex(text)
        .map_err(|error| Refused::bad(format!("the serial is no serial: {error}")))
}

/// `name=value` pairs of letters, digits and a few signs; our own client needs no more.
struct Query<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, Refused> {
        let mut pairs = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Refused::bad("the query is not name=value"))?;
            if !["after", "limit", "status", "expires_before"].contains(&name) {
                return Err(Refused::bad("the query has a parameter that is not known"));
            }
            if pairs.insert(name, value).is_some() {
                return Err(Refused::bad("the query has a parameter twice"));
            }
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    fn page(&self) -> Result<Page, Refused> {
        let number = |name, default: i64| match self.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Refused::bad(format!("{name} is not a number"))),
        };
        let limit = u16::try_from(number("limit", i64::from(LIMIT))?).unwrap_or(0);
        if limit == 0 || limit > Page::LIMIT_MAX {
            return Err(Refused::bad(format!(
                "limit is a number from 1 to {}",
                Page::LIMIT_MAX
            )));
        }
        Ok(Page {
            after: number("after", 0)?,
            limit,
        })
    }

    fn time(&self, name: &str) -> Result<Option<UnixTime>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => UnixTime::parse_rfc3339(text).map(Some).map_err(|_| {
                Refused::bad(format!("{name} is not a time like 2026-11-24T00:00:00Z"))
            }),
        }
    }
}
