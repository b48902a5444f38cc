use minicbor::{Decode, Encode};

/// Why a certificate was revoked: the closed set of reasons that this CA gives (RFC 5280 §5.3.1).
///
/// Left out are those that can be taken back (certificateHold, removeFromCRL) and those of other kinds of
/// certificate (cACompromise, aACompromise). Stored by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum RevocationReason {
    /// No reason given; lists then carry no reasonCode.
    #[n(0)]
    Unspecified,
    /// Somebody else has, or may have, the key.
    #[n(1)]
    KeyCompromise,
    /// The subject's names or other facts in the certificate have changed.
    #[n(3)]
    AffiliationChanged,
    /// Another certificate takes its place.
    #[n(4)]
    Superseded,
    /// The service has ended.
    #[n(5)]
    CessationOfOperation,
    /// The subject lost the right to it.
    #[n(9)]
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The reason with this CRLReason code, if it is one of the set.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        u64::try_from(code).ok().and_then(Self::from_u64)
    }

    pub(crate) fn from_u64(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| u64::from(reason.code()) == code)
    }

    /// The reason with this name, as [`RevocationReason::name`] writes it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The CRLReason code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The name in RFC 5280.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_only_the_closed_set_of_reasons_exists() {
        for reason in [2, 6, 7, 8, 10, -1, 256, i64::MIN, i64::MAX, 257] {
            assert_eq!(RevocationReason::from_code(reason), None, "{reason}");
        }
        let accepted: Vec<i64> = (-300..300)
            .filter(|code| RevocationReason::from_code(*code).is_some())
            .collect();
        assert_eq!(accepted, [0, 1, 3, 4, 5, 9]);
    }

    #[test]
    fn codes_names_and_stored_bytes_come_back() {
        for reason in RevocationReason::ALL {
            assert_eq!(
                RevocationReason::from_code(reason.code().into()),
                Some(reason)
            );
            assert_eq!(RevocationReason::from_name(reason.name()), Some(reason));
            let stored = minicbor::to_vec(reason).expect("a Vec takes every byte");
            assert_eq!(stored, [reason.code()], "stored by its number");
            assert_eq!(
                minicbor::decode::<RevocationReason>(&stored).ok(),
                Some(reason)
            );
        }
        assert_eq!(RevocationReason::from_name("certificateHold"), None);
    }
}
