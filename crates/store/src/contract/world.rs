//! A small authority for the rules: an issuer with a key, a gateway, a clock that stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_acme::ChallengeKind;
use chancery_authority::account::{Account, AccountStatus, KeyTag, Registration};
use chancery_authority::authorization::Authorization;
use chancery_authority::certificate::Certificate;
use chancery_authority::gateway::{Gateway, NameRules};
use chancery_authority::issuance::{Finalize, KeyUse, claim, record};
use chancery_authority::issuer::{Issuer, LiveIssuer};
use chancery_authority::order::{Order, Wanted};
use chancery_authority::{AccountId, Change, IdSource, IssuerId, Outcome, Store};
use chancery_crypto::{Curve, Entropy, KeyKind, PrivateKey, SignatureForm, SystemEntropy};
use chancery_pki::tbs::{assemble, ca};
use chancery_pki::{CaRequest, Csr, IssuerCertificate, Profile, San, Serial, Spki, UnixTime, csr};

/// 2026-11-24T00:00:00Z
pub(super) const NOW: UnixTime = UnixTime(1_795_478_400);

const YEAR_SECS: u64 = 365 * 24 * 3600;

pub(super) struct World {
    pub(super) gateway: Gateway,
    pub(super) issuer: LiveIssuer,
    ids: IdSource,
    key: PrivateKey,
}

impl World {
    pub(super) fn new() -> Self {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("a key");
        let spki = Spki::of(key.public());
        let tbs = ca(&CaRequest {
            subject_cn: "Contract Root",
            organization: None,
            serial: Serial::new(NOW, [1; 16]),
            not_before: NOW.minus(YEAR_SECS),
            not_after: NOW.plus(10 * YEAR_SECS),
            spki: &spki,
            issuer: None,
            path_len: None,
            urls: None,
            ext_key_usages: Vec::new(),
        })
        .expect("a root");
        let signature = key.sign(SignatureForm::Der, tbs.as_der()).expect("signs");
        let der = assemble(tbs.as_der(), key.algorithm(), &signature);
        let certificate = IssuerCertificate::parse(&der).expect("a CA");
        let issuer = Issuer {
            id: IssuerId(1),
            version: 1,
            certificate: der.clone(),
            chain: Vec::new(),
            root: der,
            crl_shards: 1,
            status_url: "http://status.test".to_owned(),
            created: NOW,
        };
        Self {
            gateway: Gateway {
                name: "server".to_owned(),
                challenges: vec![ChallengeKind::Http01, ChallengeKind::Dns01],
                profiles: vec![Profile::server("server")],
                terms_of_service: None,
                names: NameRules::any(),
            },
            issuer: LiveIssuer {
                record: issuer,
                certificate,
            },
            ids: IdSource::new(1, 0),
            key: PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("a key"),
        }
    }

    pub(super) fn id(&mut self) -> i64 {
        self.ids.next(NOW.0 * 1000)
    }

    /// A new account whose key is number `key`.
    pub(super) fn account(&mut self, key: u8) -> Change {
        let id = AccountId(self.id());
        let tag = KeyTag([key; 16]);
        let registration = Registration::default();
        Account::create(NOW, id, &self.gateway, "{}".to_owned(), tag, registration)
            .expect("no terms")
    }

    /// A pending order of account 7.
    pub(super) fn order(&mut self, name: &str) -> (Change, Order, Vec<Authorization>) {
        let wanted = Wanted {
            names: names(name),
            profile: None,
        };
        let (gateway, ids) = (&self.gateway, &mut self.ids);
        let entropy = &SystemEntropy;
        Order::create(
            NOW,
            NOW.0 * 1000,
            ids,
            entropy,
            gateway,
            AccountId(7),
            wanted,
        )
        .expect("an order")
    }

    /// An order that is ready at once.
    pub(super) fn ready(&mut self, name: &str) -> (Change, Order, Vec<Authorization>) {
        let (gateway, ids) = (&self.gateway, &mut self.ids);
        let profile = "server".to_owned();
        Order::create_for_server(NOW, NOW.0 * 1000, ids, gateway, names(name), profile)
    }

    /// A claim of a ready order under a fresh serial.
    pub(super) fn claim(&self, order: &Order, parts: &[Authorization]) -> (Change, Order) {
        let wanted: Vec<San> = order.names.iter().cloned().collect();
        let csr = csr::build(&self.key, &wanted).expect("a CSR");
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        let parts: Vec<_> = parts.iter().cloned().map(Arc::new).collect();
        let (decision, next) = claim(&Finalize {
            now: NOW,
            order,
            authorizations: &parts,
            account: AccountStatus::Valid,
            csr: &Csr::parse(&csr).expect("its own CSR"),
            key_use: KeyUse::Unknown,
            profile: self.gateway.profile(None).expect("a profile"),
            issuer: &self.issuer,
            random,
        })
        .expect("a claim");
        (*decision.change.expect("a change"), next)
    }

    pub(super) fn record(&self, claimed: &Order) -> (Change, Certificate) {
        let (change, _, certificate) =
            record(NOW, claimed, &self.issuer, &[0x30; 71], 1).expect("recorded");
        (change, certificate)
    }

    /// An order with its certificate, all applied.
    pub(super) async fn issued(&mut self, store: &dyn Store, name: &str) -> Certificate {
        let (created, order, parts) = self.ready(name);
        applied(store, created).await;
        let (change, claimed) = self.claim(&order, &parts);
        applied(store, change).await;
        let (change, certificate) = self.record(&claimed);
        applied(store, change).await;
        certificate
    }
}

fn names(name: &str) -> BTreeSet<San> {
    BTreeSet::from([San::parse_dns(name).expect("a name")])
}

pub(super) async fn applied(store: &dyn Store, change: Change) {
    assert_eq!(store.apply(change).await, Ok(Outcome::Applied));
}

pub(super) async fn conflicts(store: &dyn Store, change: Change) {
    assert_eq!(store.apply(change).await, Ok(Outcome::Conflict));
}
