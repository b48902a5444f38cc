//! A small authority to test with (feature `world`): a root, an issuing CA whose key is at hand, one gateway, and clients
//! whose orders go through their steps by the same functions as in the real one.
//!
//! Nothing here is part of a program that ships. Ids and tokens repeat with the seed; keys and signatures do not.

mod issued;
mod model;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chancery_acme::ChallengeKind;
use chancery_crypto::{Curve, Entropy, KeyKind, PrivateKey, SignatureForm, sha256};
use chancery_jose::Jwk;
use chancery_pki::tbs::{self, assemble};
use chancery_pki::{
    AskedValidity, CaRequest, Csr, ExtKeyUsage, IssuerCertificate, NameError, Profile,
    RevokedEntry, San, Serial, Spki, UnixTime, csr,
};

use crate::account::{Account, AccountStatus, KeyTag, Owner, Registration};
use crate::asking::Asking;
use crate::authorization::{Authorization, Finding};
use crate::binding::{Binding, BindingWish};
use crate::caa::CaaRules;
use crate::change::{Change, Record};
use crate::crl::{CrlDraft, CrlFloor, CrlState};
use crate::gateway::{BindingRule, Gateway, NameRules, Offer};
use crate::id::{AccountId, CertificateId, IdSource, IssuerId};
use crate::issuance::{self, Finalize, KeyUse};
use crate::issuer::{Issuer, LiveIssuer};
use crate::order::{Order, OrderState, Proven, Wanted};
use crate::proof::{FailureKind, Observation, Proof, ProofFailure};
use crate::recovery::JournalledIntent;
use crate::refusal::Refusal;
use crate::setting::Setting;

pub use self::issued::Issued;
pub use self::model::Model;

/// 2026-09-21, when a world begins.
pub const BEGINNING: UnixTime = UnixTime(1_790_000_000);

const DAY_SECS: i64 = 24 * 3600;

/// Shards of the issuing CA's CRL: few, so that each gets entries.
const SHARDS: u16 = 4;

/// A CA, its gateway, and the time.
#[derive(Debug)]
pub struct World {
    /// Now; tests move it.
    pub now: UnixTime,
    /// The one entrance: both challenges, every name, no terms.
    pub gateway: Gateway,
    /// The CA above the issuer; it signs nothing more.
    pub root: Issuer,
    /// Who signs.
    pub issuer: LiveIssuer,
    /// Makes numbers of records.
    pub ids: IdSource,
    ca: PrivateKey,
    chance: Chance,
}

/// Randomness that a seed repeats: SHA-256 of a counter.
#[derive(Debug)]
struct Chance {
    seed: u64,
    blocks: AtomicU64,
}

impl Entropy for Chance {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::Relaxed);
            let bytes = sha256(&[self.seed.to_be_bytes(), block.to_be_bytes()].concat());
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// Reads a set of DNS names, wildcards among them.
///
/// # Errors
/// What is wrong with the first that is none.
pub fn names(texts: &[&str]) -> Result<BTreeSet<San>, NameError> {
    texts.iter().map(|text| San::parse_dns(text)).collect()
}

fn p256() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("the library makes keys")
}

