//! External account bindings, for operators.

use chancery_acme::ChallengeKind;
use chancery_authority::binding::{Binding, BindingWish, Quota, Scope};
use chancery_engine::Engine;
use chancery_jose::b64;
use chancery_pki::UnixTime;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::{ApiFront, Listing, Query, Refused, full, read_json};
use crate::answer::json;
use crate::listener::Answer;

/// What a new binding shall be. An empty list of names allows none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    gateway: String,
    note: Option<String>,
    usable_secs: Option<u32>,
    #[serde(default)]
    names: Vec<String>,
    profiles: Option<Vec<String>>,
    challenges: Option<Vec<String>>,
    accounts_max: Option<u32>,
    certificates_max: Option<u32>,
}

impl Asked {
    fn wish(self, now: UnixTime) -> Result<BindingWish, Refused> {
        let kind = |text: String| {
            ChallengeKind::parse(&text)
                .ok_or_else(|| Refused::bad(format!("{text:?} is no challenge that is known")))
        };
        let challenges = match self.challenges {
            None => None,
            Some(texts) => Some(texts.into_iter().map(kind).collect::<Result<Vec<_>, _>>()?),
        };
        let end = |secs: u32| UnixTime(now.0.saturating_add(i64::from(secs)));
        Ok(BindingWish {
            note: self.note,
            usable_until: self.usable_secs.map(end),
            scope: Scope {
                names: self.names,
                profiles: self.profiles,
                challenges,
            },
            accounts_max: self.accounts_max,
            certificates_max: self.certificates_max,
        })
    }
}

/// A new binding with its secret, which is never shown again.
#[derive(Debug, Serialize)]
struct Made {
    #[serde(flatten)]
    line: BindingLine,
    hmac_key: String,
    directory: String,
}

/// A binding without its secret.
#[derive(Debug, Serialize)]
struct BindingLine {
    kid: String,
    gateway: String,
    status: &'static str,
    note: Option<String>,
    created: String,
    usable_until: Option<String>,
    names: Vec<String>,
    profiles: Option<Vec<String>>,
    challenges: Option<Vec<&'static str>>,
    accounts: u32,
    accounts_max: Option<u32>,
    certificates: Option<u32>,
    certificates_max: Option<u32>,
    revoked_at: Option<String>,
}

impl BindingLine {
    fn of(engine: &Engine, binding: &Binding) -> Self {
        let scope = &binding.scope;
        let counted = |quota: Quota| quota.max.map(|_| quota.used);
        Self {
            kid: engine.public_names.kid(binding.id),
            gateway: binding.gateway.clone(),
            status: binding.status_at(engine.now()).name(),
            note: binding.note.clone(),
            created: binding.created.to_rfc3339(),
            usable_until: binding.usable_until.map(UnixTime::to_rfc3339),
            names: scope.names.clone(),
            profiles: scope.profiles.clone(),
            challenges: scope
                .challenges
                .as_ref()
                .map(|kinds| kinds.iter().map(|kind| kind.name()).collect()),
            accounts: binding.accounts.used,
            accounts_max: binding.accounts.max,
            certificates: counted(binding.certificates),
            certificates_max: binding.certificates.max,
            revoked_at: binding.withdrawn.map(UnixTime::to_rfc3339),
        }
    }
}

impl ApiFront {
    /// `/api/v1/bindings…`
    pub(super) async fn binding_resource(
        &self,
        method: &Method,
        rest: &[&str],
        query: &Query<'_>,
        (request, uid): (Request<Incoming>, u32),
    ) -> Result<Answer, Refused> {
        match (method, rest) {
            (&Method::GET, []) => self.list_bindings(query).await,
            (&Method::POST, []) => self.create_binding(request, uid).await,
            (&Method::GET, [kid]) => {
                let found = self.engine.binding(kid).await?;
                let found = found.ok_or_else(|| Refused::missing("binding"))?;
                Ok(json(StatusCode::OK, &BindingLine::of(&self.engine, &found)))
            }
            (&Method::POST, [kid, "revoke"]) => {
                let found = self.engine.withdraw_binding(kid, uid).await?;
                let found = found.ok_or_else(|| Refused::missing("binding"))?;
                Ok(json(StatusCode::OK, &BindingLine::of(&self.engine, &found)))
            }
            _ => Err(Refused::missing("resource")),
        }
    }

    async fn list_bindings(&self, query: &Query<'_>) -> Result<Answer, Refused> {
        let page = query.page()?;
        let found = self.engine.bindings(page).await?;
        let next = full(&found, page).map(|last| last.id.0.to_string());
        let items = found.iter().map(|it| BindingLine::of(&self.engine, it));
        let items = items.collect();
        Ok(json(StatusCode::OK, &Listing { items, next }))
    }

    async fn create_binding(
        &self,
        request: Request<Incoming>,
        uid: u32,
    ) -> Result<Answer, Refused> {
        let asked: Asked = read_json(request).await?;
        let gateway = asked.gateway.clone();
        if self.engine.gateway(&gateway).is_err() {
            return Err(Refused::missing("gateway; `chancery status` names them"));
        }
        let wish = asked.wish(self.engine.now())?;
        let made = self.engine.create_binding(&gateway, uid, wish).await?;
        let answer = Made {
            line: BindingLine::of(&self.engine, &made),
            hmac_key: b64(made.secret.expose()),
            directory: self.engine.public_names.directory(&gateway),
        };
        Ok(json(StatusCode::CREATED, &answer))
    }
}
