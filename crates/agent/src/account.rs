//! The account at a CA: found or made, with a key of its own.

use chancery_acme::{Account as WireAccount, AccountStatus, NewAccount, check_contact};
use chancery_crypto::PrivateKey;
use chancery_jose::{Jwk, Thumbprint};

use crate::client::{Client, Signer};
use crate::config::AgentConfig;
use crate::error::shown;
use crate::failpoint::failpoint;
use crate::state::{AccountRecord, State};
use crate::{AgentError, KeyType};

/// An account that may place orders.
pub(crate) struct Account {
    key: PrivateKey,
    url: String,
}

impl Account {
    /// The account at the CA `ca`: the one on disk, or a new one. The key is on disk before the CA hears of it, so an
    /// account that was made just before a crash is found again by its key (RFC 8555 §7.3.1).
    pub(crate) async fn open(
        state: &State,
        ca: &str,
        client: &Client,
        config: &AgentConfig,
    ) -> Result<Self, AgentError> {
        let key = match state.account_key(ca)? {
            Some(key) => key,
            None => {
                let key = KeyType::EcdsaP256.generate().await?;
                state.keep_account_key(ca, &key)?;
                failpoint("account-key-written");
                key
            }
        };
        if let Some(record) = state.account(ca)? {
            return Ok(Self {
                key,
                url: record.url,
            });
        }
        let url = register(client, config, &key).await?;
        failpoint("account-registered");
        state.keep_account(&AccountRecord {
            ca: ca.to_owned(),
            url: url.clone(),
        })?;
        failpoint("account-recorded");
        Ok(Self { key, url })
    }

    /// The account on disk, for what makes no sense with a new one.
    pub(crate) fn existing(state: &State, ca: &str) -> Result<Option<Self>, AgentError> {
        let (Some(key), Some(record)) = (state.account_key(ca)?, state.account(ca)?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            key,
            url: record.url,
        }))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer {
            key: &self.key,
            account: Some(&self.url),
        }
    }

    /// The half of each key authorization that is the account's.
    pub(crate) fn thumbprint(&self) -> Thumbprint {
        Jwk::from_key(self.key.public()).thumbprint()
    }
}

async fn register(
    client: &Client,
    config: &AgentConfig,
    key: &PrivateKey,
) -> Result<String, AgentError> {
    const WHAT: &str = "newAccount";
    let bad = |reason: &str| AgentError::BadAnswer {
        what: WHAT,
        reason: reason.to_owned(),
    };
    let signer = Signer { key, account: None };
    let url = &client.directory().new_account;
    let message = message(client, config, key)?;
    let reply = client.post(WHAT, url, signer, &message).await?;
    let account: WireAccount = reply.json(WHAT)?;
    if account.status != AccountStatus::Valid {
        return Err(bad("the account of this key is not valid any more"));
    }
    let url = reply.location.ok_or_else(|| bad("it has no Location"))?;
    tracing::info!("registered with the CA");
    Ok(url)
}

fn message(
    client: &Client,
    config: &AgentConfig,
    key: &PrivateKey,
) -> Result<NewAccount, AgentError> {
    let meta = client.directory().meta.clone().unwrap_or_default();
    if meta.external_account_required && config.external_account.is_none() {
        return Err(AgentError::ExternalAccountRequired);
    }
    let account = Jwk::from_key(key.public());
    let binding = config.external_account.as_ref().and_then(|external| {
        let text = external.vouch(&client.directory().new_account, &account);
        serde_json::from_str(&text).ok()
    });
    // Nobody's agreement is assumed (RFC 8555 §7.3.3).
    if let (Some(terms), false) = (&meta.terms_of_service, config.agree_terms) {
        return Err(AgentError::TermsNotAgreed { url: shown(terms) });
    }
    for contact in &config.contact {
        check_contact(contact).map_err(|problem| AgentError::BadContact {
            reason: problem.detail,
        })?;
    }
    Ok(NewAccount {
        contact: config.contact.clone(),
        terms_of_service_agreed: meta.terms_of_service.is_some(),
        external_account_binding: binding,
        ..NewAccount::default()
    })
}
