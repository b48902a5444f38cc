use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::JwsError;

/// Bytes as base64url without padding (RFC 7515 §2).
#[must_use]
pub fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url strictly, so that every byte string has exactly one text: no padding, no white space, no `+` or
/// `/`, and the bits of the last character that carry nothing are zero.
///
/// # Errors
/// [`JwsError::Base64Url`].
pub fn unb64(text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JwsError::Base64Url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b6_base64url_has_one_text_for_each_value() {
        assert_eq!(b64(&[0xfb, 0xff]), "-_8");
        assert_eq!(unb64("-_8"), Ok(vec![0xfb, 0xff]));
        assert_eq!(unb64(""), Ok(vec![]));
        for bad in [
            "-_8=", "-_9", "+/8", "-_ 8", "-_8\n", "A", "AA==", "é", "-_8.", "\0AAA",
        ] {
            assert_eq!(unb64(bad), Err(JwsError::Base64Url), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back_the_same(text in "[A-Za-z0-9_=+/-]{0,12}") {
            if let Ok(bytes) = unb64(&text) {
                prop_assert_eq!(b64(&bytes), text);
            }
        }

        #[test]
        fn what_is_written_is_read_back(bytes: Vec<u8>) {
            prop_assert_eq!(unb64(&b64(&bytes)), Ok(bytes));
        }
    }
}
