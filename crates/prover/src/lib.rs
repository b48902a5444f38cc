//! Proof of control: carries out one [`Assignment`] and says what was seen.
//!
//! There is one function for each validation method, and no second way to any of them (failures A11):
//! `http01::prove` (RFC 8555 §8.3), `dns01::prove` (RFC 8555 §8.4) and `tls_alpn01::prove` (RFC 8737).
//! [`Prover::prove`] picks by an exhaustive match: a new challenge type is a new file and a new arm. After the proof, `caa::check` asks whether
//! the name's owner lets this authority issue (RFC 8659), where the assignment says so. A proof and a failure both carry what was asked of
//! whom and what came back; contents that were fetched are never among it, only their lengths and status codes
//! (failures B5).
//!
//! What this crate never does: decide whether a proof is enough, keep state between two assignments, retry, read
//! a clock of its own, or connect to an address other than through `chancery_dial`, whose policy judges it.

#![cfg_attr(
    not(test),
    deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)
)]

use std::time::Duration;

use chancery_acme::ChallengeKind;
use chancery_authority::caa::{CaaFinding, CaaQuestion};
use chancery_authority::proof::{Assignment, Proof, ProofFailure};
use chancery_dial::{Connector, Deadline, Names, Policy, Resolver};
use chancery_pki::UnixTime;

mod caa;
mod dns01;
mod fault;
mod http01;
mod observations;
mod redirect;
#[cfg(test)]
#[path = "../../dial/src/test_dns.rs"]
pub mod test_dns;
#[cfg(test)]
#[path = "../../dial/src/test_http.rs"]
pub mod test_http;
#[cfg(test)]
pub mod test_world;
mod tls_alpn01;

use observations::Observations;
use redirect::Ports;

/// Where and how long a [`Prover`] looks.
#[derive(Debug, Clone)]
pub struct ProverConfig {
    /// The port that http-01 dials, and that `http` redirects lead to. RFC 8555 §8.3 says 80.
    pub http_port: u16,
    /// The port that tls-alpn-01 dials (RFC 8737 §3 says 443), and that `https` redirects lead to.
    pub tls_port: u16,
    /// Addresses that may be dialled.
    pub policy: Policy,
    /// Who is asked for addresses and TXT records.
    pub resolver: Resolver,
    /// Time for one assignment with all its look-ups and redirects.
    pub deadline: Duration,
}

impl ProverConfig {
    /// The ports of RFC 8555 and ten seconds.
    #[must_use]
    pub fn new(resolver: Resolver, policy: Policy) -> Self {
        Self {
            http_port: 80,
            tls_port: 443,
            policy,
            resolver,
            deadline: Duration::from_secs(10),
        }
    }
}

/// Carries out assignments; it is cheap to clone and has no state.
#[derive(Debug, Clone)]
pub struct Prover {
    connector: Connector,
    resolver: Resolver,
    ports: Ports,
    deadline: Duration,
}

impl Prover {
    /// A prover that looks by `config`.
    #[must_use]
    pub fn new(config: ProverConfig) -> Self {
        let ProverConfig {
            http_port,
            tls_port,
            policy,
            resolver,
            deadline,
        } = config;
        let connector = Connector::new(Names::Asked(resolver.clone()), policy);
        Self {
            connector,
            resolver,
            ports: Ports {
                http: http_port,
                tls: tls_port,
            },
            deadline,
        }
    }

    /// Carries out one assignment within its deadline; `clock` is read when the answer has arrived.
    ///
    /// # Errors
    /// [`ProofFailure`] with its class, a sentence for the client, and what was seen on the way.
    pub async fn prove(
        &self,
        assignment: &Assignment,
        clock: impl Fn() -> UnixTime,
    ) -> Result<Proof, ProofFailure> {
        let deadline = Deadline::after(self.deadline);
        let mut seen = Observations::default();
        let outcome = match assignment.kind {
            ChallengeKind::Http01 => http01::prove(self, assignment, deadline, &mut seen).await,
            ChallengeKind::Dns01 => dns01::prove(self, assignment, deadline, &mut seen).await,
            ChallengeKind::TlsAlpn01 => {
                tls_alpn01::prove(self, assignment, deadline, &mut seen).await
            }
        };
        if let Err(fault) = outcome {
            return Err(fault.with(seen));
        }
        let at = clock();
        let caa = match &assignment.caa {
            None => None,
            Some(terms) => {
                let question = CaaQuestion {
                    identifier: assignment.identifier.clone(),
                    method: assignment.kind,
                    terms: terms.clone(),
                };
                let finding = self.caa_within(&question, deadline, &clock).await;
                Some(finding.map_err(|failure| seen.before(failure))?)
            }
        };
        Ok(Proof {
            at,
            observations: seen.into_vec(),
            caa,
        })
    }

    /// Asks, within the deadline of one assignment, whether CAA permits a name that was proven before.
    ///
    /// # Errors
    /// [`ProofFailure`] of the kinds `Caa` and `CaaLookup`.
    pub async fn check_caa(
        &self,
        question: &CaaQuestion,
        clock: impl Fn() -> UnixTime,
    ) -> Result<CaaFinding, ProofFailure> {
        self.caa_within(question, Deadline::after(self.deadline), &clock)
            .await
    }

    async fn caa_within(
        &self,
        question: &CaaQuestion,
        deadline: Deadline,
        clock: &impl Fn() -> UnixTime,
    ) -> Result<CaaFinding, ProofFailure> {
        let mut seen = Observations::default();
        match caa::check(self, question, deadline, clock, &mut seen).await {
            Ok(()) => Ok(CaaFinding {
                at: clock(),
                observations: seen.into_vec(),
            }),
            Err(fault) => Err(fault.with(seen)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_can_be_sought_from_any_thread() {
        fn is_send(_: impl Send) {}
        let resolver = Resolver::new(&["127.0.0.1:53"], chancery_dial::Timing::default());
        let config = ProverConfig::new(resolver.expect("an address"), Policy::default());
        let assignment = Assignment {
            identifier: chancery_pki::San::parse("a.test").expect("a name"),
            kind: ChallengeKind::Http01,
            token: "t".to_owned(),
            key_authorization: "t.k".to_owned(),
            caa: None,
        };
        is_send(Prover::new(config).prove(&assignment, || UnixTime(0)));
    }
}
