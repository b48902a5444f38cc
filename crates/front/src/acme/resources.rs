//! One function per resource: read the payload, ask the engine, shape the answer.

use std::collections::BTreeSet;

use chancery_acme as wire;
use chancery_acme::{CertId, ErrorType, Problem, from_slice_bounded};
use chancery_authority::Refusal;
use chancery_authority::authorization::{Authorization, AuthorizationState, ChallengeState};
use chancery_authority::gateway::{BindingRule, Gateway, Offer};
use chancery_authority::order::{Order, OrderState};
use chancery_authority::refusal::Denied;
use chancery_engine::{OrderWish, Revoker};
use chancery_pki::{AskedValidity, San, pem};
use http::StatusCode;
use http::header::{LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;

use crate::acme::AcmeFront;
use crate::acme::answer::add_link;
use crate::acme::problem::Failure;
use crate::acme::request::{Sender, Signed};
use crate::acme::route::Resource;
use crate::answer::{body, empty, json, set};
use crate::listener::Answer;

/// When to poll again what is under way. Short: lego, acmetool and certbot wait much longer on their own.
const POLL_AGAIN_SECS: &str = "1";

impl AcmeFront {
    pub(crate) fn directory(&self, gateway: &Gateway) -> Answer {
        let fixed = |name| self.urls.fixed(gateway, name);
        let described = |name: &str| format!("certificates by the profile {name:?}");
        let profiles = gateway
            .profiles
            .iter()
            .map(|profile| (profile.name.clone(), described(&profile.name)))
            .collect();
        let directory = wire::Directory {
            new_nonce: fixed("new-nonce"),
            new_account: fixed("new-account"),
            new_order: fixed("new-order"),
            new_authz: match gateway.pre_authorization {
                Offer::Made => Some(fixed("new-authz")),
                Offer::NotMade => None,
            },
            revoke_cert: fixed("revoke-cert"),
            key_change: Some(fixed("key-change")),
            renewal_info: Some(fixed("renewal-info")),
            meta: Some(wire::Meta {
                terms_of_service: gateway.terms_of_service.clone(),
                website: None,
                caa_identities: gateway.caa.identities.clone(),
                external_account_required: match gateway.binding_rule {
                    BindingRule::Required => true,
                    BindingRule::Accepted => false,
                },
                profiles,
            }),
        };
        json(StatusCode::OK, &directory)
    }

    pub(crate) fn new_nonce(&self, gateway: &Gateway, status: StatusCode) -> Answer {
        self.finish(gateway, empty(status))
    }

    pub(crate) async fn resource(
        &self,
        gateway: &Gateway,
        resource: Resource<'_>,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let answer = match resource {
            Resource::Directory => {
                only_read(signed)?;
                self.directory(gateway)
            }
            Resource::NewNonce => {
                only_read(signed)?;
                empty(StatusCode::OK)
            }
            Resource::NewAccount => self.new_account(gateway, signed).await?,
            Resource::KeyChange => self.key_change(gateway, signed).await?,
            Resource::Account(word) => self.account(gateway, word, signed).await?,
            Resource::Orders(account) => self.orders(gateway, account, None, signed).await?,
            Resource::OrdersBelow(account, below) => {
                self.orders(gateway, account, Some(below), signed).await?
            }
            // Answered without a signature, before this.
            Resource::Terms(_) | Resource::Limits | Resource::RenewalInfo(_) => {
                return Err(Refusal::from(Denied::NotYours).into());
            }
            Resource::NewOrder => self.new_order(gateway, signed).await?,
            Resource::NewAuthorization => self.new_authorization(gateway, signed).await?,
            Resource::Order(word) => self.order(gateway, word, signed).await?,
            Resource::Finalize(word) => self.finalize(gateway, word, signed).await?,
            Resource::Authorization(word) => self.authorization(gateway, word, signed).await?,
            Resource::Challenge(word) => self.challenge(gateway, word, signed).await?,
            Resource::Certificate(word) => self.certificate(word, signed).await?,
            Resource::RevokeCert => self.revoke(signed).await?,
        };
        Ok(self.finish(gateway, answer))
    }

    /// What is limited and how, for a person who was sent here.
    pub(crate) fn limits_page(&self) -> Answer {
        let mut text =
            "This certificate authority accepts at most so many requests:\n\n".to_owned();
        for line in self.engine.limits() {
            let rate = line
                .rate
                .map_or_else(|| "not limited".to_owned(), |rate| rate.to_string());
            text.push_str(&format!("{:22}{rate}\n", line.limit.name()));
        }
        text.push_str(
            "\n300/3h means: 300 at once, and one more each 36 seconds. Orders that name the certificate which they replace \
             (RFC 9773) are not counted.\nThe answer to a request over a limit says when to come back (Retry-After). Whoever \
             runs this authority can change the limits.\n",
        );
        body(StatusCode::OK, "text/plain; charset=utf-8", text)
    }

    async fn new_order(&self, gateway: &Gateway, signed: &Signed) -> Result<Answer, Failure> {
        let asked: wire::NewOrder = payload(signed)?;
        let replaces = match asked.replaces.as_deref().map(CertId::parse) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(error)) => return Err(Failure::malformed(format!("replaces: {error}"))),
        };
        let wish = OrderWish {
            names: names(&asked)?,
            profile: asked.profile,
            validity: AskedValidity {
                not_before: asked.not_before,
                not_after: asked.not_after,
            },
            replaces,
        };
        let (order, _) = self.engine.new_order(signed.account()?, wish).await?;
        Ok(self.order_answer(gateway, StatusCode::CREATED, &order))
    }

    /// §7.4.1
    async fn new_authorization(
        &self,
        gateway: &Gateway,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let asked: wire::NewAuthorization = payload(signed)?;
        let identifier = asked.identifier.to_san().map_err(Failure::of)?;
        let made = self
            .engine
            .new_authorization(signed.account()?, identifier)
            .await
            .map_err(Failure::of_pre_authorization)?;
        let object = self.authorization_object(gateway, &made, self.engine.now());
        let mut answer = json(StatusCode::CREATED, &object);
        let url = self.urls.authorization(gateway, made.id);
        set(&mut answer, LOCATION, &url);
        Ok(answer)
    }

    async fn order(
        &self,
        gateway: &Gateway,
        word: &str,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        only_read(signed)?;
        let id = self
            .urls
            .read(word)
            .ok_or(Refusal::Denied(Denied::NotYours))?;
        let order = self.engine.order(signed.account()?, id).await?;
        Ok(self.order_answer(gateway, StatusCode::OK, &order))
    }

    async fn finalize(
        &self,
        gateway: &Gateway,
        word: &str,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let asked: wire::Finalize = payload(signed)?;
        let id = self
            .urls
            .read(word)
            .ok_or(Refusal::Denied(Denied::NotYours))?;
        let order = self
            .engine
            .finalize(signed.account()?, id, &asked.csr)
            .await?;
        Ok(self.order_answer(gateway, StatusCode::OK, &order))
    }

    fn order_answer(&self, gateway: &Gateway, status: StatusCode, order: &Order) -> Answer {
        let mut answer = json(
            status,
            &self.order_object(gateway, order, self.engine.now()),
        );
        set(&mut answer, LOCATION, &self.urls.order(gateway, order.id));
        if matches!(order.state, OrderState::Processing { .. }) {
            set(&mut answer, RETRY_AFTER, POLL_AGAIN_SECS);
        }
        answer
    }

    async fn authorization(
        &self,
        gateway: &Gateway,
        word: &str,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let id = self
            .urls
            .read(word)
            .ok_or(Refusal::Denied(Denied::NotYours))?;
        let by = signed.account()?;
        let found = if signed.verified.is_post_as_get() {
            self.engine.authorization(by, id).await?
        } else {
            let asked: wire::AuthorizationUpdate = payload(signed)?;
            if asked.deactivates() {
                self.engine.deactivate_authorization(by, id).await?
            } else {
                self.engine.own_authorization(by, id).await?
            }
        };
        let object = self.authorization_object(gateway, &found, self.engine.now());
        let mut answer = json(StatusCode::OK, &object);
        if matches!(found.state, AuthorizationState::Pending) {
            set(&mut answer, RETRY_AFTER, POLL_AGAIN_SECS);
        }
        Ok(answer)
    }

    async fn challenge(
        &self,
        gateway: &Gateway,
        word: &str,
        signed: &Signed,
    ) -> Result<Answer, Failure> {
        let (id, index) = self
            .urls
            .read_challenge(word)
            .ok_or(Refusal::Denied(Denied::NotYours))?;
        let by = signed.account()?;
        let found = if signed.verified.is_post_as_get() {
            self.engine.own_authorization(by, id).await?
        } else {
            // §7.5.1: the object has no member that we need; it must still be one.
            let _: wire::ChallengeAnswer = payload(signed)?;
            self.engine.respond(by, id, index).await?
        };
        self.challenge_answer(gateway, &found, index)
    }

    fn challenge_answer(
        &self,
        gateway: &Gateway,
        found: &Authorization,
        index: u8,
    ) -> Result<Answer, Failure> {
        // A valid authorization has dropped the challenges that nobody answered.
        let challenge = found
            .challenges
            .get(usize::from(index))
            .ok_or(Refusal::NoSuchChallenge)?;
        let object = self.challenge_object(gateway, found, index, challenge);
        let mut answer = json(StatusCode::OK, &object);
        // certbot insists on this link.
        add_link(
            &mut answer,
            &self.urls.authorization(gateway, found.id),
            "up",
        );
        if matches!(challenge.state, ChallengeState::Processing { .. }) {
            set(&mut answer, RETRY_AFTER, POLL_AGAIN_SECS);
        }
        Ok(answer)
    }

    async fn certificate(&self, word: &str, signed: &Signed) -> Result<Answer, Failure> {
        only_read(signed)?;
        let id = self
            .urls
            .read(word)
            .ok_or(Refusal::Denied(Denied::NotYours))?;
        let found = self.engine.certificate(signed.account()?, id).await?;
        let mut chain = pem::encode("CERTIFICATE", &found.der);
        chain.push_str(self.engine.chain_pem(found.issuer));
        Ok(body(
            StatusCode::OK,
            wire::CERTIFICATE_CHAIN_MEDIA_TYPE,
            chain,
        ))
    }

    async fn revoke(&self, signed: &Signed) -> Result<Answer, Failure> {
        let asked: wire::RevokeRequest = payload(signed)?;
        let by = match &signed.sender {
            Sender::Account(live) => Revoker::Account(&live.account),
            Sender::Key(jwk) => Revoker::Key(jwk.key()),
        };
        self.engine
            .revoke_der(by, &asked.certificate, asked.reason)
            .await?;
        Ok(empty(StatusCode::OK))
    }
}

