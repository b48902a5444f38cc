use std::fmt;

/// One row per type: variant, registered name, usual HTTP status, meaning.
macro_rules! error_types {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal, $status:literal;)+) => {
        /// The registered error types (RFC 8555 §6.7 and the IANA registry it opened).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorType {
            $($(#[$doc])+ $variant,)+
        }

        impl ErrorType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The registered name, without the namespace.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The type as it stands in a problem document.
            #[must_use]
            pub fn urn(self) -> &'static str {
                match self { $(Self::$variant => concat!("urn:ietf:params:acme:error:", $name),)+ }
            }

            /// The HTTP status that goes with it where nothing else is said.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

error_types! {
    /// No account has this key, or none this URL.
    AccountDoesNotExist = "accountDoesNotExist", 400;
    /// The certificate is revoked already.
    AlreadyRevoked = "alreadyRevoked", 400;
    /// The CSR cannot be used for this order.
    BadCsr = "badCSR", 400;
    /// The nonce was spent, forgotten or never handed out; the answer carries a new one.
    BadNonce = "badNonce", 400;
    /// The key is refused.
    BadPublicKey = "badPublicKey", 400;
    /// The reason code is not one the server accepts.
    BadRevocationReason = "badRevocationReason", 400;
    /// The algorithm is not one the server accepts; the answer lists those.
    BadSignatureAlgorithm = "badSignatureAlgorithm", 400;
    /// CAA records forbid it.
    Caa = "caa", 403;
    /// Several things are wrong; see the subproblems.
    Compound = "compound", 403;
    /// The validation target could not be reached.
    Connection = "connection", 400;
    /// A DNS look-up failed during validation.
    Dns = "dns", 400;
    /// An external account binding is needed.
    ExternalAccountRequired = "externalAccountRequired", 403;
    /// The answer to the challenge was found and is wrong.
    IncorrectResponse = "incorrectResponse", 403;
    /// A contact is not a usable address.
    InvalidContact = "invalidContact", 400;
    /// The request is not what RFC 8555 says it is.
    Malformed = "malformed", 400;
    /// The order is in another state than this needs.
    OrderNotReady = "orderNotReady", 403;
    /// Too much at once.
    RateLimited = "rateLimited", 429;
    /// The server does not certify this name.
    RejectedIdentifier = "rejectedIdentifier", 400;
    /// The server failed.
    ServerInternal = "serverInternal", 500;
    /// TLS failed during validation.
    Tls = "tls", 400;
    /// The client may not do this.
    Unauthorized = "unauthorized", 403;
    /// A contact has a scheme that the server does not use.
    UnsupportedContact = "unsupportedContact", 400;
    /// An identifier is of a type that the server does not know.
    UnsupportedIdentifier = "unsupportedIdentifier", 400;
    /// A person must do something first, at the `instance` URL.
    UserActionRequired = "userActionRequired", 403;
    /// The certificate has been replaced by another order (RFC 9773 §5).
    AlreadyReplaced = "alreadyReplaced", 409;
    /// The server has no such profile (draft-ietf-acme-profiles).
    InvalidProfile = "invalidProfile", 400;
}

impl ErrorType {
    /// Reads a type from a problem document; `None` for one that is not known here.
    #[must_use]
    pub fn parse(urn: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.urn() == urn)
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_rfc_8555_and_two_more() {
        let names: Vec<&str> = ErrorType::ALL.iter().map(|kind| kind.name()).collect();
        let expected = "accountDoesNotExist alreadyRevoked badCSR badNonce badPublicKey badRevocationReason \
            badSignatureAlgorithm caa compound connection dns externalAccountRequired incorrectResponse invalidContact \
            malformed orderNotReady rateLimited rejectedIdentifier serverInternal tls unauthorized unsupportedContact \
            unsupportedIdentifier userActionRequired alreadyReplaced invalidProfile";
        assert_eq!(names, expected.split(' ').collect::<Vec<&str>>());
    }

    #[test]
    fn every_type_is_read_back_from_its_urn_and_is_an_error_of_http() {
        for kind in ErrorType::ALL {
            assert_eq!(ErrorType::parse(kind.urn()), Some(*kind));
            assert!((400..600).contains(&kind.http_status()));
        }
        assert_eq!(ErrorType::BadCsr.urn(), "urn:ietf:params:acme:error:badCSR");
        assert_eq!(ErrorType::parse("badCSR"), None);
        assert_eq!(ErrorType::parse("urn:ietf:params:acme:error:badCsr"), None);
    }
}
