//! Why the authority says no. The gateways turn these into problem documents; nothing else does.

use chancery_pki::{NotNarrower, San, Serial};

use crate::id::AccountId;
use crate::limit::TooOften;

/// A refusal by the domain. Each variant is a cause that a client or a test can tell apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No account has this key, and the client asked for an existing one only.
    #[error("no account exists for this key")]
    AccountDoesNotExist,
    /// The account was deactivated, which is final.
    #[error("this account is deactivated; create another with a new key")]
    AccountDeactivated,
    /// The gateway's terms were not agreed to.
    #[error("the terms of service at {url} must be agreed to")]
    TermsNotAgreed {
        /// Where the terms stand.
        url: String,
    },
    /// The gateway's terms are others than those that the account agreed to (§7.3.3).
    #[error("the terms of service have changed; read {url} and agree to them")]
    TermsChanged {
        /// Where the terms stand.
        url: String,
        /// Who has to agree.
        account: AccountId,
    },
    /// The key has an account already (§7.3.5).
    #[error("this key belongs to an account already")]
    KeyInUse {
        /// Which one.
        account: AccountId,
    },
    /// The account has had more keys than are remembered.
    #[error("this account has had {max} keys before; create another account")]
    TooManyKeys {
        /// How many are remembered.
        max: usize,
    },
    /// The gateway is for accounts with an external account binding only (§7.3.4).
    #[error(
        "this gateway is for accounts that are bound to an account here; ask the operator for a key identifier and a \
         MAC key, and create an account with them"
    )]
    BindingRequired,
    /// The binding does not make this account, or does not let it order.
    #[error("{0}")]
    Binding(#[from] BindingRefusal),
    /// It was asked for too often.
    #[error("{0}")]
    TooOften(#[from] TooOften),
    /// A binding cannot be made as it was wished for.
    #[error("{0}")]
    Scope(#[from] ScopeFault),
    /// The subject may not do this to this object, or the object does not exist for it.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// Some names are refused; each with its reason.
    #[error("{} of the names cannot be certified here: {}", .0.len(), list(.0))]
    RejectedNames(Vec<(San, NameRefusal)>),
    /// No challenge of this gateway can prove such a name.
    #[error("this gateway offers no challenge that can prove {name}")]
    NoChallengeFor {
        /// The name.
        name: San,
    },
    /// An order without names, or with too many.
    #[error("an order needs 1 to {max} names; this one has {count}")]
    NameCount {
        /// How many were asked for.
        count: usize,
        /// How many are possible.
        max: usize,
    },
    /// The gateway does not offer what is asked for.
    #[error("this gateway does not offer {what}")]
    NotOffered {
        /// What.
        what: &'static str,
    },
    /// A wildcard is proven for an order only (§7.4.1).
    #[error("a wildcard cannot be authorized by itself; place an order for it")]
    WildcardNotAlone,
    /// The validity that was asked for is not within the profile's.
    #[error("{0}")]
    Validity(#[from] NotNarrower),
    /// The certificate named by `replaces` cannot be replaced by this order (RFC 9773 §5).
    #[error("the certificate named by replaces cannot be replaced: {0}")]
    NotReplaceable(&'static str),
    /// Another order replaces it already.
    #[error("certificate {serial} is replaced already, or about to be")]
    AlreadyReplaced {
        /// Its serial.
        serial: Serial,
    },
    /// The gateway does not offer this profile.
    #[error("this gateway offers no profile {wanted:?}")]
    UnknownProfile {
        /// The profile that was asked for.
        wanted: String,
    },
    /// The order is in another state than the request needs (RFC 8555 §7.4).
    #[error("the order is {state}; this needs a {needed} order")]
    OrderState {
        /// Its state.
        state: &'static str,
        /// The state that is needed.
        needed: &'static str,
    },
    /// The authorization is in another state than the request needs.
    #[error("the authorization is {state}")]
    AuthorizationState {
        /// Its state.
        state: &'static str,
    },
    /// There is no such challenge in the authorization.
    #[error("the authorization has no such challenge")]
    NoSuchChallenge,
    /// The CSR does not fit the order.
    #[error("{0}")]
    Csr(#[from] CsrRefusal),
    /// An identifier has no fresh evidence of its own (failures A1, A12).
    #[error("{name} has no valid authorization that is still fresh; place a new order")]
    NoEvidence {
        /// The identifier.
        name: San,
    },
    /// CAA does not permit some names, each with what was found (failures A1).
    #[error("CAA permits no certificate for {} of the names: {}", .0.len(), list(.0))]
    Caa(Vec<(San, String)>),
    /// The certificate is revoked already.
    #[error("certificate {serial} is already revoked")]
    AlreadyRevoked {
        /// Its serial.
        serial: Serial,
    },
    /// A reason code that is not offered.
    #[error("revocation reason {code} is not one of 0, 1, 3, 4, 5, 9")]
    RevocationReason {
        /// The code that was sent.
        code: i64,
    },
    /// What would be signed fails a lint. This is a fault of ours or of the configuration.
    #[error("the certificate would break the rule {rule}: {detail}")]
    Lint {
        /// The lint's name.
        rule: &'static str,
        /// What was seen.
        detail: String,
    },
    /// The certificate could not be composed (for example: it would outlive its issuer).
    #[error("no certificate can be made: {0}")]
    NotIssuable(String),
}

/// Why a CSR does not fit its order (`badCSR`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrRefusal {
    /// Names in the CSR that the order does not have.
    #[error("the CSR asks for {}, which this order does not have", list_names(.0))]
    ExtraNames(Vec<San>),
    /// Names of the order that the CSR lacks.
    #[error("the CSR lacks {}, which this order has", list_names(.0))]
    MissingNames(Vec<San>),
    /// The key is an account's key (RFC 8555 §11.1).
    #[error("the CSR's key is an account key; certificates need a key of their own")]
    AccountKey,
    /// The profile does not allow this kind of key.
    #[error("profile {profile} does not allow {class} keys")]
    KeyClass {
        /// The profile.
        profile: String,
        /// The kind of key seen.
        class: String,
    },
}

/// Why an external account binding is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingRefusal {
    /// It was not shown to be in the client's hands: an unknown key identifier, another secret, another account's key, or
    /// another gateway's binding. All are told alike, so that nobody learns which identifiers exist.
    #[error(
        "the external account binding does not verify: its key identifier is not known here, or its MAC key is another"
    )]
    Unproven,
    /// It has made all its accounts.
    #[error("this external account binding has been used already; ask the operator for another")]
    Spent,
    /// Its time is over.
    #[error("this external account binding has expired; ask the operator for another")]
    Expired,
    /// An operator took it back.
    #[error("the external account binding of this account has been revoked by the operator")]
    Withdrawn,
    /// Its accounts have got all the certificates that they may get.
    #[error(
        "the external account binding of this account allows no further certificate; renewals that name what they \
         replace (RFC 9773) are not counted"
    )]
    CertificatesUsedUp,
}

