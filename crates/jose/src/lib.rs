//! JSON Web Keys and flattened JSON Web Signatures, exactly as narrow as ACME allows them (RFC 8555 §6.2).
//!
//! Every request to the authority is one JWS, so this is where an outsider's bytes enter. The way through is a line
//! of types, each of which can only be made from the one before:
//!
//! 1. [`Jws::parse`] reads a body: sizes first, then one pass over the JSON. What comes out is well formed and *not*
//!    yet believed; its [`Header`] tells which key to fetch ([`SignerRef`]).
//! 2. [`Jws::verify`] takes the parsed message and a [`JwsKey`] and gives [`Verified`]. There is no other way to one.
//!
//! [`Jwk`] is a public key from JSON that passed the key policy of `chancery-crypto`, [`Thumbprint`] its RFC 7638 name.
//! [`sign`] makes the same messages on the client's side. [`BindingJws`] is the one message with a MAC: it binds an
//! account's key to an account elsewhere (§7.3.4), and nothing else reads it.
//!
//! Two rules decide the shape of the code. The algorithm follows from the key: `alg` is compared with it and chooses
//! nothing, so neither `none` nor a MAC keyed with a public key has anything to confuse (RFC 8725 §3.1). And whatever is
//! said twice, in two places or in a way that two readers could take differently (duplicate members, unprotected
//! headers, `crit`, `b64`, padding, unused bits) is refused, never resolved.
//!
//! What this crate never does: fetch a key by `jku` or `x5u`, accept compact or general serialisation, compare URLs or
//! nonces (the gateway knows its own), keep state, or read a clock.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

mod algorithm;
mod base64url;
mod binding;
mod error;
mod header;
mod jwk;
mod jws;
mod key;
mod object;
mod sign;
mod thumbprint;

pub use algorithm::JwsAlgorithm;
pub use base64url::{b64, unb64};
pub use binding::{BindingJws, VerifiedBinding, bind};
pub use error::JwsError;
pub use header::{Header, SignerRef};
pub use jwk::Jwk;
pub use jws::{BODY_BYTES_MAX, Jws, MEDIA_TYPE, Verified};
pub use key::JwsKey;
pub use object::{DEPTH_MAX, nested_deeper_than};
pub use sign::{SignWith, sign};
pub use thumbprint::Thumbprint;
