//! What a validator is asked and what it answers.
//!
//! The domain hands out an [`Assignment`]; the `prover` crate carries it out and returns a [`Proof`] or a
//! [`ProofFailure`]. Both carry [`Observation`]s: what was asked of whom and what came back, kept for the operator's
//! "why?". Contents fetched from a target are never part of them (only lengths and status codes).

use chancery_acme::ChallengeKind;
use chancery_pki::{San, UnixTime};
use minicbor::{Decode, Encode};

use crate::caa::{CaaFinding, CaaTerms};

/// One attempt to prove control of one identifier by one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// What is to be proven: a host, a wildcard or an address.
    pub identifier: San,
    /// The method.
    pub kind: ChallengeKind,
    /// The challenge's token (RFC 8555 §8.1).
    pub token: String,
    /// `token "." base64url(thumbprint)`
    pub key_authorization: String,
    /// What CAA records must permit once control is shown; nothing where they are not asked for.
    pub caa: Option<CaaTerms>,
}

/// Control was shown, and CAA permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// When the answer arrived.
    pub at: UnixTime,
    /// What was seen on the way.
    pub observations: Vec<Observation>,
    /// What CAA records say, where they were asked for.
    pub caa: Option<CaaFinding>,
}

/// Control was not shown.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ProofFailure {
    /// The class of the failure, which becomes the ACME error type.
    #[n(0)]
    pub kind: FailureKind,
    /// One sentence for the client: what was seen, what was expected, what to do.
    #[n(1)]
    pub detail: String,
    /// What was seen on the way.
    #[n(2)]
    pub observations: Vec<Observation>,
}

/// Classes of failure (RFC 8555 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FailureKind {
    /// The target could not be reached, or must not be: `connection`.
    #[n(0)]
    Connection,
    /// A DNS look-up gave no usable answer: `dns`.
    #[n(1)]
    Dns,
    /// The answer was reached and is wrong: `incorrectResponse`.
    #[n(2)]
    IncorrectResponse,
    /// The answer was reached and refuses: `unauthorized`.
    #[n(3)]
    Unauthorized,
    /// TLS failed, on a redirect or in tls-alpn-01: `tls`.
    #[n(4)]
    Tls,
    /// CAA records forbid: `caa`.
    #[n(5)]
    Caa,
    /// What CAA records say cannot be known now: `caa`.
    #[n(6)]
    CaaLookup,
}

/// One thing that a validator did, with its result.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Observation {
    /// A DNS question and what came back, as text.
    #[n(0)]
    Asked {
        /// Owner name and type, as `_acme-challenge.a.test TXT`.
        #[n(0)]
        question: String,
        /// Records, or the response code; TXT contents only as their count and lengths.
        #[n(1)]
        answer: String,
        /// Milliseconds from the beginning of the attempt until it came.
        #[n(2)]
        at_ms: Option<u32>,
    },
    /// A connection to an address.
    #[n(1)]
    Dialled {
        /// `address:port`
        #[n(0)]
        address: String,
        /// `connected`, `refused by policy: loopback`, `timed out after 3 s`…
        #[n(1)]
        result: String,
        /// See [`Observation::Asked`].
        #[n(2)]
        at_ms: Option<u32>,
    },
    /// An HTTP answer.
    #[n(2)]
    Fetched {
        /// The URL asked.
        #[n(0)]
        url: String,
        /// The status code.
        #[n(1)]
        status: u16,
        /// Octets of body read (bounded).
        #[n(2)]
        body_octets: u32,
        /// See [`Observation::Asked`].
        #[n(3)]
        at_ms: Option<u32>,
    },
    /// What CAA records say of a name.
    #[n(3)]
    Caa {
        /// The name.
        #[n(0)]
        name: String,
        /// What follows from them.
        #[n(1)]
        verdict: String,
        /// When.
        #[n(2)]
        at: UnixTime,
    },
}

impl Observation {
    /// How long after the beginning of its attempt it was made, as far as that is known.
    #[must_use]
    pub fn at_ms(&self) -> Option<u32> {
        match self {
            Self::Asked { at_ms, .. }
            | Self::Dialled { at_ms, .. }
            | Self::Fetched { at_ms, .. } => *at_ms,
            Self::Caa { .. } => None,
        }
    }

    /// The same without its time, to be compared with what was expected.
    #[must_use]
    pub fn untimed(mut self) -> Self {
        match &mut self {
            Self::Asked { at_ms, .. }
            | Self::Dialled { at_ms, .. }
            | Self::Fetched { at_ms, .. } => *at_ms = None,
            Self::Caa { .. } => {}
        }
        self
    }
}
