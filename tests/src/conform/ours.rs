//! Our own, with its operator at hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Check, Column, Credential, Operator, Surroundings, Target, Verdict, Web, run};
use crate::{Authority, Setup};

/// The domain below which names are made.
const DOMAIN: &str = "conform.test";
/// The name that it is told to refuse.
const REFUSED: &str = "refused.conform.test";
const TERMS: &str = "gateway.server.terms_of_service";
/// What follows the end of an account is done behind its answer.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// More than any other check places.
const ORDERS_FOR_ONE_NAME_MAX: usize = 12;

/// Whoever holds the authority's files and verbs.
struct Owner(Mutex<Authority>);

impl Owner {
    fn authority(&self) -> MutexGuard<'_, Authority> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operator for Owner {
    fn change_terms(&self) -> bool {
        let mut authority = self.authority();
        authority.set(TERMS, "https://conform.test/terms/2");
        authority.restart();
        true
    }

    fn single_use_credential(&self) -> Option<Credential> {
        credential(&self.authority(), &["--single-use"])
    }

    fn orders_for_one_name_max(&self) -> Option<usize> {
        Some(ORDERS_FOR_ONE_NAME_MAX)
    }

    fn order_status(&self, name: &str) -> Option<String> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let status = order_status(&self.authority(), name)?;
            if status != "pending" || Instant::now() > deadline {
                return Some(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn order_status(authority: &Authority, name: &str) -> Option<String> {
    let orders = authority.told(&["order", "list"]);
    let named = |order: &&Value| {
        let names = order["names"].as_array();
        names.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let order = orders.iter().find(named)?;
    order["status"].as_str().map(str::to_owned)
}

/// An external account, where the authority has such.
fn credential(authority: &Authority, more: &[&str]) -> Option<Credential> {
    let words = ["eab", "create", "--gateway", "server", "--json"];
    let finished = authority.operator(&[&words, more].concat());
    let made: Value = serde_json::from_str(finished.stdout.trim()).ok()?;
    Some(Credential {
        kid: made["kid"].as_str()?.to_owned(),
        key: made["hmac_key"].as_str()?.to_owned(),
    })
}

impl Column {
    /// Starts our own with terms and a name that it refuses, and asks it these.
    ///
    /// # Errors
    /// When it cannot be examined.
    ///
    /// # Panics
    /// When the program was not built.
    pub fn of_chancery(
        asked: &[&'static Check],
        each: impl FnMut(&'static Check, &Verdict),
    ) -> Result<Self, String> {
        let configuration = format!("[gateway.server]\nnames = {{ deny = [\"{REFUSED}\"] }}\n");
        let one_name = format!("{ORDERS_FOR_ONE_NAME_MAX}/1h");
        let setup = Setup::new()
            .configuration(&configuration)
            .set(TERMS, "https://conform.test/terms/1")
            .set("gateway.server.pre_authorization", true)
            .set("gateway.server.external_account_required", true)
            .set("limits.enabled", true)
            .set("limits.orders_per_exact_set", one_name)
            .without_web_host();
        let mut authority = Authority::prepare(setup);
        authority.try_serve().map_err(|error| error.to_string())?;
        let port = authority.http_port();
        let target = Target::open(Surroundings {
            directory: authority.directory().to_owned(),
            root_pem: authority.root_pem(),
            web: Web::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?,
            zone: Some(authority.site().zone.clone()),
            domain: DOMAIN.to_owned(),
            credential: credential(&authority, &[]),
            refused_name: Some(REFUSED.to_owned()),
            operator: Some(Box::new(Owner(Mutex::new(authority)))),
        })?;
        Ok(Self {
            server: "chancery".to_owned(),
            found: run(&target, asked, each),
        })
    }
}
