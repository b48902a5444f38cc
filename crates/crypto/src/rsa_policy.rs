use crate::CryptoError;

/// Modulus sizes that are accepted, in bits. Below 2048 is breakable; above 4096 a verification costs milliseconds.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Trial division goes to this prime, as Boulder's does.
const SMALL_PRIME_MAX: u32 = 751;

/// Refuses RSA keys that are too small, too large to verify cheaply, or broken in ways that are cheap to see.
///
/// `modulus` and `exponent` are big-endian without leading zeros.
pub(crate) fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), CryptoError> {
    let leading = modulus.first().copied().unwrap_or(0);
    if leading == 0 || exponent.first().copied().unwrap_or(0) == 0 {
        return Err(CryptoError::MalformedKey { kind: "RSA" });
    }
    // The size comes first: what follows costs time in proportion to it.
    let unused_bits = usize::try_from(leading.leading_zeros()).unwrap_or(8);
    let bits = modulus.len().saturating_mul(8).saturating_sub(unused_bits);
    if !MODULUS_BITS.contains(&bits) {
        return Err(CryptoError::RsaSize { bits });
    }
    if exponent.len() > 4 {
        return Err(CryptoError::RsaExponent);
    }
    let exponent = exponent
        .iter()
        .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if exponent < 65537 || exponent % 2 == 0 {
        return Err(CryptoError::RsaExponent);
    }
    match small_factor(modulus) {
        Some(factor) => Err(CryptoError::RsaSmallFactor { factor }),
        None => Ok(()),
    }
}

/// The smallest prime up to [`SMALL_PRIME_MAX`] that divides the number. One long division serves several primes: by
/// their product, as far as it fits in 32 bits.
fn small_factor(modulus: &[u8]) -> Option<u32> {
    let mut primes = small_primes().peekable();
    while let Some(first) = primes.next() {
        let mut group = vec![first];
        let mut product = first;
        while let Some(next) = primes.peek().copied()
            && let Some(larger) = product.checked_mul(next)
        {
            product = larger;
            group.push(next);
            primes.next();
        }
        let rest = remainder(modulus, product);
        if let Some(factor) = group.into_iter().find(|prime| rest.is_multiple_of(*prime)) {
            return Some(factor);
        }
    }
    None
}

fn small_primes() -> impl Iterator<Item = u32> {
    static PRIMES: std::sync::LazyLock<Vec<u32>> = std::sync::LazyLock::new(|| {
        let is_prime = |n: &u32| {
            (2..*n)
                .take_while(|d| d * d <= *n)
                .all(|d| !n.is_multiple_of(d))
        };
        (2..=SMALL_PRIME_MAX).filter(is_prime).collect()
    });
    PRIMES.iter().copied()
}

/// The remainder of a big-endian number, four octets a step.
fn remainder(modulus: &[u8], divisor: u32) -> u32 {
    let divisor = u64::from(divisor);
    let (head, words) = modulus.split_at(modulus.len() % 4);
    let mut rest = head.iter().fold(0_u64, |rest, byte| {
        ((rest << 8) | u64::from(*byte)) % divisor
    });
    for word in words.chunks_exact(4) {
        let word = word
            .iter()
            .fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
        rest = ((rest << 32) | word) % divisor;
    }
    u32::try_from(rest).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const F4: [u8; 3] = [1, 0, 1];

    fn modulus(len: usize, last: u8) -> Vec<u8> {
        let mut modulus = vec![0; len];
        if let Some(first) = modulus.first_mut() {
            *first = 0x80;
        }
        if let Some(end) = modulus.last_mut() {
            *end = last;
        }
        modulus
    }

    #[test]
    fn sizes_outside_2048_to_4096_bits_are_refused() {
        assert_eq!(
            check(&modulus(128, 1), &F4),
            Err(CryptoError::RsaSize { bits: 1024 })
        );
        assert_eq!(
            check(&modulus(2048, 1), &F4),
            Err(CryptoError::RsaSize { bits: 16384 })
        );
        let mut short = modulus(256, 1);
        short[0] = 0x40;
        assert_eq!(check(&short, &F4), Err(CryptoError::RsaSize { bits: 2047 }));
    }

    #[test]
    fn exponents_other_than_odd_32_bit_numbers_from_f4_are_refused() {
        let n = modulus(256, 1);
        for bad in [
            &[1][..],
            &[3],
            &[1, 0, 0],
            &[1, 0, 2],
            &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(check(&n, bad), Err(CryptoError::RsaExponent), "{bad:?}");
        }
        assert_eq!(
            check(&n, &[]),
            Err(CryptoError::MalformedKey { kind: "RSA" })
        );
        assert_eq!(
            check(&n, &[0, 1, 0, 1]),
            Err(CryptoError::MalformedKey { kind: "RSA" })
        );
    }

    #[test]
    fn an_even_modulus_and_one_with_a_small_factor_are_refused() {
        assert_eq!(
            check(&modulus(256, 2), &F4),
            Err(CryptoError::RsaSmallFactor { factor: 2 })
        );
        // 2^2047 + 1 is divisible by 3, as every odd power of two plus one is.
        assert_eq!(
            check(&modulus(256, 1), &F4),
            Err(CryptoError::RsaSmallFactor { factor: 3 })
        );
    }

    #[test]
    fn the_prime_table_is_right() {
        let primes: Vec<u32> = small_primes().collect();
        assert_eq!(primes.len(), 133);
        assert_eq!(primes.last(), Some(&751));
    }
}