/// Reads a payload that must be an object of this kind.
pub(crate) fn payload<T: DeserializeOwned>(signed: &Signed) -> Result<T, Failure> {
    if signed.verified.is_post_as_get() {
        return Err(Failure::malformed(
            "this request needs a JSON object as its payload",
        ));
    }
    from_slice_bounded(signed.verified.payload())
        .map_err(|error| Failure::malformed(format!("the payload cannot be used: {error}")))
}

/// §6.3: a read has an empty payload.
pub(crate) fn only_read(signed: &Signed) -> Result<(), Failure> {
    if signed.verified.is_post_as_get() {
        return Ok(());
    }
    Err(Failure::malformed(
        "this resource can only be read, with an empty payload",
    ))
}

/// The names of an order. What is not a name is reported for each identifier (statement 80).
fn names(asked: &wire::NewOrder) -> Result<BTreeSet<San>, Failure> {
    let mut names = BTreeSet::new();
    let mut wrong: Vec<(Problem, wire::Subproblem)> = Vec::new();
    for identifier in &asked.identifiers {
        match identifier.to_san() {
            Ok(name) => {
                names.insert(name);
            }
            Err(problem) => wrong.push((problem.clone(), problem.about(identifier.clone()))),
        }
    }
    match wrong.as_slice() {
        [] => Ok(names),
        [(problem, _)] if asked.identifiers.len() == 1 => Err(Failure::of(problem.clone())),
        [(first, _), ..] => {
            // One type for all, or `compound` (RFC 8555 §6.7.1).
            let same = wrong.iter().all(|(problem, _)| problem.kind == first.kind);
            let detail = "some of the identifiers cannot be used";
            let mut problem = match same {
                true => Problem {
                    detail: detail.to_owned(),
                    ..first.clone()
                },
                false => Problem::new(ErrorType::Compound, detail).with_status(400),
            };
            for (_, about) in wrong {
                problem = problem.with_subproblem(about);
            }
            Err(Failure::of(problem))
        }
    }
}
