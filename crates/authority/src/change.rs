//! The one kind of value that changes durable data (design §4, law 1).
//!
//! Whoever wants to know what can happen to the records reads the constructors here. Each states what it expects of the
//! records it replaces and carries its audit record; a store applies all of it in one transaction or none of it, and
//! knows no rules.

use chancery_pki::UnixTime;
use minicbor::{Decode, Encode};

use crate::account::{Account, KeyTag, Owner};
use crate::audit::{Actor, AuditRecord};
use crate::authorization::Authorization;
use crate::binding::Binding;
use crate::certificate::Certificate;
use crate::crl::CrlState;
use crate::id::{AccountId, BindingId, CertificateId, OrderId};
use crate::issuer::Issuer;
use crate::order::Order;
use crate::setting::Setting;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ChangeKind {
    /// The authority was set up.
    #[n(0)]
    Initialised,
    /// A key registered.
    #[n(1)]
    AccountCreated,
    /// Contacts or status of an account changed.
    #[n(2)]
    AccountUpdated,
    /// An order with its authorizations.
    #[n(3)]
    OrderCreated,
    /// A client asked for validation.
    #[n(4)]
    ChallengeTaken,
    /// An attempt failed and another will follow.
    #[n(5)]
    ValidationRetried,
    /// An identifier was proven; the order may have become ready.
    #[n(6)]
    AuthorizationProved,
    /// Proof failed for good; the order is invalid.
    #[n(7)]
    AuthorizationFailed,
    /// Serial, TBS and profile were fixed on the order.
    #[n(8)]
    OrderClaimed,
    /// The signed certificate was recorded; the order is valid.
    #[n(9)]
    CertificateRecorded,
    /// A signature was lost; its serial is revoked and the order may try again.
    #[n(10)]
    CertificateOrphaned,
    /// A certificate came back from the signer's journal.
    #[n(11)]
    CertificateRestored,
    /// A certificate was revoked.
    #[n(12)]
    CertificateRevoked,
    /// A CRL shard was signed.
    #[n(13)]
    CrlPublished,
    /// Everything in the journal up to here is in the store.
    #[n(14)]
    JournalReconciled,
    /// A request was refused.
    #[n(15)]
    Refused,
    /// An order ended without a certificate.
    #[n(16)]
    OrderEnded,
    /// The signer refused a claim before it journalled anything; the order may claim anew.
    #[n(17)]
    ClaimVoided,
    /// An account got another key.
    #[n(18)]
    AccountRekeyed,
    /// An authorization without an order.
    #[n(19)]
    AuthorizationCreated,
    /// CAA was asked about again for a name, and permits it still.
    #[n(20)]
    CaaRechecked,
    /// An operator made an external account binding.
    #[n(21)]
    BindingCreated,
    /// An operator took one back.
    #[n(22)]
    BindingWithdrawn,
}

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An account.
    Account(Account),
    /// An order.
    Order(Order),
    /// An authorization.
    Authorization(Authorization),
    /// A certificate.
    Certificate(Certificate),
    /// An issuer.
    Issuer(Issuer),
    /// The last CRL of a shard.
    Crl(CrlState),
    /// A value of the installation.
    Setting(Setting),
    /// An external account binding.
    Binding(Binding),
}

/// What must hold of the stored record for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is none with this key (nor with another unique key of the record).
    Absent,
    /// It is there at this version.
    Version(u32),
}

/// One record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The new content, with its new version.
    pub record: Record,
    /// What it replaces.
    pub expect: Expect,
}

/// What must hold besides, of records that the change does not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// This account is there at this version: what it may do was decided on how it was.
    Account {
        /// Which one.
        id: AccountId,
        /// Its version when the decision was made.
        version: u32,
    },
    /// No account has this key.
    NoAccountWith(KeyTag),
    /// This external account binding was not withdrawn.
    BindingHolds(BindingId),
}

/// A change that happens whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    needs: Vec<Need>,
    writes: Vec<Write>,
    audit: AuditRecord,
}

/// Whether a change happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is durable.
    Applied,
    /// Something it expected does not hold any more; decide anew on fresh state.
    Conflict,
}

fn absent(record: impl Into<Record>) -> Write {
    Write {
        record: record.into(),
        expect: Expect::Absent,
    }
}

fn replacing(version: u32, record: impl Into<Record>) -> Write {
    Write {
        record: record.into(),
        expect: Expect::Version(version),
    }
}

impl Change {
    /// What to write, in this order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// What must hold for the writes to happen, beside what each expects of its own record.
    #[must_use]
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// The audit record that goes into the same transaction.
    #[must_use]
    pub fn audit(&self) -> &AuditRecord {
        &self.audit
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        self.audit.kind
    }

    fn new(now: UnixTime, actor: Actor, kind: ChangeKind, object: i64, writes: Vec<Write>) -> Self {
        Self {
            needs: Vec::new(),
            writes,
            audit: AuditRecord::new(now, actor, kind, object),
        }
    }

