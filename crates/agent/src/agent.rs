use std::sync::Arc;

use chancery_acme::CertId;
use chancery_crypto::PrivateKey;
use chancery_pki::{UnixTime, csr};

use crate::account::Account;
use crate::check::{self, Checked};
use crate::client::Client;
use crate::config::AgentConfig;
use crate::due::Due;
use crate::failpoint::failpoint;
use crate::installed::Installed;
use crate::job::Job;
use crate::order::Run;
use crate::solver::{Solver, Webroot};
use crate::state::{CertificateRecord, Files, OrderRecord, State, Step};
use crate::{AgentError, Request, key_file};

/// An agent at work on one state folder. Each operation holds the folder's lock while it lasts.
#[derive(Debug, Clone)]
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) state: State,
}

impl Agent {
    /// An agent with this configuration. Nothing is read or made yet.
    #[must_use]
    pub fn new(config: AgentConfig) -> Self {
        let state = State::new(&config.state);
        Self { config, state }
    }

    /// Obtains and installs a certificate, or keeps the one that is there if it is what is asked for and not due.
    ///
    /// An order that an earlier run left behind is brought to its end first.
    ///
    /// # Errors
    /// [`AgentError`]. What was installed before stays installed.
    pub async fn obtain(&self, request: &Request) -> Result<Installed, AgentError> {
        let job = Job::new(
            request.name(),
            request.names(),
            &request.settings,
            &self.config,
        )?;
        let _lock = self.state.open()?;
        let known = self.state.certificate(&job.name)?;
        let mut wanted =
            CertificateRecord::of(request, &job.ca.directory).with_advice_of(known.as_ref());
        if self.state.order(&job.name)?.is_none()
            && let Some(kept) = self.still_good(&job, known.as_ref())?
        {
            if known.as_ref() != Some(&wanted) {
                self.state.keep_certificate(&job.name, &wanted)?;
            }
            return Ok(kept);
        }
        if known.is_none() {
            // So that `renew` goes on with it if this run is killed.
            self.state.keep_certificate(&job.name, &wanted)?;
        }
        match self.issue(&job, &mut wanted).await {
            Ok(installed) => Ok(installed),
            Err(error) => {
                match known {
                    // A wish that was never fulfilled is not pursued behind the operator's back.
                    None => self.state.forget_certificate(&job.name)?,
                    Some(mut known) if known.names == wanted.names => {
                        self.failed(&job.name, &mut known, &error)?;
                    }
                    Some(_) => {}
                }
                Err(error)
            }
        }
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.config.clock.now()
    }

