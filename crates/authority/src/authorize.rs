//! Who may do what to what: one function, asked by everyone (design §4 law 5, failures B1, B2, B9, B11, D10).

use chancery_crypto::PublicKey;

use crate::account::{Account, AccountStatus};
use crate::authorization::Authorization;
use crate::certificate::Certificate;
use crate::id::AccountId;
use crate::order::Order;
use crate::refusal::Denied;

/// Who asks, as far as it was proven.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An account, by a signature with its key.
    Account(&'a Account),
    /// Whoever signed with this key, which belongs to no account here.
    Key(&'a PublicKey),
    /// A local user at the operator's socket, by the kernel's word.
    Operator {
        /// The user's number.
        uid: u32,
    },
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See it.
    Read,
    /// Change it in the ways its kind allows: answer challenges, finalize, update, deactivate.
    Write,
    /// Revoke it (certificates).
    Revoke,
}

/// What it is asked of.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// An account.
    Account(AccountId),
    /// An order.
    Order(&'a Order),
    /// An authorization with its challenges.
    Authorization(&'a Authorization),
    /// A certificate, with the public key in it.
    Certificate(&'a Certificate, &'a PublicKey),
}

/// Answers whether `subject` may do `action` to `object`. Whatever is not written here is refused.
///
/// # Errors
/// [`Denied`], which does not tell whether the object exists.
pub fn authorize(subject: Subject<'_>, action: Action, object: Object<'_>) -> Result<(), Denied> {
    match (subject, object) {
        (Subject::Account(account), object) => {
            match account.status {
                AccountStatus::Valid => {}
                AccountStatus::Deactivated | AccountStatus::Revoked => {
                    return Err(Denied::AccountInactive);
                }
            }
            let owner = match object {
                Object::Account(id) => id,
                Object::Order(order) => order.account,
                Object::Authorization(authorization) => authorization.account,
                Object::Certificate(certificate, _) => certificate.account,
            };
            if owner != account.id {
                return Err(Denied::NotYours);
            }
            match (object, action) {
                (Object::Certificate(..), Action::Read | Action::Revoke)
                | (
                    Object::Account(_) | Object::Order(_) | Object::Authorization(_),
                    Action::Read | Action::Write,
                ) => Ok(()),
                (Object::Certificate(..), Action::Write)
                | (
                    Object::Account(_) | Object::Order(_) | Object::Authorization(_),
                    Action::Revoke,
                ) => Err(Denied::NotAllowed),
            }
        }
        (Subject::Key(key), Object::Certificate(_, certified)) if key == certified => {
            match action {
                Action::Revoke => Ok(()),
                Action::Read | Action::Write => Err(Denied::NotAllowed),
            }
        }
        (
            Subject::Key(_),
            Object::Account(_)
            | Object::Order(_)
            | Object::Authorization(_)
            | Object::Certificate(..),
        ) => Err(Denied::NotYours),
        (Subject::Operator { .. }, object) => match (object, action) {
            (_, Action::Read) | (Object::Certificate(..), Action::Revoke) => Ok(()),
            (Object::Certificate(..), Action::Write)
            | (
                Object::Account(_) | Object::Order(_) | Object::Authorization(_),
                Action::Write | Action::Revoke,
            ) => Err(Denied::NotAllowed),
        },
    }
}
