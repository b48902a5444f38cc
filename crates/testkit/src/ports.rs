use std::array;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Attempts to find a port that is free for TCP and UDP both.
const TRIES: usize = 100;

/// A loopback port on which nothing listens, over TCP or UDP.
///
/// For programs that must be told a port; whatever can bind port 0 itself should. Between this call and the
/// program's start another may take the port: a test that sees "address in use" starts again.
///
/// # Panics
/// When the machine has no port left.
#[must_use]
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// Several such ports, all different.
///
/// # Panics
/// When the machine has no port left.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All stay bound until the last is found, or the system would give the same one twice.
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let held: [(TcpListener, UdpSocket); N] =
        array::from_fn(|_| bind_both(any).expect("a loopback port free for TCP and UDP"));
    held.each_ref().map(|(tcp, _)| {
        tcp.local_addr()
            .expect("a bound socket has an address")
            .port()
    })
}

/// Binds one port for TCP and UDP. With port 0 the one that the system picks for TCP may be taken for UDP: then
/// another is asked for.
pub(crate) fn bind_both(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut tries = 1;
    loop {
        let tcp = TcpListener::bind(addr)?;
        match UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(_) if addr.port() == 0 && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_different_and_can_be_bound() {
        let ports = free_ports::<20>();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20);
        TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).expect("free");
    }
}
