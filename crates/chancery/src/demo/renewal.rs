//! The renewal of the demonstration: at the moment that was drawn in the window that the authority advises, and once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chancery_acme::{
    CertId, Directory, ErrorType, NewOrder, Problem, WireIdentifier, from_slice_bounded,
};
use chancery_agent::{Clock, Installed, RenewRequest, RenewalOutcome, RenewalRule, SystemClock};
use chancery_crypto::PrivateKey;
use chancery_dial::Url;
use chancery_jose::{MEDIA_TYPE, SignWith, sign};
use chancery_pki::{San, UnixTime, pem};

use super::{NAME, Steps, World, expect, leaf};
use crate::Exit;

/// The machine's clock, put forward: nobody waits a month for a demonstration.
#[derive(Clone, Default)]
pub(super) struct ShiftedClock(Arc<AtomicU64>);

impl ShiftedClock {
    fn put_forward_to(&self, time: UnixTime) {
        let secs = self.now().seconds_until(time);
        let secs = u64::try_from(secs).unwrap_or_default();
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> UnixTime {
        SystemClock.now().plus(self.0.load(Ordering::SeqCst))
    }
}

impl World {
    /// Renews as a timer would: nothing happens before the moment that was drawn, and then it does.
    pub(super) async fn renew(
        &self,
        first: &Installed,
        steps: &mut Steps,
    ) -> Result<Installed, Exit> {
        let id = CertId::of(&leaf(first)?).ok_or_else(|| Exit::failed("it names no issuer"))?;
        let (renew_at, window) = match self.renewal().await? {
            RenewalOutcome::NotDue {
                renew_at,
                rule: RenewalRule::Advice(window),
            } => (renew_at, window),
            other => {
                let reason = format!("the agent was to wait for the advised time: {other:?}");
                return Err(Exit::failed(reason));
            }
        };
        steps.done(&format!(
            "the authority advises renewal from {} to {}; the agent drew {}",
            window.start.to_rfc3339(),
            window.end.to_rfc3339(),
            renew_at.to_rfc3339(),
        ));
        self.clock.put_forward_to(renew_at);
        let RenewalOutcome::Renewed(second) = self.renewal().await? else {
            return Err(Exit::failed("the agent renewed nothing"));
        };
        expect(
            second.serial != first.serial,
            "the renewal brought the same certificate",
        )?;
        steps.done("its clock was put forward to then, and it renewed, with a fresh key");
        let problem = self.replace_again(&id).await?;
        expect(
            problem.is(ErrorType::AlreadyReplaced),
            "a second replacement was not refused as such",
        )?;
        steps.done("another order to replace the first certificate is refused: alreadyReplaced");
        Ok(second)
    }

    async fn renewal(&self) -> Result<RenewalOutcome, Exit> {
        let renewals = self.agent.renew(&RenewRequest::default()).await;
        let renewal = renewals.map_err(Exit::failed)?.pop();
        match renewal.map(|renewal| renewal.outcome) {
            Some(RenewalOutcome::Failed(error)) => Err(Exit::failed(error)),
            Some(outcome) => Ok(outcome),
            None => Err(Exit::failed("the agent knows of no certificate")),
        }
    }

    /// Places an order by hand that replaces the certificate of this name. What comes must be a refusal.
    async fn replace_again(&self, replaced: &CertId) -> Result<Problem, Exit> {
        let http = self.http_client()?;
        let url = |text: &str| Url::parse(text).map_err(Exit::failed);
        let directory = http.get(&url(&self.authority.directory)?).await;
        let directory = directory.map_err(Exit::failed)?;
        let directory: Directory = from_slice_bounded(&directory.body).map_err(Exit::failed)?;
        let fresh = http.head(&url(&directory.new_nonce)?).await;
        let fresh = fresh.map_err(Exit::failed)?.headers;
        let nonce = fresh.get("replay-nonce").and_then(|it| it.to_str().ok());
        let name = San::parse(NAME).map_err(Exit::failed)?;
        let order = NewOrder {
            identifiers: vec![WireIdentifier::from(&name)],
            replaces: Some(replaced.to_string()),
            ..NewOrder::default()
        };
        let order = serde_json::to_vec(&order).map_err(Exit::failed)?;
        let (key, account) = account(&self.state.join("accounts"))?;
        let with = SignWith::Kid(&account);
        let body = sign(&key, &directory.new_order, nonce, with, Some(&order));
        let body = body.map_err(Exit::failed)?;
        let new_order = url(&directory.new_order)?;
        let answer = http.post(&new_order, MEDIA_TYPE, body).await;
        let answer = answer.map_err(Exit::failed)?;
        from_slice_bounded(&answer.body).map_err(Exit::failed)
    }
}

/// Key and URL of the agent's one account.
fn account(folder: &Path) -> Result<(PrivateKey, String), Exit> {
    let mut folders = std::fs::read_dir(folder).map_err(Exit::failed)?;
    let folder = folders
        .next()
        .ok_or_else(|| Exit::failed("the agent has no account"))?;
    let folder = folder.map_err(Exit::failed)?.path();
    let key = std::fs::read_to_string(folder.join("account.key")).map_err(Exit::failed)?;
    let blocks = pem::decode(&key, "PRIVATE KEY", 1).map_err(Exit::failed)?;
    let der = blocks
        .first()
        .ok_or_else(|| Exit::failed("account.key is empty"))?;
    let key = PrivateKey::from_pkcs8(der).map_err(Exit::failed)?;
    let record = std::fs::read(folder.join("account.json")).map_err(Exit::failed)?;
    let record: serde_json::Value = serde_json::from_slice(&record).map_err(Exit::failed)?;
    let url = record.get("url").and_then(serde_json::Value::as_str);
    let url = url.ok_or_else(|| Exit::failed("account.json names no account"))?;
    Ok((key, url.to_owned()))
}
