//! Domain values in the shapes of RFC 8555 §7.1.

use chancery_acme as wire;
use chancery_acme::{Token, WireIdentifier};
use chancery_authority::account::{Account, AccountStatus};
use chancery_authority::authorization::{
    Authorization, AuthorizationState, Challenge, ChallengeState,
};
use chancery_authority::gateway::Gateway;
use chancery_authority::order::{Order, OrderState};
use chancery_pki::{San, UnixTime};

use crate::acme::{AcmeFront, problem};

impl AcmeFront {
    pub(crate) fn account_object(&self, gateway: &Gateway, account: &Account) -> wire::Account {
        wire::Account {
            status: match account.status {
                AccountStatus::Valid => wire::AccountStatus::Valid,
                AccountStatus::Deactivated => wire::AccountStatus::Deactivated,
                AccountStatus::Revoked => wire::AccountStatus::Revoked,
            },
            contact: account.contact.clone(),
            terms_of_service_agreed: account.terms_agreed.as_ref().map(|_| true),
            external_account_binding: account
                .bound
                .as_ref()
                .and_then(|bound| serde_json::from_str(&bound.jws).ok()),
            orders: Some(self.urls.orders(gateway, account.id)),
        }
    }

    pub(crate) fn order_object(
        &self,
        gateway: &Gateway,
        order: &Order,
        now: UnixTime,
    ) -> wire::Order {
        let status = if order.is_expired(now) {
            wire::OrderStatus::Invalid
        } else {
            match &order.state {
                OrderState::Pending => wire::OrderStatus::Pending,
                OrderState::Ready => wire::OrderStatus::Ready,
                OrderState::Processing { .. } => wire::OrderStatus::Processing,
                OrderState::Valid { .. } => wire::OrderStatus::Valid,
                OrderState::Invalid { .. } | OrderState::Cancelled => wire::OrderStatus::Invalid,
            }
        };
        let error = match &order.state {
            OrderState::Invalid {
                identifier: about,
                failure,
            } => Some(problem::of_proof(
                failure,
                about.as_ref().map(WireIdentifier::from),
            )),
            OrderState::Pending
            | OrderState::Ready
            | OrderState::Processing { .. }
            | OrderState::Valid { .. }
            | OrderState::Cancelled => None,
        };
        wire::Order {
            status,
            expires: Some(order.expires),
            identifiers: order.names.iter().map(WireIdentifier::from).collect(),
            not_before: order.not_before,
            not_after: order.not_after,
            profile: Some(order.profile.clone()),
            replaces: order.replaces.as_ref().map(|it| it.cert_id.clone()),
            error,
            authorizations: order
                .parts
                .iter()
                .map(|part| self.urls.authorization(gateway, part.authorization))
                .collect(),
            finalize: format!("{}/finalize", self.urls.order(gateway, order.id)),
            certificate: order
                .certificate()
                .map(|id| self.urls.certificate(gateway, id)),
        }
    }

    pub(crate) fn authorization_object(
        &self,
        gateway: &Gateway,
        authorization: &Authorization,
        now: UnixTime,
    ) -> wire::Authorization {
        let expired = now >= authorization.expires;
        let status = match &authorization.state {
            AuthorizationState::Pending if expired => wire::AuthorizationStatus::Invalid,
            AuthorizationState::Valid { .. } if expired => wire::AuthorizationStatus::Expired,
            AuthorizationState::Pending => wire::AuthorizationStatus::Pending,
            AuthorizationState::Valid { .. } => wire::AuthorizationStatus::Valid,
            AuthorizationState::Invalid => wire::AuthorizationStatus::Invalid,
            AuthorizationState::Deactivated => wire::AuthorizationStatus::Deactivated,
        };
        let (value, wildcard) = match &authorization.identifier {
            San::Dns(name) => (WireIdentifier::dns(name), false),
            // Statement 50: the value is the base name, and the flag says the rest.
            San::Wildcard(base) => (WireIdentifier::dns(base), true),
            plain @ San::Ip(_) => (WireIdentifier::from(plain), false),
        };
        let challenges = (0_u8..)
            .zip(&authorization.challenges)
            .map(|(index, challenge)| {
                self.challenge_object(gateway, authorization, index, challenge)
            });
        wire::Authorization {
            identifier: value,
            status,
            expires: Some(authorization.expires),
            challenges: challenges.collect(),
            wildcard,
        }
    }

    pub(crate) fn challenge_object(
        &self,
        gateway: &Gateway,
        authorization: &Authorization,
        index: u8,
        challenge: &Challenge,
    ) -> wire::Challenge {
        let (status, validated, failure) = match &challenge.state {
            ChallengeState::Pending => (wire::ChallengeStatus::Pending, None, None),
            ChallengeState::Processing { last, .. } => {
                (wire::ChallengeStatus::Processing, None, last.as_ref())
            }
            ChallengeState::Valid { at } => (wire::ChallengeStatus::Valid, Some(*at), None),
            ChallengeState::Invalid { failure } => {
                (wire::ChallengeStatus::Invalid, None, Some(failure))
            }
        };
        wire::Challenge {
            kind: challenge.kind.name().into(),
            url: self.urls.challenge(gateway, authorization.id, index),
            status,
            validated,
            error: failure.map(|failure| problem::of_proof(failure, None)),
            token: Some(Token::new(challenge.token).to_string()),
        }
    }
}