    fn needing(mut self, needs: impl IntoIterator<Item = Need>) -> Self {
        self.needs.extend(needs);
        self
    }

    fn noting(mut self, note: impl Into<String>) -> Self {
        self.audit = self.audit.noting(note);
        self
    }

    /// First run: issuers, the empty CRLs' state and settings, all absent before.
    #[must_use]
    pub fn initialised(now: UnixTime, issuers: Vec<Issuer>, settings: Vec<Setting>) -> Self {
        let writes = issuers
            .into_iter()
            .map(absent)
            .chain(settings.into_iter().map(absent));
        Self::new(
            now,
            Actor::Authority,
            ChangeKind::Initialised,
            0,
            writes.collect(),
        )
    }

    /// `binding` is what it rests on, with the version that this replaces: it counts its accounts.
    pub(crate) fn account_created(
        now: UnixTime,
        account: Account,
        binding: Option<(u32, Binding)>,
    ) -> Self {
        let (id, kind) = (account.id.0, ChangeKind::AccountCreated);
        let note = binding
            .as_ref()
            .map(|(_, it)| format!("by binding {}", it.id));
        let mut writes = vec![absent(account)];
        writes.extend(binding.map(|(from, next)| replacing(from, next)));
        let change = Self::new(now, Actor::NewKey, kind, id, writes);
        match note {
            None => change,
            Some(note) => change.noting(note),
        }
    }

    pub(crate) fn binding_created(now: UnixTime, operator: u32, binding: Binding) -> Self {
        let (id, note) = (binding.id.0, binding.gateway.clone());
        let kind = ChangeKind::BindingCreated;
        let writes = vec![absent(binding)];
        Self::new(now, Actor::Operator(operator), kind, id, writes).noting(note)
    }

    pub(crate) fn binding_withdrawn(
        now: UnixTime,
        operator: u32,
        from: u32,
        next: Binding,
    ) -> Self {
        let (id, kind) = (next.id.0, ChangeKind::BindingWithdrawn);
        let writes = vec![replacing(from, next)];
        Self::new(now, Actor::Operator(operator), kind, id, writes)
    }

    pub(crate) fn account_updated(now: UnixTime, actor: Actor, from: u32, next: Account) -> Self {
        let note = format!("{:?}", next.status);
        let id = next.id.0;
        Self::new(
            now,
            actor,
            ChangeKind::AccountUpdated,
            id,
            vec![replacing(from, next)],
        )
        .noting(note)
    }

    pub(crate) fn account_rekeyed(now: UnixTime, from: u32, next: Account) -> Self {
        let (id, actor) = (next.id.0, Actor::Account(next.id));
        let writes = vec![replacing(from, next)];
        Self::new(now, actor, ChangeKind::AccountRekeyed, id, writes)
    }

    pub(crate) fn order_created(
        now: UnixTime,
        owner: Owner,
        order: Order,
        authorizations: Vec<Authorization>,
        replaced: Option<(u32, Certificate)>,
    ) -> Self {
        let actor = Actor::Account(order.account);
        let id = order.id.0;
        let mut writes = Vec::with_capacity(1 + authorizations.len());
        writes.push(absent(order));
        writes.extend(authorizations.into_iter().map(absent));
        writes.extend(replaced.map(|(from, next)| replacing(from, next)));
        Self::new(now, actor, ChangeKind::OrderCreated, id, writes).needing(owner.needs())
    }

    pub(crate) fn authorization_created(now: UnixTime, owner: Owner, made: Authorization) -> Self {
        let (id, actor) = (made.id.0, Actor::Account(made.account));
        let kind = ChangeKind::AuthorizationCreated;
        Self::new(now, actor, kind, id, vec![absent(made)]).needing(owner.needs())
    }

    pub(crate) fn authorization_moved(
        now: UnixTime,
        actor: Actor,
        kind: ChangeKind,
        from: u32,
        next: Authorization,
    ) -> Self {
        let id = next.id.0;
        Self::new(now, actor, kind, id, vec![replacing(from, next)])
    }

    /// An attempt failed; `why` is what the client is told.
    pub(crate) fn validation_retried(
        now: UnixTime,
        from: u32,
        next: Authorization,
        why: &str,
    ) -> Self {
        let kind = ChangeKind::ValidationRetried;
        Self::authorization_moved(now, Actor::Authority, kind, from, next).noting(why)
    }

    pub(crate) fn authorization_and_order_moved(
        now: UnixTime,
        actor: Actor,
        kind: ChangeKind,
        authorization: (u32, Authorization),
        order: Option<(u32, Order)>,
    ) -> Self {
        let id = authorization.1.id.0;
        let mut writes = vec![replacing(authorization.0, authorization.1)];
        writes.extend(order.map(|(from, next)| replacing(from, next)));
        Self::new(now, actor, kind, id, writes)
    }

