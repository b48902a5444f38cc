//! Who may do what to what: one function, asked by everyone (design §4 law 5, failures B1, B2, B9, B11, D10).

use chancery_crypto::PublicKey;

use crate::account::{Account, AccountStatus};
use crate::authorization::Authorization;
use crate::certificate::Certificate;
use crate::holding::Holding;
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
    /// An account that has proven every name of a certificate which another account obtained.
    Holder(Holding<'a>),
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
        (Subject::Holder(holding), Object::Certificate(certificate, _))
            if holding.certificate() == certificate.id =>
        {
            match (holding.account().status, action) {
                (AccountStatus::Deactivated | AccountStatus::Revoked, _) => {
                    Err(Denied::AccountInactive)
                }
                (AccountStatus::Valid, Action::Revoke) => Ok(()),
                (AccountStatus::Valid, Action::Read | Action::Write) => Err(Denied::NotYours),
            }
        }
        (Subject::Key(key), Object::Certificate(_, certified)) if key == certified => {
            match action {
                Action::Revoke => Ok(()),
                Action::Read | Action::Write => Err(Denied::NotAllowed),
            }
        }
        (
            Subject::Key(_) | Subject::Holder(_),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, names};
    use chancery_crypto::{Curve, KeyKind, PrivateKey};

    const ACTIONS: [Action; 3] = [Action::Read, Action::Write, Action::Revoke];

    fn shown(answer: Result<(), Denied>) -> char {
        match answer {
            Ok(()) => '+',
            Err(Denied::NotYours) => 'y',
            Err(Denied::NotAllowed) => 'n',
            Err(Denied::AccountInactive) => 'i',
        }
    }

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates")
    }

    /// Every subject, every object, the three actions in the order read, write, revoke. `+` may; `n` may never; `y` is told
    /// that there is no such thing; `i` may do nothing any more. Failures B9, B11, D10.
    #[test]
    fn b9_b11_d10_who_may_do_what_is_this_table_and_nothing_else() {
        let mut world = World::new(1);
        let (owner, stranger) = (world.account().1, world.account().1);
        let ended = |status| Account {
            status,
            ..owner.clone()
        };
        let (deactivated, revoked) = (
            ended(AccountStatus::Deactivated),
            ended(AccountStatus::Revoked),
        );
        let (certified, other) = (key(), key());
        let issued =
            world.issue_with_key(&certified, owner.id, names(&["a.test"]).expect("a name"));
        let objects = [
            Object::Account(owner.id),
            Object::Order(&issued.order),
            Object::Authorization(&issued.authorizations[0]),
            Object::Certificate(&issued.certificate, certified.public()),
        ];
        for (who, subject, expected) in [
            (
                "owner",
                Subject::Account(&owner),
                ["++n", "++n", "++n", "+n+"],
            ),
            (
                "stranger",
                Subject::Account(&stranger),
                ["yyy", "yyy", "yyy", "yyy"],
            ),
            (
                "deactivated owner",
                Subject::Account(&deactivated),
                ["iii", "iii", "iii", "iii"],
            ),
            (
                "revoked owner",
                Subject::Account(&revoked),
                ["iii", "iii", "iii", "iii"],
            ),
            (
                "certificate's key",
                Subject::Key(certified.public()),
                ["yyy", "yyy", "yyy", "nn+"],
            ),
            (
                "another key",
                Subject::Key(other.public()),
                ["yyy", "yyy", "yyy", "yyy"],
            ),
            (
                "operator",
                Subject::Operator { uid: 0 },
                ["+nn", "+nn", "+nn", "+n+"],
            ),
        ] {
            for (object, expected) in objects.into_iter().zip(expected) {
                let seen: String = ACTIONS
                    .into_iter()
                    .map(|action| shown(authorize(subject, action, object)))
                    .collect();
                assert_eq!(seen, expected, "{who} of {object:?}");
            }
        }
    }

    /// Failures B9: whether something exists cannot be told from the answer.
    #[test]
    fn b9_the_refusal_of_what_is_anothers_reads_like_that_of_what_is_not_there() {
        let mut world = World::new(1);
        let stranger = world.account().1;
        let issued = world.issue(AccountId(7), names(&["a.test"]).expect("a name"));
        let refused = authorize(
            Subject::Account(&stranger),
            Action::Read,
            Object::Order(&issued.order),
        );
        let text = refused.expect_err("refuses").to_string();
        assert_eq!(text, "no such resource for this account");
        assert_eq!(text, Denied::NotYours.to_string());
    }
}
