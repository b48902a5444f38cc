//! Values of other crates as CBOR.

/// A kind of key as one number.
pub(super) mod key_kind {
    use chancery_crypto::{Curve, KeyKind};
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    const KINDS: [(u8, KeyKind); 7] = [
        (1, KeyKind::Ec(Curve::P256)),
        (2, KeyKind::Ec(Curve::P384)),
        (3, KeyKind::Ec(Curve::P521)),
        (4, KeyKind::Rsa2048),
        (5, KeyKind::Rsa3072),
        (6, KeyKind::Rsa4096),
        (7, KeyKind::Ed25519),
    ];

    pub(in super::super) fn encode<C, W: Write>(
        kind: &KeyKind,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        let number = KINDS
            .iter()
            .find(|(_, of)| of == kind)
            .map_or(0, |(number, _)| *number);
        e.u8(number)?.ok()
    }

    pub(in super::super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<KeyKind, Error> {
        let number = d.u8()?;
        KINDS
            .iter()
            .find(|(of, _)| *of == number)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| Error::message("not a kind of key"))
    }
}

/// Purposes as their names.
pub(super) mod purposes {
    use chancery_pki::ExtKeyUsage;
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(in super::super) fn encode<C, W: Write>(
        purposes: &[ExtKeyUsage],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(u64::try_from(purposes.len()).unwrap_or(u64::MAX))?;
        for purpose in purposes {
            e.str(purpose.name())?;
        }
        Ok(())
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Vec<ExtKeyUsage>, Error> {
        let unknown = || Error::message("not a purpose");
        d.array_iter::<&str>()?
            .map(|name| {
                let name = name?;
                ExtKeyUsage::ALL
                    .into_iter()
                    .find(|of| of.name() == name)
                    .ok_or_else(unknown)
            })
            .collect()
    }
}
