//! What the domain asks to be done, as plain data. The engine carries it out after the change is durable, and derives
//! what is still open from the stored state when it starts.

use std::time::Duration;

use crate::change::Change;
use crate::id::{AuthorizationId, IssuerId};
use crate::issuance::Permit;

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Try to prove a challenge, after a wait.
    Validate {
        /// The authorization.
        authorization: AuthorizationId,
        /// The challenge's number in it.
        challenge: u8,
        /// How long to wait first.
        after: Duration,
    },
    /// Have a certificate signed.
    Sign(Box<Permit>),
    /// Sign a CRL shard anew.
    PublishCrl {
        /// The issuer.
        issuer: IssuerId,
        /// The shard.
        shard: u16,
    },
}

/// What was decided: a change to make durable, then effects to carry out.
#[derive(Debug, Default)]
pub struct Decision {
    /// The change; none when the request asks for what is already so.
    pub change: Option<Box<Change>>,
    /// Carried out only after the change was applied.
    pub effects: Vec<Effect>,
}

impl Decision {
    pub(crate) fn new(change: Change, effects: Vec<Effect>) -> Self {
        Self {
            change: Some(Box::new(change)),
            effects,
        }
    }

    pub(crate) fn nothing() -> Self {
        Self::default()
    }
}
