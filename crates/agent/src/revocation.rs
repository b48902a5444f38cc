use chancery_acme::{ErrorType, RevokeRequest as Message};
use chancery_pki::RevocationReason;

use crate::account::Account;
use crate::agent::Agent;
use crate::client::Signer;
use crate::job::Job;
use crate::state::Revocation;
use crate::{AgentError, RevokeBy, RevokeRequest};

/// A certificate that its CA has revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Whether the CA had revoked it before.
    pub was_already: bool,
}

impl Agent {
    /// Revokes the installed certificate (RFC 8555 §7.6). Its files stay; it is not renewed any more by itself.
    ///
    /// # Errors
    /// [`AgentError`]; then nothing changed here.
    pub async fn revoke(&self, request: &RevokeRequest) -> Result<Revoked, AgentError> {
        let _lock = self.state.open()?;
        let name = &request.name;
        let mut record = self.record(name)?;
        let live = self
            .state
            .live_files(name)?
            .ok_or_else(|| AgentError::BadFiles {
                folder: self.state.live(name),
                reason: "there is no certificate".to_owned(),
            })?;
        let settings = request.settings.or(&record.settings);
        let job = Job::new(
            name,
            &record.sans().unwrap_or_default(),
            &settings,
            &self.config,
        )?;
        let client = self.connect(&job).await?;
        let message = Message {
            certificate: live.leaf.der().to_vec(),
            // "No reason given" is said by saying nothing (RFC 5280 §5.3.1).
            reason: (request.reason != RevocationReason::Unspecified)
                .then(|| i64::from(request.reason.code())),
        };
        let url = client.directory().revoke_cert.clone();
        let sent = match request.by {
            RevokeBy::Account => {
                let account = Account::existing(&self.state, &job.ca.directory)?;
                let account = account.ok_or_else(|| AgentError::NoAccount {
                    ca: job.ca.directory.clone(),
                })?;
                client
                    .post("the revocation", &url, account.signer(), &message)
                    .await
            }
            RevokeBy::CertificateKey => {
                let key = live.key()?;
                let signer = Signer {
                    key: &key,
                    account: None,
                };
                client.post("the revocation", &url, signer, &message).await
            }
        };
        let was_already = match sent {
            Ok(_) => false,
            Err(AgentError::Refused { problem, .. }) if problem.is(ErrorType::AlreadyRevoked) => {
                true
            }
            Err(error) => return Err(error),
        };
        record.revoked = Some(Revocation {
            at: self.now().0,
            reason: request.reason.name().to_owned(),
        });
        self.state.keep_certificate(name, &record)?;
        Ok(Revoked {
            serial: live.leaf.serial().to_hex(),
            was_already,
        })
    }
}
