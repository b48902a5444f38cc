use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpStream, lookup_host};
use url::Host;

use crate::DialError;
use crate::deadline::Deadline;
use crate::error::{bounded, io_cause};
use crate::policy::Policy;
use crate::resolver::Resolver;
use crate::trace::Trace;

/// Addresses of one name that are tried; two of each family for a name that has both.
const ATTEMPTS_MAX: usize = 4;
/// Addresses of the system's resolution that are looked at.
const ADDRESSES_MAX: usize = 64;

/// Who turns names into addresses.
#[derive(Debug, Clone)]
pub enum Names {
    /// Our own questions to configured resolvers: for validation.
    Asked(Resolver),
    /// The system's resolution with its hosts file and search list: for what an operator configured.
    System,
}

/// Opens connections: resolves once, judges each address by the policy, and connects to that very address.
#[derive(Debug, Clone)]
pub struct Connector {
    names: Names,
    policy: Policy,
}

impl Connector {
    /// A connector that dials what `policy` permits.
    #[must_use]
    pub fn new(names: Names, policy: Policy) -> Self {
        Self { names, policy }
    }

    /// The resolver for questions that are not about addresses, where there is one of our own.
    #[must_use]
    pub fn resolver(&self) -> Option<&Resolver> {
        match &self.names {
            Names::Asked(resolver) => Some(resolver),
            Names::System => None,
        }
    }

    /// Connects to the first address that the policy permits and that answers. IPv6 goes first, the families
    /// alternate, and the time left is shared between the addresses left.
    ///
    /// # Errors
    /// [`DialError::Refused`] where no address is permitted, [`DialError::Unreachable`] where none answered, and
    /// those of class DNS.
    pub async fn connect(
        &self,
        host: &Host<&str>,
        port: u16,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<TcpStream, DialError> {
        let addresses = match host {
            Host::Ipv4(address) => vec![IpAddr::from(*address)],
            Host::Ipv6(address) => vec![IpAddr::from(*address)],
            Host::Domain(name) => self.addresses(name, deadline, trace).await?,
        };
        let targets = self.permitted(&host.to_string(), alternate(addresses), port, trace)?;
        dial_in_turn(&host.to_string(), &targets, deadline, trace).await
    }

    async fn addresses(
        &self,
        name: &str,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<Vec<IpAddr>, DialError> {
        match &self.names {
            Names::Asked(resolver) => resolver.addresses(name, deadline, trace).await,
            Names::System => system_addresses(name, deadline).await,
        }
    }

    /// The targets that may be dialled; each refused one is noted.
    fn permitted(
        &self,
        host: &str,
        addresses: Vec<IpAddr>,
        port: u16,
        trace: &mut Trace,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let mut targets = Vec::new();
        let mut first_refusal = None;
        for address in addresses.into_iter().map(|ip| SocketAddr::new(ip, port)) {
            match self.policy.check(address) {
                Ok(()) => targets.push(address),
                Err(refusal) => {
                    trace.dialled(address, format!("refused by policy: {refusal}"));
                    let host = host.to_owned();
                    first_refusal.get_or_insert(DialError::Refused {
                        host,
                        address,
                        refusal,
                    });
                }
            }
        }
        match first_refusal {
            Some(refusal) if targets.is_empty() => Err(refusal),
            _ => Ok(targets),
        }
    }
}

/// IPv6 and IPv4 by turns, each address once.
fn alternate(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

async fn dial_in_turn(
    host: &str,
    targets: &[SocketAddr],
    deadline: Deadline,
    trace: &mut Trace,
) -> Result<TcpStream, DialError> {
    let mut failure = DialError::NoRecords {
        name: bounded(host),
        kind: "address",
    };
    let mut left = u32::try_from(targets.len().min(ATTEMPTS_MAX)).unwrap_or(1);
    for &address in targets.iter().take(ATTEMPTS_MAX) {
        let turn = deadline.or_after(deadline.remaining() / left.max(1));
        left = left.saturating_sub(1);
        let cause = match turn.bound(TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                trace.dialled(address, "connected".to_owned());
                // A request is one small write; waiting to fill a segment would only cost time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => io_cause(&error),
            Err(after) => format!("timed out after {after}"),
        };
        trace.dialled(address, cause.clone());
        failure = DialError::Unreachable {
            host: bounded(host),
            address,
            cause,
        };
    }
    Err(failure)
}

async fn system_addresses(name: &str, deadline: Deadline) -> Result<Vec<IpAddr>, DialError> {
    let unusable = |reason| DialError::BadAnswer {
        name: bounded(name),
        kind: "address",
        reason,
    };
    match deadline.bound(lookup_host((name, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|found| found.ip()).take(ADDRESSES_MAX).collect()),
        Ok(Err(error)) => Err(unusable(bounded(error))),
        Err(after) => Err(DialError::NoAnswer {
            name: bounded(name),
            kind: "address",
            after,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::trace::Step;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_families_take_turns_and_no_address_comes_twice() {
        let mixed = ["10.0.0.1", "10.0.0.2", "fd00::1", "10.0.0.1", "10.0.0.3"]
            .map(ip)
            .to_vec();
        assert_eq!(
            alternate(mixed),
            ["fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
                .map(ip)
                .to_vec()
        );
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_makes_room_for_the_next() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let dead = closed.local_addr().expect("bound");
        drop(closed);
        let open = TcpListener::bind("127.0.0.2:0").await.expect("binds");
        let live = open.local_addr().expect("bound");

        let mut trace = Trace::default();
        let deadline = Deadline::after(Duration::from_secs(1));
        let stream = dial_in_turn("a.test", &[dead, live], deadline, &mut trace)
            .await
            .expect("connects");
        assert_eq!(stream.peer_addr().expect("connected"), live);
        assert_eq!(
            trace.steps().cloned().collect::<Vec<_>>(),
            [
                Step::Dialled {
                    address: dead,
                    result: "connection refused".to_owned()
                },
                Step::Dialled {
                    address: live,
                    result: "connected".to_owned()
                },
            ]
        );
    }

    #[tokio::test]
    async fn a_literal_address_is_judged_like_a_resolved_one() {
        let policy = Policy::from_words(["public"]).expect("a class");
        let connector = Connector::new(Names::System, policy);
        let host = Host::Ipv4([127, 0, 0, 1].into());
        let deadline = Deadline::after(Duration::from_secs(1));
        let mut trace = Trace::default();
        let error = connector
            .connect(&host, 80, deadline, &mut trace)
            .await
            .expect_err("refused");
        assert_eq!(
            error.to_string(),
            "the target is 127.0.0.1, a loopback address, which this server may not dial"
        );
        assert_eq!(trace.steps().len(), 1);
    }
}
