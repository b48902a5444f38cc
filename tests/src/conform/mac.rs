//! HMAC-SHA-256 (RFC 2104), for external account binding and for what an attacker would forge.

use chancery_crypto::sha256;

const BLOCK: usize = 64;

/// The tag of a message under a secret.
pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let digest;
    let short: &[u8] = if secret.len() > BLOCK {
        digest = sha256(secret);
        &digest
    } else {
        secret
    };
    let mut block = [0; BLOCK];
    for (octet, secret) in block.iter_mut().zip(short) {
        *octet = *secret;
    }
    let pad = |with: u8| block.map(|octet| octet ^ with);
    sha256(&[&pad(0x5c)[..], &sha256(&[&pad(0x36)[..], message].concat())].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 2 and 6.
    #[test]
    fn tags_are_those_of_the_published_cases() {
        let hex = |tag: [u8; 32]| {
            tag.iter()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .concat()
        };
        assert_eq!(
            hex(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac_sha256(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
