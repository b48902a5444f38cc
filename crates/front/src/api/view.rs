//! What operators see, as JSON. Names of members are part of the outside and stay as they are.

use chancery_authority::audit::AuditError;
use chancery_authority::authorization::{
    Authorization, AuthorizationState, ChallengeState, EvidenceKind,
};
use chancery_authority::certificate::{Certificate, CertificateStatus};
use chancery_authority::crl::CrlState;
use chancery_authority::order::{Order, OrderState};
use chancery_authority::proof::Observation;
use chancery_engine::InvariantReport;
use chancery_pki::{Certificate as Parsed, Serial, UnixTime, pem};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Status {
    now: String,
    version: &'static str,
    issuers: Vec<IssuerLine>,
    gateways: Vec<String>,
    soonest_crl_next_update: Option<String>,
    crls_waiting: usize,
    validations: usize,
    limits: Vec<LimitLine>,
}

#[derive(Debug, Serialize)]
struct LimitLine {
    limit: &'static str,
    rate: Option<String>,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct IssuerLine {
    issuer: u32,
    not_after: String,
    crl_shards: u16,
}

impl Status {
    pub(super) fn of(status: &chancery_engine::Status) -> Self {
        Self {
            now: status.now.to_rfc3339(),
            version: env!("CARGO_PKG_VERSION"),
            issuers: status
                .issuers
                .iter()
                .map(|(issuer, not_after, crl_shards)| IssuerLine {
                    issuer: *issuer,
                    not_after: not_after.to_rfc3339(),
                    crl_shards: *crl_shards,
                })
                .collect(),
            gateways: status.gateways.clone(),
            soonest_crl_next_update: status.soonest_next_update.map(UnixTime::to_rfc3339),
            crls_waiting: status.crls_waiting,
            validations: status.validations,
            limits: status
                .limits
                .iter()
                .map(|line| LimitLine {
                    limit: line.limit.name(),
                    rate: line.rate.map(|rate| rate.to_string()),
                    refused: line.refused,
                })
                .collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct CertificateLine {
    serial: String,
    names: Vec<String>,
    not_after: String,
    status: &'static str,
    issuer: u32,
    profile: String,
    account: String,
    order: String,
}

impl CertificateLine {
    pub(super) fn of(certificate: &Certificate, now: UnixTime) -> Self {
        let parsed = Parsed::parse(&certificate.der).ok();
        let names = parsed
            .iter()
            .flat_map(|parsed| parsed.sans())
            .map(ToString::to_string);
        let expired =
            matches!(certificate.status, CertificateStatus::Good) && certificate.not_after < now;
        Self {
            serial: certificate.serial.to_hex(),
            names: names.collect(),
            not_after: certificate.not_after.to_rfc3339(),
            status: if expired {
                "expired"
            } else {
                certificate.status.name()
            },
            issuer: certificate.issuer.0,
            profile: certificate.profile.clone(),
            account: certificate.account.to_string(),
            order: certificate.order.to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct CertificateInFull {
    #[serde(flatten)]
    line: CertificateLine,
    created: String,
    revoked_at: Option<String>,
    revocation_reason: Option<&'static str>,
    crl_shard: u16,
    journal_sequence: u64,
    pem: String,
}

impl CertificateInFull {
    pub(super) fn of(certificate: &Certificate, now: UnixTime) -> Self {
        let (revoked_at, reason) = match certificate.status {
            CertificateStatus::Good => (None, None),
            CertificateStatus::Revoked { at, reason } => (Some(at), reason),
            CertificateStatus::Orphaned { at } => (Some(at), None),
        };
        Self {
            line: CertificateLine::of(certificate, now),
            created: certificate.created.to_rfc3339(),
            revoked_at: revoked_at.map(UnixTime::to_rfc3339),
            revocation_reason: reason.map(|reason| reason.name()),
            crl_shard: certificate.shard,
            journal_sequence: certificate.journal_sequence,
            pem: pem::encode("CERTIFICATE", &certificate.der),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Revoked {
    serial: String,
    revoked_at: String,
}

impl Revoked {
    pub(super) fn of(serial: Serial, at: UnixTime) -> Self {
        Self {
            serial: serial.to_hex(),
            revoked_at: at.to_rfc3339(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct OrderLine {
    id: String,
    status: &'static str,
    names: Vec<String>,
    account: String,
    gateway: String,
    profile: String,
    created: String,
    expires: String,
}

impl OrderLine {
    pub(super) fn of(order: &Order, now: UnixTime) -> Self {
        Self {
            id: order.id.to_string(),
            status: order.status_at(now),
            names: order.names.iter().map(ToString::to_string).collect(),
            account: order.account.to_string(),
            gateway: order.gateway.clone(),
            profile: order.profile.clone(),
            created: order.created.to_rfc3339(),
            expires: order.expires.to_rfc3339(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct OrderInFull {
    #[serde(flatten)]
    line: OrderLine,
    policy: String,
    certificate: Option<String>,
    error: Option<String>,
    authorizations: Vec<AuthorizationView>,
}

#[derive(Debug, Serialize)]
struct AuthorizationView {
    identifier: String,
    status: &'static str,
    evidence: Option<String>,
    challenges: Vec<ChallengeView>,
    observations: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChallengeView {
    kind: &'static str,
    status: &'static str,
    failed_attempts: u8,
    error: Option<String>,
}

impl OrderInFull {
    pub(super) fn of(order: &Order, authorizations: &[Authorization], now: UnixTime) -> Self {
        let error = match &order.state {
            OrderState::Invalid { failure, .. } => Some(failure.detail.clone()),
            OrderState::Pending
            | OrderState::Ready
            | OrderState::Processing { .. }
            | OrderState::Valid { .. }
            | OrderState::Cancelled => None,
        };
        Self {
            line: OrderLine::of(order, now),
            policy: order.verdict.policy.clone(),
            certificate: order.certificate().map(|id| id.to_string()),
            error,
            authorizations: authorizations.iter().map(AuthorizationView::of).collect(),
        }
    }
}

impl AuthorizationView {
    fn of(authorization: &Authorization) -> Self {
        let (status, evidence, mut observations) = match &authorization.state {
            AuthorizationState::Pending => ("pending", None, Vec::new()),
            AuthorizationState::Invalid => ("invalid", None, Vec::new()),
            AuthorizationState::Deactivated => ("deactivated", None, Vec::new()),
            AuthorizationState::Valid { evidence } => {
                let kind = match evidence.kind {
                    EvidenceKind::Challenge(kind) => kind.name(),
                    EvidenceKind::Configuration => "configuration",
                };
                let told = format!("{kind} at {}", evidence.at.to_rfc3339());
                (
                    "valid",
                    Some(told),
                    evidence
                        .observations
                        .iter()
                        .chain(evidence.caa.iter().flat_map(|caa| &caa.observations))
                        .map(in_words)
                        .collect(),
                )
            }
        };
        for challenge in &authorization.challenges {
            let failure = match &challenge.state {
                ChallengeState::Processing { last, .. } => last.as_ref(),
                ChallengeState::Invalid { failure } => Some(failure),
                ChallengeState::Pending | ChallengeState::Valid { .. } => None,
            };
            observations.extend(
                failure
                    .iter()
                    .flat_map(|failure| &failure.observations)
                    .map(in_words),
            );
        }
        Self {
            identifier: authorization.identifier.to_string(),
            status,
            evidence,
            challenges: authorization
                .challenges
                .iter()
                .map(ChallengeView::of)
                .collect(),
            observations,
        }
    }
}

impl ChallengeView {
    fn of(challenge: &chancery_authority::authorization::Challenge) -> Self {
        let (status, failed_attempts, error) = match &challenge.state {
            ChallengeState::Pending => ("pending", 0, None),
            ChallengeState::Processing {
                failed_attempts,
                last,
                ..
            } => {
                let error = last.as_ref().map(|failure| failure.detail.clone());
                ("processing", *failed_attempts, error)
            }
            ChallengeState::Valid { .. } => ("valid", 0, None),
            ChallengeState::Invalid { failure } => ("invalid", 0, Some(failure.detail.clone())),
        };
        Self {
            kind: challenge.kind.name(),
            status,
            failed_attempts,
            error,
        }
    }
}

pub(super) fn in_words(observation: &Observation) -> String {
    match observation {
        Observation::Asked {
            question, answer, ..
        } => format!("asked {question}: {answer}"),
        Observation::Dialled {
            address, result, ..
        } => format!("dialled {address}: {result}"),
        Observation::Fetched {
            url,
            status,
            body_octets,
            ..
        } => {
            format!("fetched {url}: status {status}, {body_octets} octets")
        }
        Observation::Caa { name, verdict, at } => {
            format!("CAA of {name} at {}: {verdict}", at.to_rfc3339())
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct CrlLine {
    issuer: u32,
    shard: u16,
    number: u64,
    this_update: String,
    next_update: String,
    entries: u32,
    octets: usize,
}

impl CrlLine {
    pub(super) fn of(crl: &CrlState) -> Self {
        Self {
            issuer: crl.issuer.0,
            shard: crl.shard,
            number: crl.number,
            this_update: crl.this_update.to_rfc3339(),
            next_update: crl.next_update.to_rfc3339(),
            entries: crl.entries,
            octets: crl.der.len(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Invariants {
    checked: u64,
    broken: Vec<String>,
}

impl Invariants {
    pub(super) fn of(report: InvariantReport) -> Self {
        Self {
            checked: report.checked,
            broken: report.broken,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct AuditReport {
    whole: bool,
    blocks: i64,
    head: Option<String>,
    error: Option<String>,
}

impl AuditReport {
    pub(super) fn whole(head: Option<(i64, [u8; 32])>) -> Self {
        let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            whole: true,
            blocks: head.map_or(0, |(sequence, _)| sequence),
            head: head.map(|(_, digest)| hex(digest)),
            error: None,
        }
    }

    pub(super) fn broken(error: &AuditError) -> Self {
        Self {
            whole: false,
            blocks: 0,
            head: None,
            error: Some(error.to_string()),
        }
    }
}
