//! Renewal information (RFC 9773 §4): read without a signature by whoever knows the certificate.

use chancery_acme as wire;
use chancery_acme::{CertId, ErrorType};
use chancery_authority::gateway::Gateway;
use http::StatusCode;
use http::header::RETRY_AFTER;

use crate::acme::AcmeFront;
use crate::acme::problem::Failure;
use crate::answer::{json, set};
use crate::listener::Answer;

impl AcmeFront {
    pub(crate) async fn renewal_info(
        &self,
        gateway: &Gateway,
        word: &str,
    ) -> Result<Answer, Failure> {
        let id = CertId::parse(word).map_err(|error| Failure::malformed(error.to_string()))?;
        let window = self.engine.renewal_window(&id).await?.ok_or_else(|| {
            let detail = "this authority has issued no such certificate";
            Failure::new(ErrorType::Malformed, StatusCode::NOT_FOUND, detail)
        })?;
        let info = wire::RenewalInfo {
            suggested_window: wire::SuggestedWindow {
                start: window.start,
                end: window.end,
            },
            explanation_url: None,
        };
        let mut answer = json(StatusCode::OK, &info);
        let secs = window.ask_again.as_secs().to_string();
        set(&mut answer, RETRY_AFTER, &secs);
        Ok(self.finish(gateway, answer))
    }
}