impl World {
    /// A world of its own for each seed.
    ///
    /// # Panics
    /// When the cryptographic library makes no keys, or this file makes a CA that `pki` refuses.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let chance = Chance {
            seed,
            blocks: AtomicU64::new(0),
        };
        let (root_key, ca) = (p256(), p256());
        let record = |id, certificate: &[u8], chain, root: &[u8], crl_shards| Issuer {
            id: IssuerId(id),
            version: 1,
            certificate: certificate.to_vec(),
            chain,
            root: root.to_vec(),
            crl_shards,
            status_url: "http://status.test".to_owned(),
            created: BEGINNING,
        };
        let root = ca_certificate(&root_key, &root_key, None, &chance);
        let above = IssuerCertificate::parse(&root).expect("a root");
        let issuing = ca_certificate(&ca, &root_key, Some(&above), &chance);
        let certificate = IssuerCertificate::parse(&issuing).expect("an issuing CA");
        let chain = vec![issuing.clone().into()];
        Self {
            now: BEGINNING,
            gateway: Gateway {
                name: "server".to_owned(),
                challenges: vec![ChallengeKind::Http01, ChallengeKind::Dns01],
                profiles: vec![Profile::server("server")],
                terms_of_service: None,
                names: NameRules::any(),
                pre_authorization: Offer::NotMade,
                binding_rule: BindingRule::Accepted,
                reuse: Offer::NotMade,
                caa: CaaRules::default(),
            },
            root: record(1, &root, Vec::new(), &root, 1),
            issuer: LiveIssuer {
                record: record(2, &issuing, chain, &root, SHARDS),
                certificate,
            },
            ids: IdSource::new(1, 0),
            ca,
            chance,
        }
    }

    /// The first run: both CAs and the key of URLs.
    #[must_use]
    pub fn initialised(&self) -> Change {
        let issuers = vec![self.root.clone(), self.issuer.record.clone()];
        Change::initialised(self.now, issuers, vec![Setting::url_key(self.random())])
    }

    /// The next number of a record.
    pub fn next_id(&mut self) -> i64 {
        self.ids.next(self.now.0 * 1000)
    }

    /// Random bytes.
    #[must_use]
    pub fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.chance.fill(&mut bytes);
        bytes
    }

    /// An account with a key of its own.
    ///
    /// # Panics
    /// When the domain refuses it.
    pub fn account(&mut self) -> (Change, Account) {
        self.account_with_key(&Jwk::from_key(p256().public()))
    }

    /// An account with this key, whoever else has it.
    ///
    /// # Panics
    /// When the domain refuses it.
    pub fn account_with_key(&mut self, key: &Jwk) -> (Change, Account) {
        let id = AccountId(self.next_id());
        let tag = KeyTag::new(&self.gateway.name, &key.thumbprint());
        let contact = vec!["mailto:admin@a.test".to_owned()];
        let registration = Registration {
            contact,
            ..Registration::default()
        };
        let change = Account::create(
            self.now,
            id,
            &self.gateway,
            key.to_json(),
            tag,
            registration,
        )
        .expect("there are no terms to agree to");
        let account = only(&change, |record| match record {
            Record::Account(account) => Some(account.clone()),
            _ => None,
        });
        (change, account)
    }

    /// An order for these names, with its authorizations, of an account that need not be stored.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn order(
        &mut self,
        account: AccountId,
        names: BTreeSet<San>,
    ) -> Result<(Change, Order, Vec<Authorization>), Refusal> {
        self.order_of(Owner::unstored(account, AccountStatus::Valid), names)
    }

    /// An order for these names, with its authorizations.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn order_of(
        &mut self,
        owner: Owner,
        names: BTreeSet<San>,
    ) -> Result<(Change, Order, Vec<Authorization>), Refusal> {
        let wanted = Wanted {
            names,
            profile: None,
            validity: AskedValidity::default(),
            replaces: None,
        };
        self.place(owner, wanted, &[])
    }

    /// An order of account 1 that may rest on what was proven before.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn order_resting(
        &mut self,
        wanted: Wanted,
        proven: &[Authorization],
    ) -> Result<(Change, Order, Vec<Authorization>), Refusal> {
        let owner = Owner::unstored(AccountId(1), AccountStatus::Valid);
        self.place(owner, wanted, proven)
    }

    fn place(
        &mut self,
        owner: Owner,
        wanted: Wanted,
        proven: &[Authorization],
    ) -> Result<(Change, Order, Vec<Authorization>), Refusal> {
        let asking = Asking {
            now: self.now,
            now_millis: self.now.0 * 1000,
            entropy: &self.chance,
            gateway: &self.gateway,
            issuer: &self.issuer,
            owner,
        };
        Order::create(&mut self.ids, &asking, wanted, Proven(proven))
    }

    /// A binding for the gateway, made by operator 7.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn binding(&mut self, wish: BindingWish) -> Result<(Change, Binding), Refusal> {
        let now = (self.now, self.now.0 * 1000);
        Binding::create(now, &mut self.ids, &self.chance, &self.gateway, 7, wish)
    }

    /// A request for these names with a key of its own.
    ///
    /// # Panics
    /// When `pki` cannot build it.
    #[must_use]
    pub fn csr(&self, names: &BTreeSet<San>) -> Csr {
        self.csr_with_key(&p256(), names)
    }

    /// A request for these names with this key.
    ///
    /// # Panics
    /// When `pki` cannot build it.
    #[must_use]
    pub fn csr_with_key(&self, key: &PrivateKey, names: &BTreeSet<San>) -> Csr {
        let names: Vec<San> = names.iter().cloned().collect();
        let der = csr::build(key, &names).expect("a request");
        Csr::parse(&der).expect("a request that was just built")
    }

    /// Decides on a finalize by an account in good standing, whose CSR has a key of its own.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn claim(
        &self,
        order: &Order,
        authorizations: &[Authorization],
        csr: &Csr,
    ) -> Result<(Change, Order), Refusal> {
        let owner = Owner::unstored(order.account, AccountStatus::Valid);
        self.claim_as(order, authorizations, csr, owner, KeyUse::NotOf(Vec::new()))
    }

    /// Decides on a finalize.
    ///
    /// # Errors
    /// [`Refusal`].
    ///
    /// # Panics
    /// When a decision to claim has no change.
    pub fn claim_as(
        &self,
        order: &Order,
        authorizations: &[Authorization],
        csr: &Csr,
        owner: Owner,
        key_use: KeyUse,
    ) -> Result<(Change, Order), Refusal> {
        let authorizations: Vec<_> = authorizations.iter().cloned().map(Arc::new).collect();
        let (decision, next) = issuance::claim(&Finalize {
            now: self.now,
            order,
            authorizations: &authorizations,
            owner,
            csr,
            key_use,
            gateway: &self.gateway,
            binding: None,
            issuer: &self.issuer,
            random: self.random(),
        })?;
        Ok((*decision.change.expect("a claim is a change"), next))
    }

    /// What the signer's journal would say of the order's claim, with a real signature; `None` if it claims nothing.
    ///
    /// # Panics
    /// When the key does not sign.
    #[must_use]
    pub fn journalled(&self, order: &Order, sequence: u64) -> Option<JournalledIntent> {
        let OrderState::Processing { claim } = &order.state else {
            return None;
        };
        Some(JournalledIntent {
            sequence,
            serial: claim.serial,
            order: order.id,
            account: order.account,
            profile: order.profile.clone(),
            profile_hash: claim.profile_hash,
            tbs: claim.tbs.clone(),
            signature: Some(self.sign(&claim.tbs)),
        })
    }

    /// The issuing CA's signature.
    ///
    /// # Panics
    /// When the key does not sign.
    #[must_use]
    pub fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        self.ca
            .sign(SignatureForm::Der, tbs)
            .expect("the key signs")
    }

    /// The next CRL of a shard, signed.
    ///
    /// # Panics
    /// When the entries do not ascend.
    #[must_use]
    pub fn crl(
        &self,
        shard: u16,
        last: Option<&CrlState>,
        revoked: Vec<RevokedEntry>,
    ) -> (Change, CrlState) {
        let floor = CrlFloor::default();
        let revoked = revoked.into_iter();
        let draft = CrlDraft::compose(self.now, &self.issuer, shard, last, floor, revoked)
            .expect("entries that ascend");
        let algorithm = self.issuer.certificate.signature_algorithm();
        let der = assemble(&draft.tbs, algorithm, &self.sign(&draft.tbs));
        draft.published(self.now, der)
    }

    /// What a validator says when all is well.
    #[must_use]
    pub fn proved(&self) -> Finding {
        let url = "http://a.test/.well-known/acme-challenge/x".to_owned();
        Finding::Proved(Proof {
            at: self.now,
            observations: vec![
                Observation::Asked {
                    question: "a.test A".to_owned(),
                    answer: "192.0.2.1".to_owned(),
                    at_ms: Some(2),
                },
                Observation::Dialled {
                    address: "192.0.2.1:80".to_owned(),
                    result: "connected".to_owned(),
                    at_ms: Some(3),
                },
                Observation::Fetched {
                    url,
                    status: 200,
                    body_octets: 87,
                    at_ms: Some(5),
                },
            ],
            caa: None,
        })
    }

    /// What a validator says when it is not.
    #[must_use]
    pub fn failed(&self, kind: FailureKind) -> Finding {
        let detail = "it was expected, and something else was seen".to_owned();
        Finding::Failed(ProofFailure {
            kind,
            detail,
            observations: Vec::new(),
        })
    }

    /// The certificate of an order, from its claim to its record, without its way there.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn record(
        &self,
        order: &Order,
        intent: &JournalledIntent,
    ) -> Result<(Change, Order, crate::certificate::Certificate), Refusal> {
        let signature = intent.signature.as_deref().unwrap_or_default();
        issuance::record(self.now, order, &self.issuer, signature, intent.sequence)
    }

    /// A number for a certificate that its order cannot take.
    pub fn spare(&mut self) -> CertificateId {
        CertificateId(self.next_id())
    }
}

