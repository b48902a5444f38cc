use chancery_authority::refusal::Denied;
use chancery_authority::{Refusal, StoreError};
use chancery_pki::CsrError;

/// Why the engine could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The domain says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The CSR is not one, or its signature is not by its key.
    #[error("the CSR cannot be used: {0}")]
    Csr(#[from] CsrError),
    /// Not now: too much is waiting. Nothing was done.
    #[error("{what}; try again in {retry_after_secs} s")]
    Busy {
        /// What is full.
        what: &'static str,
        /// When to come back.
        retry_after_secs: u32,
    },
    /// The store cannot do it.
    #[error(transparent)]
    Store(StoreError),
    /// The signer refused, or is gone.
    #[error("the signer did not sign: {0}")]
    Signer(String),
    /// The signer's journal ends before what the store has seen of it: an older copy of it was put back.
    #[error(
        "the signer's journal ends at entry {journal}, and the store has seen entry {store}: put back the newest copy of journal/, or signatures and revocations would be forgotten"
    )]
    OlderJournal {
        /// What the store has seen.
        store: u64,
        /// Where the journal ends.
        journal: u64,
    },
    /// Others changed the same record again and again.
    #[error("the record kept changing under this request")]
    Contended,
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy {
                what: "the store has too many changes waiting",
                retry_after_secs: 2,
            },
            StoreError::DiskLow { .. }
            | StoreError::Unavailable(_)
            | StoreError::Damaged { .. } => Self::Store(error),
        }
    }
}

impl From<Denied> for EngineError {
    fn from(denied: Denied) -> Self {
        Self::Refused(denied.into())
    }
}

impl EngineError {
    /// Whether trying the same again cannot help.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Csr(_) | Self::OlderJournal { .. } => true,
            Self::Busy { .. } | Self::Store(_) | Self::Signer(_) | Self::Contended => false,
        }
    }
}
