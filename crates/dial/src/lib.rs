//! The only code that opens outgoing connections.
//!
//! A certificate authority connects to places that strangers name. So each connection goes one way: a name is
//! resolved once, each address is judged by a [`Policy`], and the socket is connected to that very address: what
//! a second look-up would say does not matter. Every step has one [`Deadline`], every answer a limit in octets
//! and in number, and what was asked and dialled is kept in a [`Trace`] for whoever asks why.
//!
//! Start at [`Connector`]: [`Connector::fetch`] gets one URL on a connection of its own, for validation.
//! [`Connector::certificate_shown`] looks at the
//! certificate of a TLS server and says nothing more to it. [`HttpClient`] keeps connections, for a server that an operator configured. [`Resolver`] asks DNS, without a
//! cache. [`AddressClass`] says what kind of place an address is, also where it hides inside another one.
//!
//! What this crate never does: follow a redirect, cache an answer, use a proxy, install a process-wide
//! cryptographic provider, or put fetched contents into an error.

#![cfg_attr(
    not(test),
    deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)
)]

mod address;
mod alpn;
mod answer;
mod caa;
mod client;
mod connect;
mod deadline;
mod dns_failure;
mod error;
mod http;
mod name_server;
mod policy;
mod resolver;
#[cfg(test)]
pub mod test_dns;
#[cfg(test)]
pub mod test_http;
mod tls;
mod trace;

pub use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
pub use url::{Host, Url};

pub use self::http::{Answer, Fetch, Limits};
pub use address::AddressClass;
pub use alpn::Handshake;
#[doc(hidden)]
pub use answer::txt_of_message;
pub use caa::CaaRecord;
pub use client::{HttpClient, HttpRequest};
pub use connect::{Connector, Names};
pub use deadline::{Deadline, Elapsed};
pub use error::{DialError, FailureClass};
pub use name_server::Timing;
pub use policy::{Policy, Refusal};
pub use resolver::Resolver;
pub use tls::Tls;
pub use trace::{Step, Trace};
