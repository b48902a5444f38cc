//! Where a person agrees to terms that have changed (RFC 8555 §7.3.3): the one page of the gateway. Its URL holds the
//! word of its own that nobody can make of the account's URL, and is told only to that account: whoever opens it was
//! sent there.

use std::sync::Arc;

use chancery_authority::Refusal;
use chancery_authority::gateway::Gateway;
use chancery_authority::refusal::Denied;
use chancery_engine::LiveAccount;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use crate::acme::AcmeFront;
use crate::acme::problem::Failure;
use crate::answer::body;
use crate::listener::Answer;

const HTML: &str = "text/html; charset=utf-8";

/// No script, no frame, nothing from elsewhere; the form goes back to where it came from.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
);

impl AcmeFront {
    pub(crate) async fn terms_page(
        &self,
        gateway: &Gateway,
        word: &str,
    ) -> Result<Answer, Failure> {
        let live = self.account_of(gateway, word).await?;
        let text = match live.account.check_terms(gateway) {
            Err(Refusal::TermsChanged { url, .. }) => format!(
                "<p>The terms of service of this certificate authority have changed. Read <a href=\"{0}\" rel=\"noreferrer\">{0}</a>.</p>\
                 <form method=\"post\"><button>I agree, for this account</button></form>",
                escaped(&url)
            ),
            Ok(()) | Err(_) => "<p>This account has agreed to the terms of service as they are. Nothing is left to do here.</p>".to_owned(),
        };
        Ok(page(&text))
    }

    pub(crate) async fn agree(&self, gateway: &Gateway, word: &str) -> Result<Answer, Failure> {
        let live = self.account_of(gateway, word).await?;
        self.engine.agree_to_terms(live.account.id).await?;
        Ok(page(
            "<p>Thank you. Orders of this account are accepted again; start your client once more.</p>",
        ))
    }

    /// The account that the word names.
    async fn account_of(&self, gateway: &Gateway, word: &str) -> Result<Arc<LiveAccount>, Failure> {
        let nobody = || Failure::from(Refusal::from(Denied::NotYours));
        let id = self.urls.read_terms(word).ok_or_else(nobody)?;
        let live = self.engine.account(id).await?.ok_or_else(nobody)?;
        if live.account.gateway != gateway.name || !live.is_active() {
            return Err(nobody());
        }
        Ok(live)
    }
}

fn page(text: &str) -> Answer {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Terms of service</title>\
         <style>body{{font:1.1rem/1.5 sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}\
         button{{font:inherit;padding:.5rem 1rem}}</style><h1>Terms of service</h1>{text}</html>"
    );
    let mut answer = body(StatusCode::OK, HTML, html);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    answer
}

/// The operator's own URL, made safe for text and attributes all the same.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_leave_its_place_in_the_page() {
        assert_eq!(
            escaped(r#"https://a.test/?a=1&b="><script>'"#),
            "https://a.test/?a=1&amp;b=&quot;&gt;&lt;script&gt;&#39;"
        );
    }
}
