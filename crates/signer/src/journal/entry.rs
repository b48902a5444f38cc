use chancery_crypto::Digest32;
use chancery_pki::{Serial, UnixTime};
use minicbor::{Decode, Encode};

/// The name of an issuer wherever a number would not do: the key identifier of its certificate.
pub type IssuerKeyId = [u8; 20];

/// One thing that the signer did or was about to do.
///
/// Bodies are CBOR maps with integer keys. A kind's number and a key's number are never used for anything else;
/// a body that changes its meaning gets the next version number beside its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The signer started.
    Start(Start),
    /// What opening needs to know of all earlier segments; the first entry of each segment.
    Snapshot(Snapshot),
    /// A certificate of the CA itself is about to be signed.
    CaIntent(CaIntent),
    /// The signature of a [`CaIntent`].
    CaSignature(Signature),
    /// A leaf certificate is about to be signed.
    Intent(Intent),
    /// The signature of an [`Intent`].
    Signature(Signature),
    /// A CRL is about to be signed.
    CrlIntent(CrlIntent),
    /// The signature of a [`CrlIntent`].
    CrlSignature(Signature),
}

/// Which program started.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Start {
    /// Its version, as in `0.1.0`.
    #[n(0)]
    pub version: String,
}

/// The sum of all earlier segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Snapshot {
    /// The newest CRL of each issuer and shard, ascending.
    #[n(0)]
    pub crls: Vec<CrlState>,
    /// How many leaf intents there are.
    #[n(1)]
    pub leaf_intents: u64,
    /// How many certificates of the CA itself were signed.
    #[n(2)]
    pub ca_signatures: u64,
    /// The highest serial number used; later ones must be above it.
    #[n(3)]
    pub serial_floor: Option<Serial>,
}

/// The newest CRL of one issuer and shard.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CrlState {
    /// The issuer.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub issuer: IssuerKeyId,
    /// The shard.
    #[n(1)]
    pub shard: u32,
    /// Its cRLNumber.
    #[n(2)]
    pub number: u64,
    /// Its thisUpdate.
    #[n(3)]
    pub this_update: UnixTime,
    /// Its nextUpdate.
    #[n(4)]
    pub next_update: UnixTime,
}

/// A certificate of the CA itself before its signature.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CaIntent {
    /// What its key file is called.
    #[n(0)]
    pub name: String,
    /// Whether it is a root.
    #[n(1)]
    pub root: bool,
    /// Its serial number.
    #[n(2)]
    pub serial: Serial,
    /// The DER that is signed.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub tbs: Vec<u8>,
}

/// A leaf certificate before its signature.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Intent {
    /// Its serial number.
    #[n(0)]
    pub serial: Serial,
    /// Who signs it.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub issuer: IssuerKeyId,
    /// The order that claimed it.
    #[n(2)]
    pub order: i64,
    /// The account of that order.
    #[n(3)]
    pub account: i64,
    /// The profile that it was built and linted by.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub profile_hash: Digest32,
    /// The DER that is signed.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub tbs: Vec<u8>,
}

/// A signature and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signature {
    /// The sequence number of its intent.
    #[n(0)]
    pub intent: u64,
    /// The bits of the signature as they go into the certificate or CRL.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

/// A CRL before its signature.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CrlIntent {
    /// The CRL's issuer, shard, number and times.
    #[n(0)]
    pub state: CrlState,
    /// SHA-256 of the DER that is signed. The DER itself would repeat all earlier revocations.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub tbs_digest: Digest32,
    /// The revocations that this CRL is the first to show.
    #[n(2)]
    pub added: Vec<Revocation>,
}

/// A revocation, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Revocation {
    /// The certificate's serial number.
    #[n(0)]
    pub serial: Serial,
    /// When it was revoked.
    #[n(1)]
    pub at: UnixTime,
    /// The reason code (RFC 5280 §5.3.1), 0 where none was given.
    #[n(2)]
    pub reason: u8,
}

/// The version of every body that this program writes.
const BODY_VERSION: u8 = 1;

