//! A key of RSA that is too short to be believed, with which signatures can be made all the same.
//!
//! Good libraries do not sign with 1024 bits. A server has to refuse the key and not the signature, so the signature
//! must be right: this computes it by plain arithmetic, in a tenth of a second, with a key that everybody knows.

use chancery_crypto::sha256;
use chancery_jose::b64;
use serde_json::{Value, json};

/// Octets of the modulus.
const LEN: usize = 128;
/// Limbs of a number, least first.
const LIMBS: usize = 32;

const MODULUS: &str = "\
    ae3730a484ec89078b77e5c0e5d8f9d6efac8aa1c65ec5c198dda76f3586297c81579e772e93caa6\
    8101710ce77b2bcb613299dfa144865df13b1d1d49f1e6a3e150c04e0f54842bf6e55b72126250b3\
    75804e7952f297ed2a072241cc43fde35bbdc5fa239f2e7e753439c0ef8d7420c47bc3fbcc84a068\
    8eec3b8c847ecc5d";
const PRIVATE_EXPONENT: &str = "\
    2e43c1cb2ef191c24b2b5ffc460dc4eb6b62aabe236befa065f4170ed56bf78074e8cbd062b224d2\
    ead7732a361ee396730d79078650284eb24d3c8216ad02ce79cef12d9a92f892acea2048e62d759f\
    f56910c4ae93f3e91b230ef342b82a1136ed1f4d9a3b7e7734ca915e63838092a5b631cfcf1a7417\
    876f450565509391";

/// DigestInfo of SHA-256 before its digest (RFC 8017 §9.2).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

type Number = [u32; LIMBS];

/// The public half.
pub(super) fn jwk() -> Value {
    json!({ "kty": "RSA", "n": b64(&octets(MODULUS)), "e": "AQAB" })
}

/// RS256.
pub(super) fn sign(message: &[u8]) -> Vec<u8> {
    let digest = sha256(message);
    let padding = LEN - 3 - SHA256_INFO.len() - digest.len();
    let mut block = vec![0, 1];
    block.resize(2 + padding, 0xff);
    block.push(0);
    block.extend(SHA256_INFO);
    block.extend(digest);
    let modulus = number(&octets(MODULUS));
    let mut power = number(&[1]);
    for octet in octets(PRIVATE_EXPONENT) {
        for bit in (0..8).rev() {
            power = product(&power, &power, &modulus);
            if octet >> bit & 1 == 1 {
                power = product(&power, &number(&block), &modulus);
            }
        }
    }
    power
        .iter()
        .rev()
        .flat_map(|limb| limb.to_be_bytes())
        .collect()
}

/// By doubling and adding, so that no number is ever longer than the modulus and one bit.
fn product(a: &Number, b: &Number, modulus: &Number) -> Number {
    let mut sum = [0; LIMBS];
    for limb in a.iter().rev() {
        for bit in (0..32).rev() {
            sum = sum_of(&sum, &sum, modulus);
            if limb >> bit & 1 == 1 {
                sum = sum_of(&sum, b, modulus);
            }
        }
    }
    sum
}

fn sum_of(a: &Number, b: &Number, modulus: &Number) -> Number {
    let mut sum = [0; LIMBS];
    let mut carry = false;
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        let (half, first) = a.overflowing_add(*b);
        let (whole, second) = half.overflowing_add(u32::from(carry));
        *sum = whole;
        carry = first || second;
    }
    if carry || sum.iter().rev().ge(modulus.iter().rev()) {
        sum = difference(&sum, modulus);
    }
    sum
}

fn difference(a: &Number, b: &Number) -> Number {
    let mut rest = [0; LIMBS];
    let mut borrow = false;
    for ((rest, a), b) in rest.iter_mut().zip(a).zip(b) {
        let (half, first) = a.overflowing_sub(*b);
        let (whole, second) = half.overflowing_sub(u32::from(borrow));
        *rest = whole;
        borrow = first || second;
    }
    rest
}

/// From octets, greatest first.
fn number(octets: &[u8]) -> Number {
    let mut number = [0; LIMBS];
    for (limb, octets) in number.iter_mut().zip(octets.rchunks(4)) {
        *limb = octets
            .iter()
            .fold(0, |limb, octet| limb << 8 | u32::from(*octet));
    }
    number
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default();
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| pair.iter().fold(0, |octet, d| octet << 4 | digit(d)))
        .map(|octet| u8::try_from(octet).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_opens_to_what_was_signed() {
        let signature = number(&sign(b"message"));
        let modulus = number(&octets(MODULUS));
        let mut power = signature;
        for _ in 0..16 {
            power = product(&power, &power, &modulus);
        }
        power = product(&power, &signature, &modulus);
        let opened: Vec<u8> = power
            .iter()
            .rev()
            .flat_map(|limb| limb.to_be_bytes())
            .collect();
        assert_eq!(opened[..3], [0, 1, 0xff]);
        assert_eq!(opened[LEN - 32..], sha256(b"message"));
    }
}
