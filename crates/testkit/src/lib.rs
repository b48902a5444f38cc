//! The world that tests run in: one that can be repeated, and one that is hostile.
//!
//! Only tests, benches and the fuzz driver depend on this crate; it is never part of a program that ships.
//!
//! To repeat a run exactly, take time from [`FakeClock`] and randomness from [`SeededEntropy`], and print the
//! seed when something fails.
//!
//! To be treated as the internet treats a validator, script a [`hostile_dns::HostileDns`], a
//! [`hostile_http::HostileHttp`] and a [`hostile_alpn::HostileAlpn`]: they lie, stall, loop and flood as told, and keep a record of what they were
//! asked. A [`Canary`] listens where nobody may connect and counts who did.
//!
//! To run real programs, [`process`] starts them with deadlines and keeps what they print, [`usage`] reads what
//! they cost, [`free_ports`] finds places to listen, [`TempDir`] gives a folder that is gone afterwards, and
//! [`require`] finds a foreign tool or records that a test was skipped for want of it.
//!
//! [`fuzz`] holds the fuzz targets, plain functions of bytes, and the driver that mutates good samples on a
//! stable compiler; the program `fuzz` runs it.

pub mod fuzz;
pub mod hostile_alpn;
pub mod hostile_dns;
pub mod hostile_http;
pub mod process;
pub mod usage;

mod canary;
mod clock;
mod entropy;

mod ports;
mod skip;
mod task;
mod tmpdir;

pub use canary::Canary;
pub use clock::FakeClock;
pub use entropy::SeededEntropy;
pub use ports::{free_port, free_ports};
pub use skip::require;
pub use tmpdir::TempDir;