    /// It suffices no more; `why` is what the client is told.
    pub(crate) fn authorization_lost(
        now: UnixTime,
        actor: Actor,
        authorization: (u32, Authorization),
        order: Option<(u32, Order)>,
        why: &str,
    ) -> Self {
        let kind = ChangeKind::AuthorizationFailed;
        Self::authorization_and_order_moved(now, actor, kind, authorization, order).noting(why)
    }

    pub(crate) fn order_claimed(
        now: UnixTime,
        needs: impl IntoIterator<Item = Need>,
        (from, next): (u32, Order),
        counted: Option<(u32, Binding)>,
        note: String,
    ) -> Self {
        let (id, actor) = (next.id.0, Actor::Account(next.account));
        let mut writes = vec![replacing(from, next)];
        writes.extend(counted.map(|(from, next)| replacing(from, next)));
        Self::new(now, actor, ChangeKind::OrderClaimed, id, writes)
            .needing(needs)
            .noting(note)
    }

    pub(crate) fn claim_voided(now: UnixTime, from: u32, next: Order, why: &str) -> Self {
        let id = next.id.0;
        let writes = vec![replacing(from, next)];
        Self::new(now, Actor::Authority, ChangeKind::ClaimVoided, id, writes).noting(why)
    }

    pub(crate) fn order_ended(now: UnixTime, actor: Actor, from: u32, next: Order) -> Self {
        let id = next.id.0;
        Self::new(
            now,
            actor,
            ChangeKind::OrderEnded,
            id,
            vec![replacing(from, next)],
        )
    }

    pub(crate) fn certificate_recorded(
        now: UnixTime,
        from: u32,
        order: Order,
        certificate: Certificate,
    ) -> Self {
        let (id, note) = (certificate.id.0, certificate.serial.to_hex());
        let writes = vec![absent(certificate), replacing(from, order)];
        Self::new(
            now,
            Actor::Authority,
            ChangeKind::CertificateRecorded,
            id,
            writes,
        )
        .noting(note)
    }

    pub(crate) fn certificate_orphaned(
        now: UnixTime,
        certificate: Certificate,
        order: Option<(u32, Order)>,
    ) -> Self {
        let (id, note) = (certificate.id.0, certificate.serial.to_hex());
        let mut writes = vec![absent(certificate)];
        writes.extend(order.map(|(from, next)| replacing(from, next)));
        Self::new(
            now,
            Actor::Authority,
            ChangeKind::CertificateOrphaned,
            id,
            writes,
        )
        .noting(note)
    }

    pub(crate) fn certificate_restored(
        now: UnixTime,
        certificate: Certificate,
        order: Option<(u32, Order)>,
    ) -> Self {
        let (id, note) = (certificate.id.0, certificate.serial.to_hex());
        let mut writes = vec![absent(certificate)];
        writes.extend(order.map(|(from, next)| replacing(from, next)));
        Self::new(
            now,
            Actor::Authority,
            ChangeKind::CertificateRestored,
            id,
            writes,
        )
        .noting(note)
    }

    pub(crate) fn certificate_revoked(
        now: UnixTime,
        actor: Actor,
        from: u32,
        next: Certificate,
    ) -> Self {
        let (id, note) = (next.id.0, next.serial.to_hex());
        Self::new(
            now,
            actor,
            ChangeKind::CertificateRevoked,
            id,
            vec![replacing(from, next)],
        )
        .noting(note)
    }

    pub(crate) fn crl_published(now: UnixTime, expect: Expect, next: CrlState) -> Self {
        let object = i64::from(next.issuer.0);
        let note = format!("shard {} number {}", next.shard, next.number);
        let write = Write {
            record: Record::Crl(next),
            expect,
        };
        Self::new(
            now,
            Actor::Authority,
            ChangeKind::CrlPublished,
            object,
            vec![write],
        )
        .noting(note)
    }

    pub(crate) fn journal_reconciled(now: UnixTime, expect: Expect, mark: Setting) -> Self {
        let write = Write {
            record: Record::Setting(mark),
            expect,
        };
        Self::new(
            now,
            Actor::Authority,
            ChangeKind::JournalReconciled,
            0,
            vec![write],
        )
    }

    /// A refusal of a request for a certificate, or of a revocation: nothing changes, but it is remembered.
    #[must_use]
    pub fn refused_order(now: UnixTime, actor: Actor, order: OrderId, why: String) -> Self {
        Self {
            needs: Vec::new(),
            writes: Vec::new(),
            audit: AuditRecord::refused_order(now, actor, order, why),
        }
    }

    /// A refused revocation.
    #[must_use]
    pub fn refused_revocation(
        now: UnixTime,
        actor: Actor,
        certificate: CertificateId,
        why: String,
    ) -> Self {
        Self::new(now, actor, ChangeKind::Refused, certificate.0, Vec::new()).noting(why)
    }
}
