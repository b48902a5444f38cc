//! An order's story as operators read it: one line for each thing that happened, with what was seen below it.

use chancery_authority::audit::{Actor, AuditRecord};
use chancery_authority::authorization::{
    Authorization, AuthorizationState, Challenge, ChallengeState, EvidenceKind,
};
use chancery_authority::certificate::CertificateStatus;
use chancery_authority::order::OrderState;
use chancery_authority::proof::Observation;
use chancery_authority::{AuthorizationId, ChangeKind};
use chancery_engine::{Engine, Reading, Why};
use chancery_pki::UnixTime;
use serde::Serialize;

use super::view::{OrderLine, in_words};

/// An order with its story.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    #[serde(flatten)]
    line: OrderLine,
    policy: String,
    reasons: Vec<String>,
    serial: Option<String>,
    replaces: Option<String>,
    error: Option<String>,
    timeline: Vec<Event>,
    /// Whether the trail was too long to be read to its end.
    cut_off: bool,
}

/// Something that happened.
#[derive(Debug, Serialize)]
struct Event {
    at: String,
    what: String,
    /// The name that it concerns, where it is one's.
    name: Option<String>,
    who: String,
    detail: Option<String>,
    seen: Vec<Seen>,
}

/// Something that a validator saw.
#[derive(Debug, Serialize)]
struct Seen {
    /// Milliseconds after the attempt began.
    after_ms: Option<u32>,
    what: String,
}

impl Story {
    pub(super) fn of(why: &Why, engine: &Engine) -> Self {
        let (order, now) = (&why.order, engine.now());
        let error = match &order.state {
            OrderState::Invalid { failure, .. } => Some(failure.detail.clone()),
            _ => None,
        };
        let told = |(index, record)| event(why, index, record);
        let mut timeline: Vec<Event> = why.records.iter().enumerate().map(told).collect();
        timeline.extend(afterwards(why, now));
        Self {
            line: OrderLine::of(order, now),
            policy: order.verdict.policy.clone(),
            reasons: order.verdict.reasons.clone(),
            serial: why.certificate.as_ref().map(|it| it.serial.to_hex()),
            replaces: order.replaces.as_ref().map(|it| it.cert_id.clone()),
            error,
            timeline,
            cut_off: why.reading == Reading::CutOff,
        }
    }
}

fn event(why: &Why, index: usize, record: &AuditRecord) -> Event {
    let authorization = why
        .authorizations
        .iter()
        .find(|it| it.id == AuthorizationId(record.object));
    let last = !why
        .records
        .iter()
        .skip(index + 1)
        .any(|later| (later.object, later.kind) == (record.object, record.kind));
    let seen = authorization.filter(|_| last);
    Event {
        at: record.at.to_rfc3339(),
        what: what(record, authorization),
        name: authorization.map(|it| it.identifier.to_string()),
        who: who(record.actor),
        detail: record.note.clone(),
        seen: seen.map_or_else(Vec::new, |it| seen_by(why, it, record.kind)),
    }
}

/// What the audit trail does not say of the order itself.
fn afterwards(why: &Why, now: UnixTime) -> Vec<Event> {
    let plain = |at: UnixTime, what: &str, detail: Option<String>| Event {
        at: at.to_rfc3339(),
        what: what.to_owned(),
        name: None,
        who: who(Actor::Authority),
        detail,
        seen: Vec::new(),
    };
    let told = |kind| why.records.iter().any(|record| record.kind == kind);
    let mut events = Vec::new();
    match why.certificate.as_ref().map(|it| (it.status, it.serial)) {
        Some((CertificateStatus::Revoked { at, .. }, serial))
            if !told(ChangeKind::CertificateRevoked) =>
        {
            events.push(plain(at, "certificate revoked", Some(serial.to_hex())));
        }
        _ => {}
    }
    let open = matches!(why.order.state, OrderState::Pending | OrderState::Ready);
    if open && why.order.is_expired(now) {
        let detail = match why.order.state {
            OrderState::Pending => "not everything was proven in time",
            _ => "it was ready, and nobody finalized it in time",
        };
        let at = why.order.expires;
        events.push(plain(at, "ran out", Some(detail.to_owned())));
    }
    events
}

