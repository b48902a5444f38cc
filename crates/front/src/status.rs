//! The plain listener: CRLs, issuer certificates, roots; nothing else (law 9). It asks the engine's memory only, so it goes
//! on when the store does not.

use std::sync::Arc;

use chancery_authority::IssuerId;
use chancery_crypto::sha256;
use chancery_engine::Engine;
use chancery_jose::b64;
use chancery_pki::pem;
use http::header::{ALLOW, CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::answer::{body, empty, set};
use crate::listener::{Answer, Handler, Peer};
use crate::metrics::HttpMetrics;

/// How long caches may keep a CRL: a revocation must not hide behind one for long.
const CRL_CACHE: &str = "max-age=60";

/// Certificates of issuers never change.
const CERTIFICATE_CACHE: &str = "max-age=86400";

/// Serves what relying parties need.
pub struct StatusFront {
    engine: Arc<Engine>,
    metrics: Arc<HttpMetrics>,
    roots: String,
}

impl StatusFront {
    /// A front over an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>, metrics: Arc<HttpMetrics>) -> Self {
        let roots = engine
            .issuers()
            .into_iter()
            .filter(|issuer| issuer.certificate.is_self_issued())
            .map(|issuer| pem::encode("CERTIFICATE", issuer.certificate.der()))
            .collect();
        Self {
            engine,
            metrics,
            roots,
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let segments: Vec<&str> = request.uri().path().split('/').skip(1).take(4).collect();
        match segments.as_slice() {
            ["roots.pem"] => {
                let roots = self.roots.clone();
                cached(
                    request,
                    "application/x-pem-file",
                    CERTIFICATE_CACHE,
                    roots.into_bytes(),
                )
            }
            ["issuer", file] => match self.issuer_certificate(file) {
                Some(der) => cached(request, "application/pkix-cert", CERTIFICATE_CACHE, der),
                None => empty(StatusCode::NOT_FOUND),
            },
            ["crl", issuer, file] => match self.crl(issuer, file) {
                Some(der) => cached(request, "application/pkix-crl", CRL_CACHE, der),
                None => empty(StatusCode::NOT_FOUND),
            },
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    fn issuer_certificate(&self, file: &str) -> Option<Vec<u8>> {
        let id = IssuerId(canonical(file.strip_suffix(".cer")?)?);
        let issuers = self.engine.issuers();
        let found = issuers.into_iter().find(|issuer| issuer.record.id == id)?;
        Some(found.certificate.der().to_vec())
    }

    fn crl(&self, issuer: &str, file: &str) -> Option<Vec<u8>> {
        let issuer = IssuerId(canonical(issuer)?);
        let shard = u16::try_from(canonical(file.strip_suffix(".crl")?)?).ok()?;
        Some(self.engine.crls().get(issuer, shard)?.der.clone())
    }
}

impl Handler for StatusFront {
    async fn handle(&self, request: Request<Incoming>, _peer: Peer) -> Answer {
        let started = self.metrics.begin();
        let answer = self.answer(&request);
        self.metrics.end("status", started, answer.status());
        answer
    }
}

/// A number in its one written form: no sign, no leading zeros.
fn canonical(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn cached(
    request: &Request<Incoming>,
    media_type: &'static str,
    cache: &'static str,
    bytes: Vec<u8>,
) -> Answer {
    let [a, b, c, d, e, f, ..] = sha256(&bytes);
    let tag = format!("\"{}\"", b64(&[a, b, c, d, e, f]));
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .is_some_and(|value| value == tag.as_str());
    let mut answer = if known {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        body(StatusCode::OK, media_type, bytes)
    };
    set(&mut answer, ETAG, &tag);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_written_form() {
        assert_eq!(canonical("10"), Some(10));
        assert_eq!(canonical("0"), Some(0));
        for odd in ["", "+1", "01", "1 ", "-1", "4294967296", "1a"] {
            assert_eq!(canonical(odd), None, "{odd:?}");
        }
    }
}
