//! What the signer and its caller say to each other over a Unix stream socket.
//!
//! A frame is `length u32 ‖ kind u8 ‖ id u64 ‖ body`, numbers little-endian, the length counting everything behind it, the body
//! CBOR. Each request gets one answer with its id; answers may come in another order. How long a frame of a kind may be is
//! checked when its first 13 bytes are there, before anything is kept for it. There is no request that names a key.

mod ca;
mod codec;
mod frame;
mod refusal;

use chancery_crypto::Digest32;
use chancery_pki::{Serial, UnixTime};
use minicbor::{Decode, Encode};

pub use ca::{CaSpec, FirstRun, IssuerInfo, IssuerSpec};
pub(crate) use frame::{Frame, FrameKind, frame_len, read_frame, write_frame};
pub(crate) use refusal::short;
pub use refusal::{Refusal, Remedy};

use crate::journal::{CrlState, Entry, Head, IssuerKeyId, Record, Revocation};

/// What the signer tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Greeting {
    /// The version of the signer's program.
    #[n(0)]
    pub version: String,
    /// The number of the journal's last entry.
    #[n(1)]
    pub sequence: u64,
    /// The chain value behind it.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub chain: Digest32,
    /// The latest time in the journal; a clock more than a minute behind it stops signing.
    #[n(3)]
    pub last_time: UnixTime,
    /// Every CA certificate with a key here: the root first. Empty until the first run.
    #[n(4)]
    pub issuers: Vec<IssuerInfo>,
    /// The newest CRL of each issuer and shard; later ones need a higher number and a later thisUpdate.
    #[n(5)]
    pub crls: Vec<CrlState>,
    /// How many bytes start has cut from the end of the journal, left there by a crash.
    #[n(6)]
    pub torn_bytes: u64,
}

impl Greeting {
    /// The end of the journal.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            chain: self.chain,
            time: self.last_time,
        }
    }
}

/// A leaf certificate to be signed, with the claim of its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SignLeaf<'a> {
    /// Its serial number, as in the TBS.
    #[n(0)]
    pub serial: Serial,
    /// The order that claimed it.
    #[n(1)]
    pub order: i64,
    /// The account of that order.
    #[n(2)]
    pub account: i64,
    /// The name of the profile.
    #[n(3)]
    pub profile: &'a str,
    /// The hash of the profile, as pinned by the claim.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub profile_hash: Digest32,
    /// SHA-256 of the TBS, as pinned by the claim.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub tbs_digest: Digest32,
    /// The DER to be signed.
    #[b(6)]
    #[cbor(with = "minicbor::bytes")]
    pub tbs: &'a [u8],
}

/// A CRL to be signed, with the revocations that it is the first to show.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignCrl<'a> {
    /// The key identifier of its issuer.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub issuer: IssuerKeyId,
    /// The shard.
    #[n(1)]
    pub shard: u32,
    /// The cRLNumber, as in the TBS.
    #[n(2)]
    pub number: u64,
    /// The DER to be signed.
    #[b(3)]
    #[cbor(with = "minicbor::bytes")]
    pub tbs: &'a [u8],
    /// The revocations that no earlier CRL of this shard has shown.
    #[n(4)]
    pub added: Vec<Revocation>,
}

/// Which entries of the journal to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Replay {
    /// The number of the first one.
    #[n(0)]
    pub from: u64,
    /// How many at most; the signer may give fewer.
    #[n(1)]
    pub entries_max: u32,
}