fn what(record: &AuditRecord, authorization: Option<&Authorization>) -> String {
    let kind = authorization.and_then(method).unwrap_or("a challenge");
    match record.kind {
        ChangeKind::OrderCreated => "placed".to_owned(),
        ChangeKind::ChallengeTaken => format!("{kind} taken up"),
        ChangeKind::ValidationRetried => format!("{kind} failed; it is tried again"),
        ChangeKind::AuthorizationProved => format!("proven by {kind}"),
        ChangeKind::AuthorizationFailed => match record.actor {
            Actor::Authority => format!("{kind} failed for good"),
            _ => "given up".to_owned(),
        },
        ChangeKind::AuthorizationCreated => "authorization asked for".to_owned(),
        ChangeKind::CaaRechecked => "CAA asked again".to_owned(),
        ChangeKind::OrderClaimed => "finalized; lint passed, serial fixed".to_owned(),
        ChangeKind::ClaimVoided => "the signer refused; it may be finalized again".to_owned(),
        ChangeKind::CertificateRecorded => "certificate signed and recorded".to_owned(),
        ChangeKind::CertificateOrphaned => "signature lost; its serial is revoked".to_owned(),
        ChangeKind::CertificateRestored => "certificate restored from the journal".to_owned(),
        ChangeKind::CertificateRevoked => "certificate revoked".to_owned(),
        ChangeKind::OrderEnded => "ended".to_owned(),
        ChangeKind::Refused => "refused".to_owned(),
        ChangeKind::Initialised
        | ChangeKind::AccountCreated
        | ChangeKind::AccountUpdated
        | ChangeKind::AccountRekeyed
        | ChangeKind::BindingCreated
        | ChangeKind::BindingWithdrawn
        | ChangeKind::CrlPublished
        | ChangeKind::JournalReconciled => format!("{:?}", record.kind),
    }
}

fn who(actor: Actor) -> String {
    match actor {
        Actor::Authority => "the authority".to_owned(),
        Actor::Account(id) => format!("account {id}"),
        Actor::CertificateKey => "the holder of the certificate's key".to_owned(),
        Actor::Operator(uid) => format!("operator (uid {uid})"),
        Actor::NewKey => "a new key".to_owned(),
    }
}

/// How it was or is being proven: clients answer one challenge of several.
fn method(authorization: &Authorization) -> Option<&'static str> {
    if let AuthorizationState::Valid { evidence } = &authorization.state {
        return Some(match evidence.kind {
            EvidenceKind::Challenge(kind) => kind.name(),
            EvidenceKind::Configuration => "configuration",
        });
    }
    let answered = |challenge: &&Challenge| !matches!(challenge.state, ChallengeState::Pending);
    let answered = authorization.challenges.iter().find(answered);
    answered.map(|challenge| challenge.kind.name())
}

/// What was seen when the last event of this kind came about.
fn seen_by(why: &Why, authorization: &Authorization, kind: ChangeKind) -> Vec<Seen> {
    // Only the last answer of CAA is kept.
    let asked_again = |record: &AuditRecord| {
        record.object == authorization.id.0 && record.kind == ChangeKind::CaaRechecked
    };
    let failures = authorization
        .challenges
        .iter()
        .filter_map(|challenge| match &challenge.state {
            ChallengeState::Processing { last, .. } => last.as_ref(),
            ChallengeState::Invalid { failure } => Some(failure),
            ChallengeState::Pending | ChallengeState::Valid { .. } => None,
        });
    let of_failures = failures.flat_map(|failure| &failure.observations);
    let seen: Vec<&Observation> = match (&authorization.state, kind) {
        (AuthorizationState::Valid { evidence }, ChangeKind::AuthorizationProved) => {
            let first = evidence.caa.iter();
            let first = first.filter(|_| !why.records.iter().any(asked_again));
            let caa = first.flat_map(|caa| &caa.observations);
            evidence.observations.iter().chain(caa).collect()
        }
        (AuthorizationState::Valid { evidence }, ChangeKind::CaaRechecked) => {
            let caa = evidence.caa.iter();
            caa.flat_map(|caa| &caa.observations).collect()
        }
        (AuthorizationState::Pending, ChangeKind::ValidationRetried)
        | (AuthorizationState::Invalid, ChangeKind::AuthorizationFailed) => of_failures.collect(),
        _ => Vec::new(),
    };
    seen.into_iter().map(Seen::of).collect()
}

impl Seen {
    fn of(observation: &Observation) -> Self {
        Self {
            after_ms: observation.at_ms(),
            what: in_words(observation),
        }
    }
}
