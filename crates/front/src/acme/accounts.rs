//! Accounts: make, find, change, list their orders (RFC 8555 §7.1.2, §7.3).

use chancery_acme as wire;
use chancery_acme::{ErrorType, check_contact};
use chancery_authority::account::{CONTACTS_MAX, TermsAgreement};
use chancery_authority::gateway::Gateway;
use chancery_authority::refusal::Denied;
use chancery_authority::{OrderId, Refusal};
use chancery_engine::{AccountWish, LiveAccount, OnMissing, Registered};
use chancery_jose::BindingJws;
use http::StatusCode;
use http::header::LOCATION;

use crate::acme::AcmeFront;
use crate::acme::answer::add_link;
use crate::acme::problem::Failure;
use crate::acme::request::{Sender, Signed};
use crate::acme::resources::{only_read, payload};
use crate::answer::{json, set};
use crate::listener::Answer;

impl AcmeFront {
    /// §7.3
    pub(crate) async fn new_account(
        &self,
        gateway: &Gateway,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let Sender::Key(jwk) = &signed.sender else {
            return Err(Failure::malformed("newAccount needs a jwk, not a kid"));
        };
        let asked: wire::NewAccount = payload(signed)?;
        let on_missing = if asked.only_return_existing {
            OnMissing::Refuse
        } else {
            OnMissing::Create(AccountWish {
                contact: checked_contact(asked.contact)?,
                terms_agreed: if asked.terms_of_service_agreed {
                    TermsAgreement::Agreed
                } else {
                    TermsAgreement::Silent
                },
                from: signed.from,
                binding: binding(asked.external_account_binding, signed)?,
            })
        };
        let (status, live) = match self.engine.register(&gateway.name, jwk, on_missing).await? {
            Registered::Created(live) => (StatusCode::CREATED, live),
            Registered::Existing(live) => {
                if !live.is_active() {
                    return Err(Refusal::AccountDeactivated.into());
                }
                (StatusCode::OK, live)
            }
        };
        Ok(self.account_answer(gateway, status, &live))
    }

    /// §7.3.2, §7.3.6
    pub(crate) async fn account(
        &self,
        gateway: &Gateway,
        word: &str,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let own = signed.live_account()?;
        if self.urls.read(word) != Some(own.account.id) {
            return Err(Refusal::from(Denied::NotYours).into());
        }
        if signed.verified.is_post_as_get() {
            return Ok(self.account_answer(gateway, StatusCode::OK, own));
        }
        let asked: wire::AccountUpdate = payload(signed)?;
        let live = if asked.deactivates() {
            self.engine.deactivate_account(&own.account).await?
        } else if let Some(contact) = asked.contact {
            self.engine
                .set_contact(&own.account, &checked_contact(contact)?)
                .await?
        } else {
            std::sync::Arc::clone(own)
        };
        Ok(self.account_answer(gateway, StatusCode::OK, &live))
    }

    /// §7.1.2.1
    pub(crate) async fn orders(
        &self,
        gateway: &Gateway,
        account: &str,
        below: Option<&str>,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        only_read(signed)?;
        let nowhere = || Failure::from(Refusal::from(Denied::NotYours));
        let by = signed.account()?;
        if self.urls.read(account) != Some(by.id) {
            return Err(nowhere());
        }
        let below = match below {
            None => OrderId(i64::MAX),
            Some(word) => self.urls.read(word).ok_or_else(nowhere)?,
        };
        let (orders, next) = self.engine.orders_of(by, below).await?;
        let orders = orders.into_iter().map(|id| self.urls.order(gateway, id));
        let list = wire::OrdersList {
            orders: orders.collect(),
        };
        let mut answer = json(StatusCode::OK, &list);
        if let Some(next) = next {
            let url = self.urls.orders_below(gateway, by.id, next);
            add_link(&mut answer, &url, "next");
        }
        Ok(answer)
    }

    pub(crate) fn account_answer(
        &self,
        gateway: &Gateway,
        status: StatusCode,
        live: &LiveAccount,
    ) -> Answer {
        let mut answer = json(status, &self.account_object(gateway, &live.account));
        set(
            &mut answer,
            LOCATION,
            &self.urls.account(gateway, live.account.id),
        );
        answer
    }
}

/// §7.3.4: a message inside the message, for the same URL. Whose it is remains to be seen.
fn binding(
    value: Option<serde_json::Value>,
    signed: &Signed,
) -> Result<Option<(BindingJws, String)>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_string();
    let message = BindingJws::parse(text.as_bytes())?;
    if message.url() != signed.verified.header().url {
        return Err(Failure::malformed(
            "the external account binding is for another url than the message around it",
        ));
    }
    Ok(Some((message, text)))
}

fn checked_contact(contact: Vec<String>) -> Result<Vec<String>, Failure> {
    if contact.len() > CONTACTS_MAX {
        let detail = format!("at most {CONTACTS_MAX} contacts are kept");
        return Err(Failure::new(
            ErrorType::InvalidContact,
            StatusCode::BAD_REQUEST,
            detail,
        ));
    }
    for url in &contact {
        check_contact(url).map_err(Failure::of)?;
    }
    Ok(contact)
}
