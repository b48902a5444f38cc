//! Profiles: what the certificates of a kind contain, as one value with one hash.

use chancery_crypto::{Curve, Digest32, KeyParts, PublicKey, sha256};

use crate::time::UnixTime;

/// The version of the encoding that [`Profile::encode`] writes, the first item of it.
const ENCODING_VERSION: u8 = 1;
const DAY_SECS: u64 = 86_400;
const NAME_OCTETS_MAX: usize = 64;
/// Ten years: no leaf of a CA that renews by itself needs more, and a typing error is likelier.
const LIFETIME_SECS_MAX: u64 = 3_653 * DAY_SECS;
/// A day covers any clock that is set by hand; more would only hide a clock that is wrong.
const BACKDATE_SECS_MAX: u64 = DAY_SECS;
/// 1000 names make a certificate of about 30 KiB, which TLS stacks begin to refuse.
const NAMES_MAX: u16 = 1000;

/// What the certificates of a kind contain and how long they live.
///
/// Its encoding is canonical: equal profiles give equal bytes, and [`Profile::hash`] stands for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name that clients ask for: 1 to 64 lower-case letters, digits, hyphens and underscores.
    pub name: String,
    /// Seconds from notBefore to notAfter, both included (RFC 5280 §4.1.2.5).
    pub lifetime_secs: u64,
    /// Seconds that notBefore lies in the past, for clients whose clock is behind.
    pub backdate_secs: u64,
    /// The purposes in extKeyUsage; a set, in any order.
    pub ext_key_usages: Vec<ExtKeyUsage>,
    /// The kinds of key that may be certified; a set, in any order.
    pub keys: Vec<KeyClass>,
    /// Names in one certificate at most.
    pub names_max: u16,
}

/// A purpose in extKeyUsage (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtKeyUsage {
    /// id-kp-serverAuth
    ServerAuth,
    /// id-kp-clientAuth
    ClientAuth,
}

/// A kind of subject key, as profiles tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyClass {
    /// ECDSA on P-256
    P256,
    /// ECDSA on P-384
    P384,
    /// ECDSA on P-521
    P521,
    /// Ed25519
    Ed25519,
    /// RSA of any accepted size
    Rsa,
}

/// A profile that cannot be used, or bytes that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A name with other characters, empty, or too long.
    #[error(
        "the profile's name is not 1 to 64 lower-case letters, digits, hyphens and underscores"
    )]
    Name,
    /// A lifetime of nothing, or of more than ten years.
    #[error("the profile's lifetime is {secs} seconds; 1 to {LIFETIME_SECS_MAX} are allowed")]
    Lifetime {
        /// Seconds seen.
        secs: u64,
    },
    /// Certificates would be issued expired, or the clock be hidden.
    #[error(
        "the profile backdates by {secs} seconds; less than its lifetime and at most {BACKDATE_SECS_MAX} are allowed"
    )]
    Backdate {
        /// Seconds seen.
        secs: u64,
    },
    /// No purpose: such a certificate would be good for everything.
    #[error("the profile has no extended key usage; name at least one")]
    NoUsage,
    /// No kind of key.
    #[error("the profile allows no kind of key; name at least one")]
    NoKeys,
    /// A count of names outside 1 to 1000.
    #[error("the profile allows {count} names; 1 to {NAMES_MAX} are possible")]
    Names {
        /// Count seen.
        count: u16,
    },
    /// Stored bytes that this version did not write.
    #[error("the bytes are not the encoding of a profile")]
    Encoding,
}

/// A validity that a request asks for, as far as it does (RFC 8555 §7.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedValidity {
    /// When it shall begin.
    pub not_before: Option<UnixTime>,
    /// When it shall end.
    pub not_after: Option<UnixTime>,
}

/// Why a validity that was asked for is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNarrower {
    /// It has no second, or none that is still to come.
    #[error("the validity that was asked for is over or empty")]
    Empty,
    /// It begins before certificates that are issued now.
    #[error("the profile allows no validity before {}", .earliest.to_rfc3339())]
    TooEarly {
        /// The first second that is possible.
        earliest: UnixTime,
    },
    /// The profile ends earlier.
    #[error("the profile allows no validity beyond {}", .latest.to_rfc3339())]
    TooLong {
        /// The last second that is possible.
        latest: UnixTime,
    },
}

