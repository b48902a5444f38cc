//! tls-alpn-01, RFC 8737; for addresses RFC 8738 §6.

use std::net::IpAddr;

use chancery_acme::tls_alpn01_digest;
use chancery_authority::proof::{Assignment, FailureKind};
use chancery_dial::{Deadline, Handshake, Host, Trace};
use chancery_pki::{ChallengeCertificateError, San, check_challenge_certificate};

use crate::Prover;
use crate::fault::Fault;
use crate::observations::Observations;

/// The protocol of RFC 8737 §6.2: whoever selects it knows of ACME, so a host that lets strangers put up certificates
/// does not answer by accident (failures A3).
const PROTOCOL: &str = "acme-tls/1";

/// Shakes hands with the identifier's TLS server and looks for the digest in the certificate that it shows.
pub(crate) async fn prove(
    prover: &Prover,
    assignment: &Assignment,
    deadline: Deadline,
    seen: &mut Observations,
) -> Result<(), Fault> {
    let (host, server_name) = match &assignment.identifier {
        San::Dns(name) => (Host::Domain(name.as_str()), name.as_str().to_owned()),
        San::Ip(IpAddr::V4(address)) => (Host::Ipv4(*address), reverse_name((*address).into())),
        San::Ip(IpAddr::V6(address)) => (Host::Ipv6(*address), reverse_name((*address).into())),
        San::Wildcard(_) => {
            let detail = "a wildcard cannot be proven by tls-alpn-01; dns-01 can";
            return Err(Fault::new(FailureKind::Unauthorized, detail));
        }
    };
    let handshake = Handshake {
        host,
        port: prover.ports.tls,
        server_name: &server_name,
        protocol: PROTOCOL,
        deadline,
    };
    let mut trace = Trace::default();
    let outcome = prover
        .connector
        .certificate_shown(&handshake, &mut trace)
        .await;
    seen.add_trace(trace);
    let certificate = outcome?;
    let digest = tls_alpn01_digest(&assignment.key_authorization);
    check_challenge_certificate(&certificate, &assignment.identifier, &digest)
        .map_err(|error| fault(&error, &server_name))
}

fn fault(error: &ChallengeCertificateError, server_name: &str) -> Fault {
    let kind = match error {
        ChallengeCertificateError::OtherDigest | ChallengeCertificateError::IdentifierForm => {
            FailureKind::IncorrectResponse
        }
        _ => FailureKind::Unauthorized,
    };
    let detail = format!("for {server_name} over {PROTOCOL}, {error}");
    Fault::new(kind, detail)
}

/// The name of an address in the reverse tree, which TLS can ask for where an address it cannot (RFC 8738 §6).
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| {
                // RFC 3596 §2.5: the low half of the last octet comes first.
                [octet & 0x0f, octet >> 4].map(|half| format!("{half:x}."))
            });
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests;
