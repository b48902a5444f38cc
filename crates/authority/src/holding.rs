//! Who may revoke what another account obtained: whoever has proven all its names too (RFC 8555 §7.6).

use chancery_pki::{San, UnixTime};

use crate::account::Account;
use crate::authorization::Authorization;
use crate::certificate::Certificate;
use crate::id::CertificateId;

/// An account that holds a valid authorization for each name of one certificate. Only [`Holding::of`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    account: &'a Account,
    certificate: CertificateId,
}

impl<'a> Holding<'a> {
    /// Looks whether `authorizations` cover every one of the certificate's names, which are `names`, at `now`.
    #[must_use]
    pub fn of(
        now: UnixTime,
        account: &'a Account,
        certificate: &Certificate,
        names: &[San],
        authorizations: &[Authorization],
    ) -> Option<Self> {
        let held = |name: &San| {
            authorizations.iter().any(|it| {
                it.account == account.id && it.identifier == *name && it.evidence_at(now).is_some()
            })
        };
        (!names.is_empty() && names.iter().all(held)).then_some(Self {
            account,
            certificate: certificate.id,
        })
    }

    /// Who holds.
    #[must_use]
    pub fn account(self) -> &'a Account {
        self.account
    }

    /// The certificate that it is about.
    #[must_use]
    pub fn certificate(self) -> CertificateId {
        self.certificate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization::AuthorizationState;
    use crate::id::AccountId;
    use crate::world::{World, names};

    #[test]
    fn every_name_must_be_held_by_that_account_now() {
        let mut world = World::new(1);
        let holder = world.account().1;
        let both = names(&["a.test", "b.test"]).expect("names");
        let theirs = world.issue(AccountId(1), both.clone());
        let own = world.issue(holder.id, both.clone()).authorizations;
        let names: Vec<San> = both.into_iter().collect();
        let now = world.now;
        let holds = |now, held: &[Authorization]| {
            Holding::of(now, &holder, &theirs.certificate, &names, held).is_some()
        };
        assert!(holds(now, &own));
        assert!(!holds(now, &own[..1]), "one name is missing");
        assert!(!holds(now, &theirs.authorizations), "they are another's");
        assert!(!holds(own[0].expires, &own), "they are over");
        let mut given_up = own.clone();
        given_up[1].state = AuthorizationState::Deactivated;
        assert!(!holds(now, &given_up));
        let none = Holding::of(now, &holder, &theirs.certificate, &[], &own);
        assert!(none.is_none(), "no name is no proof");
    }
}
