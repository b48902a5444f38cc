use std::fmt;

use chancery_crypto::sha256;
use chancery_jose::{Thumbprint, b64};

/// The path below which http-01 answers stand; the token follows (RFC 8555 §8.3).
pub const HTTP01_PATH: &str = "/.well-known/acme-challenge/";

/// The label in front of the name at which dns-01 answers stand (RFC 8555 §8.4).
pub const DNS01_LABEL: &str = "_acme-challenge";

/// Characters that 128 bits take in base64url: the least a token may have (RFC 8555 §8.3).
const CHARS_MIN: usize = 22;

/// No server is known to send more than 64.
const CHARS_MAX: usize = 128;

/// A challenge's token: base64url characters only, so that it is safe as a file name and in a page (RFC 8555 §8.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// A token of 256 random bits.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(b64(&random))
    }

    /// Reads a token that a server sent. `None` for characters outside base64url, fewer than 22 (128 bits), or
    /// more than 128.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((CHARS_MIN..=CHARS_MAX).contains(&text.len()) && text.bytes().all(alphabet))
            .then(|| Self(text.to_owned()))
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key authorization (RFC 8555 §8.1): the body of an http-01 answer.
#[must_use]
pub fn key_authorization(token: &Token, account_key: &Thumbprint) -> String {
    format!("{token}.{account_key}")
}

/// The TXT value of a dns-01 answer (RFC 8555 §8.4).
#[must_use]
pub fn dns01_value(key_authorization: &str) -> String {
    b64(&sha256(key_authorization.as_bytes()))
}

/// What acmeIdentifier of a tls-alpn-01 certificate holds (RFC 8737 §3): SHA-256 of the key authorization.
#[must_use]
pub fn tls_alpn01_digest(key_authorization: &str) -> [u8; 32] {
    sha256(key_authorization.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 8555 §8.1 and RFC 7638 §3.1.
    const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
    const THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    #[test]
    fn a_key_authorization_is_token_dot_thumbprint() {
        let token = Token::parse(TOKEN).expect("a token");
        let thumbprint = Thumbprint::parse(THUMBPRINT).expect("a thumbprint");
        assert_eq!(
            key_authorization(&token, &thumbprint),
            format!("{TOKEN}.{THUMBPRINT}")
        );
    }

    #[test]
    fn the_txt_value_is_the_digest_of_the_key_authorization() {
        // Computed with another program: printf '%s' TEXT | openssl dgst -sha256 -binary | basenc --base64url
        let value = dns01_value(&format!("{TOKEN}.{THUMBPRINT}"));
        assert_eq!(value, "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8");
    }

    #[test]
    fn a_token_is_long_enough_and_safe_as_a_file_name() {
        assert_eq!(Token::new([0; 32]).as_str().len(), 43);
        assert!(Token::parse(&"a".repeat(22)).is_some());
        assert!(Token::parse(&"a".repeat(128)).is_some());
        let long = "a".repeat(129);
        let short = "a".repeat(21);
        for bad in [
            "",
            &short,
            &long,
            "../../../../../etc/passwd",
            "aaaaaaaaaaaaaaaaaaaaaa/b",
            "aaaaaaaaaaaaaaaaaaaaaa.html",
            "aaaaaaaaaaaaaaaaaaaaaa=",
            "aaaaaaaaaaaaaaaaaaaaaa\n",
            "aaaaaaaaaaaaaaaaaaaaaa\0",
            "<script>alert(1)</script>",
            "éééééééééééé",
        ] {
            assert_eq!(Token::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_random_token_is_read_back(random: [u8; 32]) {
            let token = Token::new(random);
            prop_assert_eq!(Token::parse(token.as_str()), Some(token));
        }
    }
}
