use chancery_authority::proof::{FailureKind, ProofFailure};
use chancery_dial::{DialError, FailureClass, Refusal};

use crate::observations::Observations;

/// A failure before what was seen is joined to it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// Says that the failure came later than at the first URL.
    pub(crate) fn after_redirects(mut self, redirects: usize) -> Self {
        match redirects {
            0 => {}
            1 => self.detail.insert_str(0, "after a redirect, "),
            _ => self
                .detail
                .insert_str(0, &format!("after {redirects} redirects, ")),
        }
        self
    }

    pub(crate) fn with(self, seen: Observations) -> ProofFailure {
        ProofFailure {
            kind: self.kind,
            detail: self.detail,
            observations: seen.into_vec(),
        }
    }
}

impl From<DialError> for Fault {
    fn from(error: DialError) -> Self {
        let kind = match error.class() {
            FailureClass::Dns => FailureKind::Dns,
            FailureClass::Configuration | FailureClass::Connection => FailureKind::Connection,
            FailureClass::Tls => FailureKind::Tls,
            FailureClass::Response => FailureKind::IncorrectResponse,
        };
        let word = match &error {
            DialError::Refused {
                refusal: Refusal::Class(class),
                ..
            } => class.name().to_owned(),
            DialError::Refused {
                refusal: Refusal::OwnListener,
                address,
                ..
            } => address.ip().to_string(),
            // Nobody answered: the name's owner cannot mend that, but whoever runs this server can.
            DialError::NoAnswer { .. } => {
                let advice = "the servers in validation.resolvers must be reachable and answer";
                return Self::new(kind, format!("{error}; {advice}"));
            }
            _ => return Self::new(kind, error.to_string()),
        };
        Self::new(
            kind,
            format!("{error}; to permit it, add {word:?} to validation.allow"),
        )
    }
}

#[cfg(test)]
mod tests {
    use chancery_dial::AddressClass;

    use super::*;

    #[test]
    fn a_refusal_names_the_word_that_would_permit_it() {
        let refused = |refusal| {
            let address = "127.0.0.1:80".parse().expect("a socket address");
            Fault::from(DialError::Refused {
                host: "a.test".to_owned(),
                address,
                refusal,
            })
            .detail
        };
        assert_eq!(
            refused(Refusal::Class(AddressClass::Loopback)),
            "a.test resolves to 127.0.0.1, a loopback address, which this server may not dial; \
             to permit it, add \"loopback\" to validation.allow"
        );
        assert!(refused(Refusal::OwnListener).ends_with("add \"127.0.0.1\" to validation.allow"));
    }

    #[test]
    fn the_number_of_redirects_is_told() {
        let fault = |redirects| {
            Fault::new(FailureKind::Dns, "x")
                .after_redirects(redirects)
                .detail
        };
        assert_eq!(fault(0), "x");
        assert_eq!(fault(1), "after a redirect, x");
        assert_eq!(fault(3), "after 3 redirects, x");
    }
}