/// The order that a change writes, if it writes one.
#[must_use]
pub fn order_in(change: &Change) -> Option<Order> {
    change
        .writes()
        .iter()
        .find_map(|write| match &write.record {
            Record::Order(order) => Some(order.clone()),
            _ => None,
        })
}

/// The authorization that a change writes, if it writes one.
#[must_use]
pub fn authorization_in(change: &Change) -> Option<Authorization> {
    change
        .writes()
        .iter()
        .find_map(|write| match &write.record {
            Record::Authorization(authorization) => Some(authorization.clone()),
            _ => None,
        })
}

fn only<T>(change: &Change, pick: impl Fn(&Record) -> Option<T>) -> T {
    let mut found = change
        .writes()
        .iter()
        .filter_map(|write| pick(&write.record));
    found.next().expect("the change writes such a record")
}

fn ca_certificate(
    key: &PrivateKey,
    signer: &PrivateKey,
    issuer: Option<&IssuerCertificate>,
    chance: &Chance,
) -> Vec<u8> {
    let mut random = [0; 16];
    chance.fill(&mut random);
    let role = if issuer.is_none() {
        "Root CA"
    } else {
        "Issuing CA 1"
    };
    let usages = if issuer.is_none() {
        vec![]
    } else {
        vec![ExtKeyUsage::ServerAuth]
    };
    let urls = (
        "http://status.test/crl/1/0.crl",
        "http://status.test/issuer/1.cer",
    );
    let tbs = tbs::ca(&CaRequest {
        subject_cn: role,
        organization: Some("Test"),
        serial: Serial::new(BEGINNING, random),
        not_before: UnixTime(BEGINNING.0 - DAY_SECS),
        not_after: UnixTime(BEGINNING.0 + 3650 * DAY_SECS),
        spki: &Spki::of(key.public()),
        issuer,
        path_len: issuer.map(|_| 0),
        urls: issuer.map(|_| urls),
        ext_key_usages: usages,
    })
    .expect("a CA certificate");
    let signature = signer
        .sign(SignatureForm::Der, tbs.as_der())
        .expect("the key signs");
    assemble(tbs.as_der(), signer.algorithm(), &signature)
}