impl Profile {
    /// The default: a TLS server certificate for 47 days, backdated by a minute, with any key that the key policy accepts.
    #[must_use]
    pub fn server(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            lifetime_secs: 47 * DAY_SECS,
            backdate_secs: 60,
            ext_key_usages: vec![ExtKeyUsage::ServerAuth],
            keys: KeyClass::ALL.to_vec(),
            names_max: 100,
        }
    }

    /// Checks every field against its limits.
    ///
    /// # Errors
    /// The first [`ProfileError`] found.
    pub fn check(&self) -> Result<(), ProfileError> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        if !(1..=NAME_OCTETS_MAX).contains(&self.name.len()) || !self.name.bytes().all(allowed) {
            return Err(ProfileError::Name);
        }
        if !(1..=LIFETIME_SECS_MAX).contains(&self.lifetime_secs) {
            return Err(ProfileError::Lifetime {
                secs: self.lifetime_secs,
            });
        }
        if self.backdate_secs >= self.lifetime_secs || self.backdate_secs > BACKDATE_SECS_MAX {
            return Err(ProfileError::Backdate {
                secs: self.backdate_secs,
            });
        }
        if self.ext_key_usages.is_empty() {
            return Err(ProfileError::NoUsage);
        }
        if self.keys.is_empty() {
            return Err(ProfileError::NoKeys);
        }
        if !(1..=NAMES_MAX).contains(&self.names_max) {
            return Err(ProfileError::Names {
                count: self.names_max,
            });
        }
        Ok(())
    }

    /// notBefore and notAfter of a certificate issued now. The second of notAfter belongs to the lifetime, so it
    /// lies one second less than the lifetime after notBefore (RFC 5280 §4.1.2.5).
    #[must_use]
    pub fn validity(&self, now: UnixTime) -> (UnixTime, UnixTime) {
        let not_before = now.minus(self.backdate_secs);
        (
            not_before,
            not_before.plus(self.lifetime_secs.saturating_sub(1)),
        )
    }

    /// Whether a validity may be asked for now. A certificate that is issued later has it all the same.
    ///
    /// # Errors
    /// [`NotNarrower`].
    pub fn check_asked(&self, now: UnixTime, asked: AskedValidity) -> Result<(), NotNarrower> {
        let (earliest, _) = self.validity(now);
        if asked.not_before.is_some_and(|begin| begin < earliest) {
            return Err(NotNarrower::TooEarly { earliest });
        }
        self.validity_within(now, asked).map(drop)
    }

    /// The validity of a certificate issued now, narrowed to what was asked for. It never becomes wider: what would
    /// end later or last longer than [`Profile::validity`] says is refused, not cut.
    ///
    /// # Errors
    /// [`NotNarrower`].
    pub fn validity_within(
        &self,
        now: UnixTime,
        asked: AskedValidity,
    ) -> Result<(UnixTime, UnixTime), NotNarrower> {
        let (earliest, latest) = self.validity(now);
        if asked == AskedValidity::default() {
            return Ok((earliest, latest));
        }
        let not_before = asked.not_before.unwrap_or(earliest);
        let lifetime_secs = self.lifetime_secs.saturating_sub(1);
        let natural_end = not_before.plus(lifetime_secs).min(latest);
        let not_after = asked.not_after.unwrap_or(natural_end);
        if not_before >= not_after || not_after <= now {
            return Err(NotNarrower::Empty);
        }
        if not_before.plus(lifetime_secs) < not_after || not_after > latest {
            return Err(NotNarrower::TooLong { latest });
        }
        Ok((not_before, not_after))
    }

    /// Whether this profile certifies keys of this kind.
    #[must_use]
    pub fn allows_key(&self, key: &PublicKey) -> bool {
        self.keys.contains(&KeyClass::of(key))
    }

    /// The canonical CBOR encoding: one array, sets sorted and without repetition.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("a Vec takes every byte")
    }

    /// Reads what [`Profile::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`ProfileError::Encoding`], or what [`Profile::check`] says.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let profile: Self = minicbor::decode(bytes).map_err(|_| ProfileError::Encoding)?;
        profile.check()?;
        // Two encodings of one profile would have two hashes.
        if profile.encode() == bytes {
            Ok(profile)
        } else {
            Err(ProfileError::Encoding)
        }
    }

    /// SHA-256 of the encoding: the name of exactly this profile.
    #[must_use]
    pub fn hash(&self) -> Digest32 {
        sha256(&self.encode())
    }
}