    /// The installed certificate, if it is what the job asks for and its time has not come.
    fn still_good(
        &self,
        job: &Job,
        known: Option<&CertificateRecord>,
    ) -> Result<Option<Installed>, AgentError> {
        let Some(known) = known.filter(|known| known.revoked.is_none()) else {
            return Ok(None);
        };
        let live = match self.state.live_files(&job.name) {
            Ok(Some(live)) => live,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(None);
            }
        };
        let names = live.leaf.sans().iter().cloned().collect();
        let same = job.names == names
            && known.ca == job.ca.directory
            && job.key_type.fits(live.leaf.spki().key());
        if !same || self.now() >= Due::of(&live.leaf, known).at {
            return Ok(None);
        }
        let folder = self.state.live(&job.name);
        let installed = Installed::of(&job.name, &live.leaf, known, folder, live.generation);
        Ok(Some(Installed {
            is_new: false,
            ..installed
        }))
    }

    /// Obtains and installs one certificate, from wherever an earlier run left off. `record` says that it is wanted.
    pub(crate) async fn issue(
        &self,
        job: &Job,
        record: &mut CertificateRecord,
    ) -> Result<Installed, AgentError> {
        let mut found = self.order_under_way(job)?;
        if let Some((order, key)) = &found
            && let Step::Downloaded { chain } = &order.step
        {
            match self.check(job, chain.as_bytes(), key) {
                Ok(checked) => return self.install(job, &checked, key, record),
                Err(error) => {
                    tracing::warn!(
                        "a certificate that was downloaded earlier is of no use: {error}"
                    );
                    self.state.forget_order(&job.name)?;
                    found = None;
                }
            }
        }
        // A taken port or a wrong folder shows before the CA is asked for anything.
        let mut solver = Solver::open(&job.http01).await?;
        let ordered = self.order(job, found, &mut solver).await;
        solver.close().await;
        let (order, key, chain) = ordered?;
        let checked = self.unless_it_ends(job, self.check(job, &chain, &key))?;
        self.keep_downloaded(job, order, &checked)?;
        self.install(job, &checked, &key, record)
    }

    /// Takes an order to its certificate: the one found, or a new one.
    async fn order(
        &self,
        job: &Job,
        found: Option<(OrderRecord, PrivateKey)>,
        solver: &mut Solver,
    ) -> Result<(OrderRecord, PrivateKey, Vec<u8>), AgentError> {
        let client = self.connect(job).await?;
        let account = self.account(job, &client).await?;
        let found = found.filter(|(record, _)| record.account == account.url());
        match self.order_as(job, &client, &account, found, solver).await {
            Err(error) if is_account_unknown(&error) => {
                tracing::warn!(
                    "the CA does not know the account of this machine any more; registering a new one"
                );
                self.state.set_account_aside(&job.ca.directory)?;
                let account = self.account(job, &client).await?;
                self.order_as(job, &client, &account, None, solver).await
            }
            ordered => ordered,
        }
    }

    async fn order_as(
        &self,
        job: &Job,
        client: &Client,
        account: &Account,
        found: Option<(OrderRecord, PrivateKey)>,
        solver: &mut Solver,
    ) -> Result<(OrderRecord, PrivateKey, Vec<u8>), AgentError> {
        let (record, key) = match found {
            Some(found) => found,
            None => self.prepare(job, client, account).await?,
        };
        let run = Run {
            job,
            client,
            account,
            state: &self.state,
            clock: self.config.clock.as_ref(),
            solver,
            record,
        };
        let (record, chain) = self.unless_it_ends(job, run.finish().await)?;
        Ok((record, key, chain))
    }

    /// An order that can come to no good end is forgotten; any other is left for the next run.
    fn unless_it_ends<T>(&self, job: &Job, result: Result<T, AgentError>) -> Result<T, AgentError> {
        if let Err(error) = &result
            && error.ends_order()
        {
            self.state.forget_order(&job.name)?;
        }
        result
    }

    /// The order that an earlier run left, if it is for the same. What it left in a web server's folder is removed.
    fn order_under_way(&self, job: &Job) -> Result<Option<(OrderRecord, PrivateKey)>, AgentError> {
        let Some((record, key)) = self.state.order(&job.name)? else {
            return Ok(None);
        };
        for published in &record.published {
            if let Some(token) = published.token() {
                Webroot::remove_left(&published.webroot, &token)?;
            }
        }
        let names: Vec<String> = job.names.iter().map(ToString::to_string).collect();
        let same = record.names == names
            && record.ca == job.ca.directory
            && job.key_type.fits(key.public());
        if same {
            tracing::info!(
                "going on with an order that an earlier run left ({})",
                record.step.name()
            );
            return Ok(Some((record, key)));
        }
        self.state.forget_order(&job.name)?;
        Ok(None)
    }

    pub(crate) async fn connect(&self, job: &Job) -> Result<Client, AgentError> {
        let ca = &job.ca;
        let clock = Arc::clone(&self.config.clock);
        Client::connect(&ca.directory, &ca.root_pem, &ca.root_file, clock).await
    }

    async fn account(&self, job: &Job, client: &Client) -> Result<Account, AgentError> {
        Account::open(&self.state, &job.ca.directory, client, &self.config).await
    }

    /// Makes key and CSR and puts both on disk, before the CA hears of the order.
    async fn prepare(
        &self,
        job: &Job,
        client: &Client,
        account: &Account,
    ) -> Result<(OrderRecord, PrivateKey), AgentError> {
        let key = match self.reused_key(job)? {
            Some(key) => key,
            None => job.key_type.generate().await?,
        };
        if key.public() == account.key().public() {
            return Err(AgentError::KeyIsAccountKey {
                path: self.state.live(&job.name),
            });
        }
        let names: Vec<_> = job.names.iter().cloned().collect();
        let csr = csr::build(&key, &names)?;
        let names = names.iter().map(ToString::to_string).collect();
        let mut record = OrderRecord::new(names, &job.ca.directory, account.url(), &csr);
        record.replaces = self.replaced(job, client);
        self.state.forget_order(&job.name)?;
        self.state.keep_order_key(&job.name, &key)?;
        self.state.keep_order(&job.name, &record)?;
        failpoint("order-prepared");
        Ok((record, key))
    }

    /// The certificate that an order takes the place of, if its CA wants to know (RFC 9773 §5): it then counts as renewal
    /// and not as one more. Another CA has not issued it.
    fn replaced(&self, job: &Job, client: &Client) -> Option<String> {
        client.directory().renewal_info.as_ref()?;
        let known = self.state.certificate(&job.name).ok().flatten()?;
        let leaf = self.state.live_files(&job.name).ok().flatten()?.leaf;
        let is_of_this_ca = known.ca == job.ca.directory;
        let shares_a_name = leaf.sans().iter().any(|name| job.names.contains(name));
        let certificate = CertId::of(&leaf).filter(|_| is_of_this_ca && shares_a_name)?;
        Some(certificate.to_string())
    }

    fn reused_key(&self, job: &Job) -> Result<Option<PrivateKey>, AgentError> {
        if !job.reuse_key {
            return Ok(None);
        }
        let Some(live) = self.state.live_files(&job.name)? else {
            return Ok(None);
        };
        Ok(Some(live.key()?).filter(|key| job.key_type.fits(key.public())))
    }

    fn check(&self, job: &Job, chain: &[u8], key: &PrivateKey) -> Result<Checked, AgentError> {
        let roots = check::roots(&job.ca.root_pem);
        Ok(Checked::new(
            chain,
            key.public(),
            &job.names,
            &roots,
            self.now(),
        )?)
    }

    /// From here on the certificate is on disk: the CA is not needed any more.
    fn keep_downloaded(
        &self,
        job: &Job,
        mut record: OrderRecord,
        checked: &Checked,
    ) -> Result<(), AgentError> {
        record.published.clear();
        record.step = Step::Downloaded {
            chain: checked.cert_pem() + &checked.chain_pem(),
        };
        self.state.keep_order(&job.name, &record)?;
        failpoint("chain-recorded");
        Ok(())
    }

    fn install(
        &self,
        job: &Job,
        checked: &Checked,
        key: &PrivateKey,
        record: &mut CertificateRecord,
    ) -> Result<Installed, AgentError> {
        record.failure = None;
        record.revoked = None;
        // It was about the certificate that goes.
        record.advice = None;
        // Before the files: whoever finds them afterwards finds that they are wanted.
        self.state.keep_certificate(&job.name, record)?;
        failpoint("certificate-recorded");
        let files = Files {
            privkey: key_file::to_pem(key)?,
            cert: checked.cert_pem(),
            chain: checked.chain_pem(),
        };
        let generation = self.state.install(&job.name, &files)?;
        self.state.forget_order(&job.name)?;
        let folder = self.state.live(&job.name);
        Ok(Installed::of(
            &job.name,
            checked.leaf(),
            record,
            folder,
            Some(generation),
        ))
    }
}

fn is_account_unknown(error: &AgentError) -> bool {
    let AgentError::Refused { problem, .. } = error else {
        return false;
    };
    problem.is(chancery_acme::ErrorType::AccountDoesNotExist)
}
