use chancery_pki::UnixTime;
use chancery_pki::lint::LintError;
use minicbor::{Decode, Encode};

/// Why the signer did not do what it was asked. Nothing of the request is in the journal then, except after [`Refusal::SigningFailed`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// The body of the request is not of its kind's form.
    #[error("the signer cannot read the request; both sides must run the same version")]
    #[n(0)]
    Malformed,
    /// No key here belongs to the issuer that the TBS names.
    #[error("the signer has no issuing key for the issuer that the certificate or CRL names")]
    #[n(1)]
    UnknownIssuer,
    /// The signer's own lint found a fault.
    #[error("lint {rule} failed in the signer: {detail}")]
    #[n(2)]
    LintFailed {
        /// The rule's name.
        #[n(0)]
        rule: String,
        /// What it saw.
        #[n(1)]
        detail: String,
    },
    /// The signer has no profile of this name.
    #[error("the signer has no profile of that name; restart both sides with one configuration")]
    #[n(3)]
    UnknownProfile,
    /// The claim was made under another form of the profile.
    #[error(
        "the claim was made under another form of profile {profile}; let the order claim anew under the present one"
    )]
    #[n(4)]
    ProfileMismatch {
        /// The profile's name.
        #[n(0)]
        profile: String,
    },
    /// The TBS is not the one that was claimed.
    #[error("the certificate to be signed is not the one that its order claimed")]
    #[n(5)]
    DigestMismatch,
    /// The request and the TBS name different serial numbers or CRL numbers.
    #[error("the request says another serial or CRL number than what is to be signed")]
    #[n(6)]
    NumberMismatch,
    /// The clock has gone back.
    #[error(
        "the clock is {by_secs} s behind the journal's last entry; set the clock right, signing goes on by itself then"
    )]
    #[n(7)]
    ClockBehind {
        /// By how many seconds.
        #[n(0)]
        by_secs: u64,
    },
    /// The TBS does not begin about now.
    #[error(
        "what is to be signed begins at {} but it is {} now; let the order claim anew", begins.to_rfc3339(), now.to_rfc3339()
    )]
    #[n(8)]
    NotNow {
        /// Its notBefore or thisUpdate.
        #[n(0)]
        begins: UnixTime,
        /// The signer's clock.
        #[n(1)]
        now: UnixTime,
    },
    /// More signatures in this second than configured.
    #[error(
        "the signer has made its {per_second_max} signatures of this second; try again in the next"
    )]
    #[n(9)]
    RateLimited {
        /// The bound.
        #[n(0)]
        per_second_max: u32,
    },
    /// A certificate with this serial number was signed or about to be.
    #[error("the serial number was used before; let the order claim a new one")]
    #[n(10)]
    SerialUsed,
    /// The serial number is older than what the signer remembers, so it may have been used.
    #[error(
        "the serial number is too old to prove that it is unused; let the order claim a new one"
    )]
    #[n(11)]
    SerialTooOld,
    /// The serial number's time lies ahead.
    #[error("the serial number is of a time that has not come yet; let the order claim a new one")]
    #[n(12)]
    SerialAhead,
    /// A CRL of this shard with this number or a higher one was signed or about to be.
    #[error("CRL number {asked} of shard {shard} is not above {last}, the last one that was used")]
    #[n(13)]
    NumberNotIncreasing {
        /// The shard.
        #[n(0)]
        shard: u32,
        /// The last number.
        #[n(1)]
        last: u64,
        /// The number in the request.
        #[n(2)]
        asked: u64,
    },
    /// A CRL of this shard with this thisUpdate or a later one was signed or about to be.
    #[error("thisUpdate {} of shard {shard} is not after {}, that of its last CRL", asked.to_rfc3339(), last.to_rfc3339())]
    #[n(14)]
    TimeNotIncreasing {
        /// The shard.
        #[n(0)]
        shard: u32,
        /// The last thisUpdate.
        #[n(1)]
        last: UnixTime,
        /// The one in the request.
        #[n(2)]
        asked: UnixTime,
    },
    /// Too little room for the journal.
    #[error(
        "the disk of the journal has {available_percent} % free; free space there, signing goes on by itself then"
    )]
    #[n(15)]
    JournalDiskLow {
        /// What is free.
        #[n(0)]
        available_percent: u8,
    },
    /// There is no CA yet.
    #[error("there is no CA yet; do the first run")]
    #[n(16)]
    NotMade,
    /// There is a CA already.
    #[error("there is a CA already; the first run is done once only")]
    #[n(17)]
    AlreadyMade,
    /// The first run was asked for something that cannot be made.
    #[error("the CA cannot be made: {detail}")]
    #[n(18)]
    CannotMake {
        /// What is wrong.
        #[n(0)]
        detail: String,
    },
    /// The library could not sign. The intent is in the journal, without a signature.
    #[error("the key could not make the signature")]
    #[n(19)]
    SigningFailed,
    /// An earlier part of the journal cannot be read back. Signing goes on, as it needs the last part only.
    #[error("the journal cannot be replayed: {detail}")]
    #[n(20)]
    JournalUnreadable {
        /// What is wrong, where, and what to do.
        #[n(0)]
        detail: String,
    },
}

/// What a caller does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Make the certificate or CRL anew, with a new serial or number and the present time and profile, and ask again.
    Anew,
    /// Ask again later; what is in the way goes away by itself or with the operator's help.
    Later,
    /// Nothing: the two sides disagree, which only a change of the program or of the configuration mends.
    None,
}

impl Refusal {
    /// What a caller does about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::ProfileMismatch { .. }
            | Self::NotNow { .. }
            | Self::SerialUsed
            | Self::SerialTooOld
            | Self::SerialAhead
            | Self::NumberNotIncreasing { .. }
            | Self::TimeNotIncreasing { .. }
            | Self::SigningFailed => Remedy::Anew,
            Self::ClockBehind { .. } | Self::RateLimited { .. } | Self::JournalDiskLow { .. } => {
                Remedy::Later
            }
            Self::Malformed
            | Self::UnknownIssuer
            | Self::LintFailed { .. }
            | Self::UnknownProfile
            | Self::DigestMismatch
            | Self::NumberMismatch
            | Self::NotMade
            | Self::AlreadyMade
            | Self::CannotMake { .. }
            | Self::JournalUnreadable { .. } => Remedy::None,
        }
    }

    pub(crate) fn lint(error: &LintError) -> Self {
        Self::LintFailed {
            rule: error.rule.to_owned(),
            detail: short(&error.detail),
        }
    }
}

/// Text of a lint or a parser, kept short enough for a frame and a log line.
pub(crate) fn short(text: impl std::fmt::Display) -> String {
    const TEXT_CHARS_MAX: usize = 300;
    text.to_string().chars().take(TEXT_CHARS_MAX).collect()
}
