//! The names that are certified: a DNS zone and the http-01 answers.

use chancery_simulate::{Tokens, Zone};

/// What a subscriber controls: its part of DNS, and what its web host answers. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Site {
    /// The zone; every name has the address 127.0.0.1 where nothing else is said.
    pub zone: Zone,
    /// What the web host serves for http-01.
    pub tokens: Tokens,
}

impl Site {
    /// Adds the TXT record that dns-01 looks for (RFC 8555 §8.4).
    ///
    /// # Panics
    /// When `name` is not a domain name.
    pub fn add_dns01(&self, name: &str, value: &str) {
        let owner = format!("_acme-challenge.{name}");
        self.zone
            .add_txt(&owner, value)
            .expect("a name with a TXT record");
    }

    /// Takes it away again.
    ///
    /// # Panics
    /// When `name` is not a domain name.
    pub fn remove_dns01(&self, name: &str, value: &str) {
        let owner = format!("_acme-challenge.{name}");
        self.zone
            .remove_txt(&owner, value)
            .expect("a name with a TXT record");
    }
}
