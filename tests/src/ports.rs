//! Ports that nobody else takes: below those that the system gives out by itself, claimed in blocks.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where blocks lie: above what services use, below what the system hands to whoever asks for any port.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;
/// Ports of one block.
const BLOCK: u16 = 8;

/// A block of ports. Holding its first one is the claim, so a server may stop and start on the others as often as it
/// likes: no other test, and no outgoing connection, gets in between.
#[derive(Debug)]
pub(crate) struct Ports {
    _claim: TcpListener,
    base: u16,
}

impl Ports {
    /// Claims a block.
    ///
    /// # Panics
    /// When the machine has none left.
    pub(crate) fn claim() -> Self {
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let blocks = (LAST - FIRST) / BLOCK;
        // Tests run in many processes: each begins somewhere else, so that few meet.
        let pid = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or_default();
        let begin = pid.wrapping_mul(7) % blocks + COUNT.fetch_add(1, Ordering::Relaxed) % blocks;
        (0..blocks)
            .map(|n| FIRST + (begin + n) % blocks * BLOCK)
            .find_map(Self::try_claim)
            .expect("a block of loopback ports is free")
    }

    fn try_claim(base: u16) -> Option<Self> {
        let claim = bind(base)?;
        (1..BLOCK)
            .all(|n| bind(base + n).is_some())
            .then_some(Self {
                _claim: claim,
                base,
            })
    }

    /// Port `n` of the block, from 1.
    pub(crate) fn port(&self, n: u16) -> u16 {
        assert!(
            (1..BLOCK).contains(&n),
            "a block has ports 1 to {}",
            BLOCK - 1
        );
        self.base + n
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}
