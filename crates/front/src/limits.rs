//! What one connection, one address and the whole listener may use (failures B8, B10).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of all clients together.
    pub connections_max: usize,
    /// Connections of one address; a proxy in front counts as one.
    pub connections_per_address_max: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, and for an idle connection.
    pub head: Duration,
    /// Octets of a request's head.
    pub head_bytes_max: usize,
    /// Streams that one HTTP/2 connection may have open.
    pub streams_max: u32,
    /// Time that connections get to finish when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 8192,
            connections_per_address_max: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            head_bytes_max: 16 * 1024,
            streams_max: 64,
            drain: Duration::from_secs(20),
        }
    }
}

/// Counts open connections; a [`Seat`] is one of them.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; gives its place back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    /// A place for a connection from `address`, if there is one.
    pub(crate) fn take(self: &Arc<Self>, limits: &Limits, address: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= limits.connections_max {
            return None;
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= limits.connections_per_address_max {
            return None;
        }
        *of_address += 1;
        taken.all += 1;
        Some(Seat {
            seats: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self
            .seats
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_and_places_come_back() {
        let limits = Limits {
            connections_max: 3,
            connections_per_address_max: 2,
            ..Limits::default()
        };
        let seats = Arc::new(Seats::default());
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = seats.take(&limits, a);
        let _second = seats.take(&limits, a).expect("a place");
        assert!(seats.take(&limits, a).is_none());
        let _third = seats.take(&limits, b).expect("a place for another");
        assert!(seats.take(&limits, b).is_none(), "the listener is full");
        drop(first);
        assert!(seats.take(&limits, a).is_some());
    }
}