impl Entry {
    /// The number of the kind and the version of the body.
    pub(crate) fn kind(&self) -> (u8, u8) {
        let kind = match self {
            Self::Start(_) => 1,
            Self::Snapshot(_) => 2,
            Self::CaIntent(_) => 3,
            Self::CaSignature(_) => 4,
            Self::Intent(_) => 5,
            Self::Signature(_) => 6,
            Self::CrlIntent(_) => 7,
            Self::CrlSignature(_) => 8,
        };
        (kind, BODY_VERSION)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes_hint(&self) -> usize {
        const AROUND: usize = 128;
        const REVOCATION: usize = 32;
        AROUND.saturating_add(match self {
            Self::Start(_) => 0,
            Self::Snapshot(body) => body.crls.len().saturating_mul(AROUND),
            Self::CaIntent(body) => body.tbs.len(),
            Self::Intent(body) => body.tbs.len(),
            Self::CrlIntent(body) => body.added.len().saturating_mul(REVOCATION),
            Self::CaSignature(body) | Self::Signature(body) | Self::CrlSignature(body) => {
                body.signature.len()
            }
        })
    }

    /// Writes the body behind what `out` holds.
    pub(crate) fn encode_body(&self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Start(body) => minicbor::encode(body, out),
            Self::Snapshot(body) => minicbor::encode(body, out),
            Self::CaIntent(body) => minicbor::encode(body, out),
            Self::Intent(body) => minicbor::encode(body, out),
            Self::CrlIntent(body) => minicbor::encode(body, out),
            Self::CaSignature(body) | Self::Signature(body) | Self::CrlSignature(body) => {
                minicbor::encode(body, out)
            }
        };
        written.expect("a vector takes any bytes and no body fails to encode");
    }

    /// Reads a body; `None` if the kind or version is unknown or the body is not of its form.
    pub(crate) fn decode_body(kind: u8, version: u8, body: &[u8]) -> Option<Self> {
        if version != BODY_VERSION {
            return None;
        }
        Some(match kind {
            1 => Self::Start(whole(body)?),
            2 => Self::Snapshot(whole(body)?),
            3 => Self::CaIntent(whole(body)?),
            4 => Self::CaSignature(whole(body)?),
            5 => Self::Intent(whole(body)?),
            6 => Self::Signature(whole(body)?),
            7 => Self::CrlIntent(whole(body)?),
            8 => Self::CrlSignature(whole(body)?),
            _ => return None,
        })
    }
}

fn whole<'b, T: Decode<'b, ()>>(body: &'b [u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(body);
    let value = decoder.decode().ok()?;
    (decoder.position() == body.len()).then_some(value)
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// The serial number of the `n`th second, so that samples ascend.
    pub(crate) fn serial(n: u32) -> Serial {
        Serial::new(UnixTime(1_770_000_000 + i64::from(n)), [7; 16])
    }

    pub(crate) fn intent(n: u32, tbs_len: usize) -> Entry {
        Entry::Intent(Intent {
            serial: serial(n),
            issuer: [1; 20],
            order: i64::from(n),
            account: 9,
            profile_hash: [3; 32],
            tbs: vec![u8::try_from(n % 251).unwrap_or(0); tbs_len],
        })
    }

    pub(crate) fn signature(intent: u64) -> Entry {
        Entry::Signature(Signature {
            intent,
            signature: vec![0xab; 71],
        })
    }

    pub(crate) fn crl(shard: u32, number: u64, added: u32) -> Entry {
        let at = UnixTime(1_770_000_000);
        Entry::CrlIntent(CrlIntent {
            state: CrlState {
                issuer: [1; 20],
                shard,
                number,
                this_update: at.plus(number),
                next_update: at.plus(number + 86_400),
            },
            tbs_digest: [5; 32],
            added: (0..added)
                .map(|n| Revocation {
                    serial: serial(n),
                    at,
                    reason: 4,
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::samples::*;
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_body_and_from_nothing_longer_or_shorter() {
        let ca = CaIntent {
            name: "root".into(),
            root: true,
            serial: serial(1),
            tbs: vec![1, 2],
        };
        let signed = Signature {
            intent: 4,
            signature: vec![6; 64],
        };
        for entry in [
            Entry::Start(Start {
                version: "0.1.0".into(),
            }),
            Entry::Snapshot(Snapshot {
                leaf_intents: 3,
                ..Snapshot::default()
            }),
            Entry::CaIntent(ca),
            Entry::CaSignature(signed.clone()),
            intent(1, 900),
            signature(1),
            crl(2, 3, 4),
            Entry::CrlSignature(signed),
        ] {
            let mut body = Vec::new();
            entry.encode_body(&mut body);
            let (kind, version) = entry.kind();
            assert_eq!(
                Entry::decode_body(kind, version, &body).as_ref(),
                Some(&entry)
            );
            assert_eq!(Entry::decode_body(kind, version + 1, &body), None);
            assert_eq!(Entry::decode_body(kind + 100, version, &body), None);
            body.push(0);
            assert_eq!(Entry::decode_body(kind, version, &body), None);
            body.truncate(body.len() - 2);
            assert_eq!(Entry::decode_body(kind, version, &body), None);
        }
    }

    #[test]
    fn a_body_of_a_later_version_of_the_program_may_have_more_keys() {
        let mut body = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut body);
        encoder
            .map(2)
            .and_then(|e| e.u8(0)?.str("9.9")?.u8(40)?.bool(true))
            .expect("encodes");
        let start = Entry::Start(Start {
            version: "9.9".into(),
        });
        assert_eq!(Entry::decode_body(1, 1, &body), Some(start));
    }
}
