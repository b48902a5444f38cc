//! The circumstances of a request for something new.

use chancery_crypto::Entropy;
use chancery_pki::UnixTime;

use crate::account::Owner;
use crate::gateway::Gateway;
use crate::issuer::LiveIssuer;

/// When, where and by whom something new is asked for. Time and randomness come from outside.
pub struct Asking<'a> {
    /// Now.
    pub now: UnixTime,
    /// Now, in milliseconds, for record numbers.
    pub now_millis: i64,
    /// Fresh randomness for tokens.
    pub entropy: &'a dyn Entropy,
    /// Where the request came in.
    pub gateway: &'a Gateway,
    /// Who will sign.
    pub issuer: &'a LiveIssuer,
    /// Who asks.
    pub owner: Owner,
}
