//! The messages of RFC 8555, for the authority and for the agent: a file per resource, one type per JSON object.
//!
//! - what a client sends: [`NewAccount`], [`AccountUpdate`], [`NewOrder`], [`Finalize`],
//!   [`ChallengeAnswer`], [`AuthorizationUpdate`], [`RevokeRequest`];
//! - what a server answers: [`Directory`], [`Account`], [`Order`], [`Authorization`], [`Challenge`],
//!   and [`Problem`] for every refusal;
//! - what both compute: [`Token`], [`key_authorization`], [`dns01_value`], [`tls_alpn01_digest`], and which
//!   [`ChallengeKind`]s there are.
//!
//! [`from_slice_bounded`] is the way in for JSON that somebody else wrote: it limits size, nesting
//! and counts before and while it reads. Members that are not known are ignored, as RFC 8555 §7.1
//! and §7.3 ask; a member that is known but occurs twice, or has the wrong type, is an error. Times
//! are `chancery_pki::UnixTime` here and RFC 3339 in UTC on the wire; DER is bytes here and
//! base64url on the wire.
//!
//! Members are written in the order in which the RFC defines them, and left out where they do not
//! apply.
//!
//! What this crate never does: sign or verify (`chancery-jose`), decide anything, know an HTTP
//! header, read a clock or draw randomness.

#![deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)]

mod account;
mod authorization;
mod challenge;
mod contact;
mod directory;
mod error_type;
mod identifier;
mod json;
mod key_change;
mod order;
mod orders_list;
mod problem;
mod renewal_info;
mod revocation;
mod token;
mod wire;

pub use account::{Account, AccountStatus, AccountUpdate, NewAccount};
pub use authorization::{
    Authorization, AuthorizationStatus, AuthorizationUpdate, NewAuthorization,
};
pub use challenge::{Challenge, ChallengeAnswer, ChallengeKind, ChallengeStatus};
pub use contact::check_contact;
pub use directory::{Directory, Meta};
pub use error_type::ErrorType;
pub use identifier::WireIdentifier;
pub use json::{
    CONTACTS_READ_MAX, IDENTIFIERS_READ_MAX, JSON_BYTES_MAX, JsonError, from_slice_bounded,
};
pub use key_change::KeyChange;
pub use order::{CERTIFICATE_CHAIN_MEDIA_TYPE, Finalize, NewOrder, Order, OrderStatus};
pub use orders_list::OrdersList;
pub use problem::{DETAIL_BYTES_MAX, PROBLEM_MEDIA_TYPE, Problem, ProblemKind, Subproblem};
pub use renewal_info::{CertId, CertIdError, RenewalInfo, SuggestedWindow};
pub use revocation::RevokeRequest;
pub use token::{
    DNS01_LABEL, HTTP01_PATH, Token, dns01_value, key_authorization, tls_alpn01_digest,
};
