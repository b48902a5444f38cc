use std::fmt;

use crate::{JwsError, b64, unb64};

/// The SHA-256 thumbprint of a JWK (RFC 7638): the name of an account key, and half of every key authorization.
///
/// Displayed as base64url without padding, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Reads the base64url text.
    ///
    /// # Errors
    /// [`JwsError::Base64Url`] for anything but 32 bytes of strict base64url.
    pub fn parse(text: &str) -> Result<Self, JwsError> {
        unb64(text)?
            .try_into()
            .map(Self)
            .map_err(|_| JwsError::Base64Url)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_back_and_nothing_shorter() {
        let thumbprint = Thumbprint([0xa5; 32]);
        let text = thumbprint.to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(Thumbprint::parse(&text), Ok(thumbprint));
        assert_eq!(Thumbprint::parse(&b64(&[0; 31])), Err(JwsError::Base64Url));
        assert_eq!(
            Thumbprint::parse(&format!("{text}=")),
            Err(JwsError::Base64Url)
        );
    }
}
