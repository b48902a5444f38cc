use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use crate::ports::bind_both;

/// A place where nobody may connect: it listens over TCP and UDP and counts who came.
///
/// The kernel completes connections by itself, so counting waits for nothing and no visitor is missed: who
/// came before [`Canary::visits`] is asked is in the answer.
#[derive(Debug)]
pub struct Canary {
    tcp: TcpListener,
    udp: UdpSocket,
    addr: SocketAddr,
    seen: Mutex<usize>,
}

impl Canary {
    /// Listens on `addr` over TCP and UDP; port 0 picks one that is free for both.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn start(addr: SocketAddr) -> io::Result<Self> {
        let (tcp, udp) = bind_both(addr)?;
        let addr = tcp.local_addr()?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        Ok(Self {
            tcp,
            udp,
            addr,
            seen: Mutex::new(0),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections and datagrams since the start.
    ///
    /// # Panics
    /// When the sockets fail, since a wrong zero would let a test pass.
    #[must_use]
    pub fn visits(&self) -> usize {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while came(self.tcp.accept()) {
            *seen += 1;
        }
        while came(self.udp.recv_from(&mut [0; 16])) {
            *seen += 1;
        }
        *seen
    }
}

fn came<T>(result: io::Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        // The visitor left before it was counted; it came all the same.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => true,
        Err(error) => panic!("the canary cannot count: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn every_visit_is_counted_once() {
        let canary = Canary::start("127.0.0.1:0".parse().expect("an address")).expect("free");
        assert_eq!(canary.visits(), 0);
        let stays = TcpStream::connect(canary.addr()).expect("connected");
        drop(TcpStream::connect(canary.addr()).expect("connected"));
        assert_eq!(canary.visits(), 2);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("free");
        socket.send_to(b"hello", canary.addr()).expect("sent");
        assert_eq!(canary.visits(), 3);
        drop(stays);
        assert_eq!(canary.visits(), 3);
    }
}
