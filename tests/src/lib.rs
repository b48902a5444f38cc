//! End to end: the authority as its users have it, a process with its files and sockets, tried by other people's
//! clients, judged by other people's verifiers, and treated badly.
//!
//! The stories are in `tests/it`; this library is the stage they play on. An [`Authority`] is one `chancery serve` in a
//! folder and on ports of its own, with a DNS server that knows every name and a web host that answers http-01
//! ([`Site`]). A [`Client`] speaks to it without any manners of its own: it sends what it is told, well formed or not
//! ([`jws::Parts`]), and an [`Account`] of it can also do the whole way to a certificate. [`hooks::Hooks`] lets scripts
//! of foreign clients change the zone, [`openssl`] is the judge that everybody has. [`conform`] asks any ACME server what
//! RFC 8555 says about servers.
//!
//! Everything here blocks, so that a story reads from top to bottom; what must run meanwhile (DNS, web host) runs on
//! a runtime behind the scene ([`runtime`]). Whatever goes wrong that a story does not ask for is a panic with the
//! output of the server in it. Everything that was started ends with the value that started it.
//!
//! What this crate never does: build the programs (`cargo xtask test` does, and a missing one is a failure that says
//! so), reach outside this machine, or share a port, a folder or a process between two tests.

mod authority;
mod calm;
pub mod conform;
mod external_account;
mod flow;
pub mod hooks;
mod http_client;
pub mod jws;
pub mod openssl;
mod operator;
mod ports;
mod program;
mod raw;
mod setup;
mod site;
mod tls_host;
mod wait;
mod webroot;

pub use authority::{Authority, sentences};
pub use calm::Calm;
pub use external_account::ExternalAccount;
pub use flow::{Issued, Lost, Order, csr_for};
pub use http_client::{Http, Reply, Version};
pub use program::{agent, chancery, script, skip};
pub use raw::{Account, Client, new_key};
pub use setup::Setup;
pub use site::Site;
pub use tls_host::TlsHost;
pub use wait::{eventually, runtime};
pub use webroot::Webroot;
