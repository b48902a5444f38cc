//! The servers of one run: those that are started for it, or the one that runs.

use std::path::PathBuf;

use chancery_simulate::{Dns, Zone};
use chancery_testkit::require;

use super::{
    Check, Column, Options, Pebble, Report, Surroundings, Target, Verdict, Web, checks, run,
};
use crate::runtime;

/// A pebble that locks up is replaced so often.
const PEBBLES_MAX: usize = 3;

/// Asks every server that the command line names; `each` hears of every verdict as it falls.
///
/// # Errors
/// When a server cannot be started or found.
pub fn examine(
    options: &Options,
    mut each: impl FnMut(&str, &'static Check, &Verdict),
) -> Result<Report, String> {
    let mut asked = checks();
    asked.retain(|check| options.only.is_empty() || options.only.contains(&check.number));
    let mut report = Report::default();
    if let Some(url) = &options.url {
        let (target, _dns) = running(options, url)?;
        report.columns.push(column(url, &target, &asked, &mut each));
    }
    for server in &options.servers {
        let column = match server.as_str() {
            "pebble" => Column::of_pebble(&asked, |c, v| each(server, c, v))?,
            _ => Column::of_chancery(&asked, |c, v| each(server, c, v))?,
        };
        report.columns.push(column);
    }
    Ok(report)
}

fn column(
    name: &str,
    target: &Target,
    asked: &[&'static Check],
    each: &mut impl FnMut(&str, &'static Check, &Verdict),
) -> Column {
    Column {
        server: name.to_owned(),
        found: run(target, asked, |check, verdict| each(name, check, verdict)),
    }
}

fn running(options: &Options, url: &str) -> Result<(Target, Option<Dns>), String> {
    let root: PathBuf = options.root.clone().unwrap_or_default();
    let root_pem = std::fs::read_to_string(&root);
    let root_pem = root_pem.map_err(|error| format!("{}: {error}", root.display()))?;
    if !root_pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(format!("{}: no certificate in PEM", root.display()));
    }
    let web = Web::start(options.web)?;
    let zone = Zone::new();
    zone.set_default_a(web.reached_at());
    let dns = match options.dns {
        Some(addr) => {
            let dns = runtime().block_on(Dns::start(addr, zone.clone()));
            Some(dns.map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let target = Target::open(Surroundings {
        directory: url.to_owned(),
        root_pem,
        web,
        zone: dns.is_some().then_some(zone),
        domain: options.domain.clone(),
        credential: options.credential.clone(),
        refused_name: options.refused_name.clone(),
        operator: None,
    })?;
    Ok((target, dns))
}

impl Column {
    /// Starts Debian's pebble and asks it these; one that locks up meanwhile is replaced and asked again.
    ///
    /// # Errors
    /// When there is none, or each of several locked up.
    pub fn of_pebble(
        asked: &[&'static Check],
        mut each: impl FnMut(&'static Check, &Verdict),
    ) -> Result<Self, String> {
        let program = require("pebble").ok_or("pebble is missing; it is in Debian's package")?;
        for _ in 0..PEBBLES_MAX {
            let pebble = Pebble::start(&program)?;
            let found = run(pebble.target(), asked, &mut each);
            if pebble.is_running() && !pebble.target().is_silent() {
                return Ok(Self {
                    server: "pebble".to_owned(),
                    found,
                });
            }
        }
        Err(format!(
            "{PEBBLES_MAX} times pebble locked up while it was examined"
        ))
    }
}