impl ExtKeyUsage {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ServerAuth, Self::ClientAuth];

    /// The name in RFC 5280 and in configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::ServerAuth => 1,
            Self::ClientAuth => 2,
        }
    }
}

impl KeyClass {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::P256, Self::P384, Self::P521, Self::Ed25519, Self::Rsa];

    /// The class of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        match key.parts() {
            KeyParts::Ec {
                curve: Curve::P256, ..
            } => Self::P256,
            KeyParts::Ec {
                curve: Curve::P384, ..
            } => Self::P384,
            KeyParts::Ec {
                curve: Curve::P521, ..
            } => Self::P521,
            KeyParts::Ed25519(_) => Self::Ed25519,
            KeyParts::Rsa { .. } => Self::Rsa,
        }
    }

    /// The name in configuration and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::P256 => 1,
            Self::P384 => 2,
            Self::P521 => 3,
            Self::Ed25519 => 4,
            Self::Rsa => 5,
        }
    }
}

/// The codes of a set, ascending and once each.
fn codes<T: Copy>(set: &[T], code: impl Fn(T) -> u8) -> Vec<u8> {
    let mut codes: Vec<u8> = set.iter().map(|item| code(*item)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The set that a string of codes stands for.
fn set<T: Copy>(
    codes: &[u8],
    all: &[T],
    code: impl Fn(T) -> u8,
) -> Result<Vec<T>, minicbor::decode::Error> {
    let item = |wanted: &u8| all.iter().copied().find(|item| code(*item) == *wanted);
    let items: Option<Vec<T>> = codes.iter().map(item).collect();
    items.ok_or_else(|| minicbor::decode::Error::message("an unknown code in a profile"))
}

impl<C> minicbor::Encode<C> for Profile {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(7)?.u8(ENCODING_VERSION)?.str(&self.name)?;
        e.u64(self.lifetime_secs)?.u64(self.backdate_secs)?;
        e.bytes(&codes(&self.ext_key_usages, ExtKeyUsage::code))?;
        e.bytes(&codes(&self.keys, KeyClass::code))?;
        e.u16(self.names_max)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Profile {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(7) || d.u8()? != ENCODING_VERSION {
            return Err(minicbor::decode::Error::message(
                "a profile of another version",
            ));
        }
        Ok(Self {
            name: d.str()?.to_owned(),
            lifetime_secs: d.u64()?,
            backdate_secs: d.u64()?,
            ext_key_usages: set(d.bytes()?, &ExtKeyUsage::ALL, ExtKeyUsage::code)?,
            keys: set(d.bytes()?, &KeyClass::ALL, KeyClass::code)?,
            names_max: d.u16()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{KeyKind, PrivateKey};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_is_within_its_own_limits() {
        let profile = Profile::server("server");
        assert_eq!(profile.check(), Ok(()));
        assert_eq!(profile.lifetime_secs, 4_060_800);
        let (not_before, not_after) = profile.validity(UnixTime(1_000_000));
        assert_eq!(not_before, UnixTime(999_940));
        assert_eq!(
            not_before.seconds_until(not_after) + 1,
            4_060_800,
            "A4: the last second counts"
        );
    }

    /// The hash is pinned in stored claims: a change of the encoding must be a new version, never an accident.
    #[test]
    fn the_encoding_is_the_one_that_is_stored() {
        let expected = [
            &[0x87, 0x01, 0x66][..],
            b"server",
            &[0x1a, 0x00, 0x3d, 0xf6, 0x80, 0x18, 0x3c],
            &[0x41, 1, 0x45, 1, 2, 3, 4, 5, 0x18, 0x64],
        ];
        assert_eq!(Profile::server("server").encode(), expected.concat());
    }

    #[test]
    fn equal_sets_give_one_hash_and_any_change_another() {
        let profile = Profile {
            ext_key_usages: ExtKeyUsage::ALL.to_vec(),
            ..Profile::server("a")
        };
        let mut shuffled = profile.clone();
        shuffled.keys.reverse();
        shuffled.ext_key_usages.reverse();
        shuffled.keys.push(KeyClass::Rsa);
        assert_eq!(shuffled.hash(), profile.hash());
        let changes: [fn(&mut Profile); 6] = [
            |p| p.name.push('b'),
            |p| p.lifetime_secs += 1,
            |p| p.backdate_secs += 1,
            |p| p.ext_key_usages.truncate(1),
            |p| p.keys.truncate(2),
            |p| p.names_max += 1,
        ];
        for change in changes {
            let mut changed = profile.clone();
            change(&mut changed);
            assert_ne!(changed.hash(), profile.hash(), "{changed:?}");
        }
    }

    #[test]
    fn every_limit_is_checked() {
        let check = |change: fn(&mut Profile), expected| {
            let mut profile = Profile::server("server");
            change(&mut profile);
            assert_eq!(profile.check(), Err(expected));
            assert_eq!(Profile::decode(&profile.encode()), Err(expected));
        };
        check(|p| p.name.clear(), ProfileError::Name);
        check(|p| p.name = "Server".into(), ProfileError::Name);
        check(|p| p.name = "a".repeat(65), ProfileError::Name);
        check(|p| p.lifetime_secs = 0, ProfileError::Lifetime { secs: 0 });
        check(
            |p| p.lifetime_secs = u64::MAX,
            ProfileError::Lifetime { secs: u64::MAX },
        );
        check(
            |p| p.backdate_secs = p.lifetime_secs,
            ProfileError::Backdate { secs: 4_060_800 },
        );
        check(
            |p| p.backdate_secs = 86_401,
            ProfileError::Backdate { secs: 86_401 },
        );
        check(|p| p.ext_key_usages.clear(), ProfileError::NoUsage);
        check(|p| p.keys.clear(), ProfileError::NoKeys);
        check(|p| p.names_max = 0, ProfileError::Names { count: 0 });
        check(|p| p.names_max = 1001, ProfileError::Names { count: 1001 });
    }

    #[test]
    fn other_encodings_of_a_profile_are_refused() {
        let good = Profile::server("server").encode();
        let trailing = [&good[..], &[0]].concat();
        assert_eq!(Profile::decode(&trailing), Err(ProfileError::Encoding));
        // The version in two octets instead of one.
        let padded = [&[0x87, 0x18, 0x01], &good[2..]].concat();
        assert_eq!(Profile::decode(&padded), Err(ProfileError::Encoding));
        let mut version = good;
        version[1] = 2;
        assert_eq!(Profile::decode(&version), Err(ProfileError::Encoding));
    }

    #[test]
    fn a_key_has_the_class_of_its_kind() {
        for (kind, class) in [
            (KeyKind::Ec(Curve::P256), KeyClass::P256),
            (KeyKind::Ec(Curve::P384), KeyClass::P384),
            (KeyKind::Ec(Curve::P521), KeyClass::P521),
            (KeyKind::Ed25519, KeyClass::Ed25519),
            (KeyKind::Rsa2048, KeyClass::Rsa),
        ] {
            let key = PrivateKey::generate(kind).expect("generates");
            assert_eq!(KeyClass::of(key.public()), class);
            let only = Profile {
                keys: vec![class],
                ..Profile::server("a")
            };
            assert!(only.allows_key(key.public()));
            let others = KeyClass::ALL
                .into_iter()
                .filter(|other| *other != class)
                .collect();
            assert!(
                !Profile {
                    keys: others,
                    ..only
                }
                .allows_key(key.public())
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            name in "[a-z0-9_-]{1,64}", lifetime in 2_u64..1_000_000, backdate in 0_u64..2,
            usages in prop::sample::subsequence(&ExtKeyUsage::ALL[..], 1..=2),
            keys in prop::sample::subsequence(&KeyClass::ALL[..], 1..=5), names_max in 1_u16..=1000,
        ) {
            let profile = Profile {
                name, lifetime_secs: lifetime, backdate_secs: backdate, ext_key_usages: usages, keys, names_max,
            };
            prop_assert_eq!(Profile::decode(&profile.encode()), Ok(profile));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Profile::decode(&bytes);
        }
    }
}