/// Why a binding cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeFault {
    /// What should be a name pattern is none.
    #[error("{0}")]
    Name(String),
    /// The gateway does not have this profile.
    #[error("the gateway has no profile {0:?}")]
    Profile(String),
    /// The gateway does not offer this challenge.
    #[error("the gateway does not offer the challenge {0}")]
    Challenge(&'static str),
    /// A list is longer than anybody needs.
    #[error("a list has more than {max} entries")]
    TooLong {
        /// How many it may have.
        max: usize,
    },
    /// The note is no line of text.
    #[error("the note is longer than {max} characters, or more than one line")]
    Note {
        /// How many it may have.
        max: usize,
    },
}

/// Why one name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameRefusal {
    /// A bare host name means another host in every network.
    #[error("a name needs at least two labels")]
    SingleLabel,
    /// A deny pattern of the gateway matches.
    #[error("the gateway's deny list refuses it")]
    Denied,
    /// No allow pattern of the gateway matches.
    #[error("the gateway's allow list does not contain it")]
    NotAllowed,
    /// The issuer's certificate is for other names.
    #[error("the certificate of the issuer does not let it certify such a name")]
    OutsideIssuer,
    /// The account's binding is for other names.
    #[error("the external account binding of this account is not for it")]
    OutsideBinding,
}

/// The answer of [`crate::authorize()`]. It says nothing about whether the object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// An account asked for what belongs to another, or for what does not exist: the same answer.
    #[error("no such resource for this account")]
    NotYours,
    /// The subject may never do this.
    #[error("this key may not do that")]
    NotAllowed,
    /// The account is not valid any more.
    #[error("this account is deactivated")]
    AccountInactive,
}

fn list(names: &[(San, impl std::fmt::Display)]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(5)
        .map(|(name, why)| format!("{name} ({why})"))
        .collect();
    shown.join(", ")
}

fn list_names(names: &[San]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(ToString::to_string).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 {
        shown.join(", ")
    } else {
        format!("{} and {more} more", shown.join(", "))
    }
}
