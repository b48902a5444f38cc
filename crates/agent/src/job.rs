use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use chancery_pki::San;

use crate::client::read_https;
use crate::config::AgentConfig;
use crate::{AgentError, CertName, Http01, KeyType, Settings};

/// One certificate with everything decided that is needed to obtain it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) name: CertName,
    pub(crate) names: BTreeSet<San>,
    pub(crate) ca: Ca,
    pub(crate) http01: Http01,
    pub(crate) key_type: KeyType,
    pub(crate) reuse_key: bool,
}

/// A CA and how it is believed.
#[derive(Debug, Clone)]
pub(crate) struct Ca {
    /// The URL of its directory.
    pub(crate) directory: String,
    /// The trust anchors in PEM.
    pub(crate) root_pem: Vec<u8>,
    /// Where those were read.
    pub(crate) root_file: PathBuf,
}

impl Job {
    /// Fills in what `settings` leaves open.
    ///
    /// # Errors
    /// The variants of [`AgentError`] about configuration.
    pub(crate) fn new(
        name: &CertName,
        names: &BTreeSet<San>,
        settings: &Settings,
        config: &AgentConfig,
    ) -> Result<Self, AgentError> {
        let all = settings.or(&config.defaults);
        Ok(Self {
            name: name.clone(),
            names: names.clone(),
            ca: Ca::new(&all, config)?,
            http01: all.http01.unwrap_or_default(),
            key_type: all.key_type.unwrap_or_default(),
            reuse_key: all.reuse_key.unwrap_or_default(),
        })
    }
}

impl Ca {
    /// The CA of these settings, which are complete.
    pub(crate) fn new(settings: &Settings, config: &AgentConfig) -> Result<Self, AgentError> {
        let directory = settings.ca.clone().ok_or_else(|| AgentError::NoCa {
            config: config.file.clone(),
        })?;
        read_https(&directory).map_err(|reason| AgentError::BadCa { reason })?;
        let root_file = settings.root.clone().ok_or_else(|| AgentError::NoRoot {
            ca: directory.clone(),
            config: config.file.clone(),
        })?;
        let root_pem = fs::read(&root_file).map_err(|error| AgentError::BadRoot {
            path: root_file.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            directory,
            root_pem,
            root_file,
        })
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;
    use crate::Request;

    #[test]
    fn without_a_ca_or_a_root_the_error_says_what_to_give() {
        let folder = TempDir::new("agent-job").expect("made");
        let mut config = AgentConfig::new(folder.path());
        let request = Request::new(&["a.test"]).expect("good");
        let job = |config: &AgentConfig| {
            Job::new(request.name(), request.names(), &request.settings, config)
        };
        let check = |config: &AgentConfig, told: &str| {
            let error = job(config).expect_err("refused");
            assert!(
                error.is_usage() && error.to_string().contains(told),
                "{error}"
            );
        };
        check(&config, "--ca");
        config.defaults.ca = Some("http://ca.test/".to_owned());
        check(&config, "not https");
        config.defaults.ca = Some("https://ca.test/".to_owned());
        check(&config, "--root FILE");
        config.defaults.root = Some(folder.join("root.pem"));
        check(&config, "root.pem");
        fs::write(folder.join("root.pem"), "PEM").expect("written");
        let job = job(&config).expect("complete");
        assert_eq!(
            (job.key_type, job.http01),
            (KeyType::EcdsaP256, Http01::default())
        );
    }
}