/// A request as it stands in its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Hello,
    FirstRun(FirstRun),
    SignLeaf(SignLeaf<'a>),
    SignCrl(SignCrl<'a>),
    Replay(Replay),
}

impl<'a> Request<'a> {
    /// Reads the body of a frame; `None` if it is not of its kind's form.
    pub(crate) fn decode(frame: &Frame<'a>) -> Option<Self> {
        Some(match frame.kind {
            FrameKind::Hello => whole::<()>(frame.body).map(|()| Self::Hello)?,
            FrameKind::FirstRun => Self::FirstRun(whole(frame.body)?),
            FrameKind::SignLeaf => Self::SignLeaf(whole(frame.body)?),
            FrameKind::SignCrl => Self::SignCrl(whole(frame.body)?),
            FrameKind::Replay => Self::Replay(whole(frame.body)?),
            FrameKind::Answer => return None,
        })
    }

    /// Writes the request as a frame behind what `out` holds.
    pub(crate) fn write(&self, out: &mut Vec<u8>, id: u64) {
        if let Self::SignCrl(crl) = self {
            // A large list is written in one allocation; 40 bytes are a revocation with room to spare.
            let added = crl.added.len().saturating_mul(40);
            out.reserve_exact(crl.tbs.len().saturating_add(added).saturating_add(128));
        }
        match self {
            Self::Hello => write_frame(out, FrameKind::Hello, id, &()),
            Self::FirstRun(body) => write_frame(out, FrameKind::FirstRun, id, body),
            Self::SignLeaf(body) => write_frame(out, FrameKind::SignLeaf, id, body),
            Self::SignCrl(body) => write_frame(out, FrameKind::SignCrl, id, body),
            Self::Replay(body) => write_frame(out, FrameKind::Replay, id, body),
        }
    }
}

/// What the signer answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Answer {
    #[n(0)]
    Refused(#[n(0)] Refusal),
    #[n(1)]
    Greeting(#[n(0)] Greeting),
    #[n(2)]
    Made(#[n(0)] Vec<IssuerInfo>),
    #[n(3)]
    Signed(#[n(0)] Signed),
    #[n(4)]
    Replayed(#[n(0)] Replayed),
}

impl Answer {
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        whole(body)
    }
}

/// A signature and where its intent stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Signed {
    /// The number of the intent.
    #[n(0)]
    pub sequence: u64,
    /// The bits of the signature, for [`chancery_pki::tbs::assemble`].
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

/// Some entries of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Replayed {
    /// The entries, ascending and without gaps.
    #[n(0)]
    pub records: Vec<Record>,
    /// The number to ask for next.
    #[n(1)]
    pub next: u64,
    /// The number of the journal's last entry when this was read; replay is complete once `next` is above it.
    #[n(2)]
    pub last: u64,
}

/// A record travels as it lies in the journal: number, time, kind, version, body.
impl<C> Encode<C> for Record {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let (kind, version) = self.entry.kind();
        let mut body = Vec::new();
        self.entry.encode_body(&mut body);
        e.array(5)?.u64(self.sequence)?;
        self.time.encode(e, ctx)?;
        e.u8(kind)?.u8(version)?.bytes(&body)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Record {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let unknown = || minicbor::decode::Error::message("not a journal record");
        if d.array()? != Some(5) {
            return Err(unknown());
        }
        let (sequence, time) = (d.u64()?, UnixTime::decode(d, ctx)?);
        let (kind, version) = (d.u8()?, d.u8()?);
        let entry = Entry::decode_body(kind, version, d.bytes()?).ok_or_else(unknown)?;
        Ok(Self {
            sequence,
            time,
            entry,
        })
    }
}

/// Reads one CBOR value that is all of `body`.
fn whole<'b, T: Decode<'b, ()>>(body: &'b [u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(body);
    let value = decoder.decode().ok()?;
    (decoder.position() == body.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{Curve, KeyKind};
    use chancery_pki::ExtKeyUsage;
    use proptest::prelude::*;

    use super::*;
    use crate::journal::{Entry, Start};

    fn spec() -> FirstRun {
        let ca = |common_name: &str, key| CaSpec {
            common_name: common_name.into(),
            organization: Some("Example".into()),
            key,
            lifetime_secs: 1_000,
        };
        FirstRun {
            root: ca("Root", KeyKind::Ec(Curve::P384)),
            issuers: vec![IssuerSpec {
                name: "issuer-1".into(),
                ca: ca("Issuer", KeyKind::Rsa3072),
                ext_key_usages: ExtKeyUsage::ALL.to_vec(),
                crl_url: "http://a.test/crl".into(),
                ca_issuers_url: "http://a.test/cer".into(),
            }],
        }
    }

    #[test]
    fn every_request_comes_back_from_its_frame_and_from_nothing_longer() {
        let serial = Serial::new(UnixTime(1_770_000_000), [7; 16]);
        let revoked = Revocation {
            serial,
            at: UnixTime(5),
            reason: 1,
        };
        let leaf = SignLeaf {
            serial,
            order: 7,
            account: -1,
            profile: "server",
            profile_hash: [1; 32],
            tbs_digest: [2; 32],
            tbs: b"tbs",
        };
        let crl = SignCrl {
            issuer: [3; 20],
            shard: 2,
            number: 9,
            tbs: b"crl",
            added: vec![revoked],
        };
        for request in [
            Request::Hello,
            Request::FirstRun(spec()),
            Request::SignLeaf(leaf),
            Request::SignCrl(crl),
            Request::Replay(Replay {
                from: 1,
                entries_max: 10,
            }),
        ] {
            let mut bytes = Vec::new();
            request.write(&mut bytes, 77);
            let (frame, rest) = read_frame(&bytes).expect("framed").expect("whole");
            assert_eq!((frame.id, rest.len()), (77, 0));
            assert_eq!(Request::decode(&frame).as_ref(), Some(&request));
            let longer = [frame.body, &[0]].concat();
            assert_eq!(
                Request::decode(&Frame {
                    body: &longer,
                    ..frame
                }),
                None
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_none(kind in 0_usize..6, body in prop::collection::vec(any::<u8>(), 0..200)) {
            use FrameKind::{Answer as A, FirstRun as F, Hello, Replay as R, SignCrl as C, SignLeaf as L};
            let kind = [Hello, F, L, C, R, A][kind];
            let request = Request::decode(&Frame { kind, id: 1, body: &body });
            prop_assert!(kind != A || request.is_none());
            let _ = Answer::decode(&body);
        }
    }

    #[test]
    fn records_travel_as_they_lie_in_the_journal() {
        let entry = Entry::Start(Start {
            version: "0.1.0".into(),
        });
        let record = Record {
            sequence: 4,
            time: UnixTime(1_770_000_000),
            entry,
        };
        let answer = Answer::Replayed(Replayed {
            records: vec![record],
            next: 5,
            last: 9,
        });
        let bytes = minicbor::to_vec(&answer).expect("encodes");
        assert_eq!(Answer::decode(&bytes), Some(answer));
    }
}
