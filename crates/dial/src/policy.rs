use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::DialError;
use crate::address::{AddressClass, readings};

/// Which addresses may be dialled. The default permits none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Classes that may be dialled.
    pub classes: BTreeSet<AddressClass>,
    /// Addresses that may be dialled whatever their class is, even where this server listens.
    pub addresses: BTreeSet<IpAddr>,
    /// Where this server listens itself; a listener on `0.0.0.0` or `[::]` stands for each local address.
    pub own_listeners: Vec<SocketAddr>,
}

/// Why an address may not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its class is not among those that the policy names.
    Class(AddressClass),
    /// This server itself listens there.
    OwnListener,
}

impl Policy {
    /// Reads the words of a configuration: names of classes, or single addresses.
    ///
    /// # Errors
    /// [`DialError::UnknownClass`] with the word that is neither.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, DialError> {
        let mut policy = Self::default();
        for word in words {
            if let Some(class) = AddressClass::parse(word) {
                policy.classes.insert(class);
            } else if let Ok(address) = word.parse() {
                policy.addresses.insert(address);
            } else {
                return Err(DialError::UnknownClass {
                    word: word.chars().take(64).collect(),
                });
            }
        }
        Ok(policy)
    }

    /// Permits every address: for a program that dials only what its own operator configured.
    #[must_use]
    pub fn anywhere() -> Self {
        Self {
            classes: AddressClass::ALL.into(),
            ..Self::default()
        }
    }

    /// The same policy, keeping away from these listeners.
    #[must_use]
    pub fn avoiding(mut self, own_listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.own_listeners.extend(own_listeners);
        self
    }

    /// Judges one target, just before it is dialled.
    ///
    /// # Errors
    /// The [`Refusal`] that applies.
    pub fn check(&self, target: SocketAddr) -> Result<(), Refusal> {
        if self.addresses.contains(&target.ip()) {
            return Ok(());
        }
        let class = AddressClass::of(target.ip());
        if !self.classes.contains(&class) {
            return Err(Refusal::Class(class));
        }
        if readings(target.ip()).any(|address| self.is_own_listener(address, target.port())) {
            return Err(Refusal::OwnListener);
        }
        Ok(())
    }

    fn is_own_listener(&self, address: IpAddr, port: u16) -> bool {
        self.own_listeners
            .iter()
            .filter(|own| own.port() == port)
            .any(|own| {
                own.ip().to_canonical() == address || own.ip().is_unspecified() && is_local(address)
            })
    }
}

/// Whether an interface of this host has the address: the kernel lets a socket be bound to no other.
/// Asked only about a port on which this server listens everywhere.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(AddressClass::Metadata) => f.write_str("a cloud metadata address"),
            Self::Class(class) => write!(f, "a {class} address"),
            Self::OwnListener => f.write_str("a listener of this server itself"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    #[test]
    fn the_default_permits_nothing() {
        assert_eq!(
            Policy::default().check(target("8.8.8.8:80")),
            Err(Refusal::Class(AddressClass::Public))
        );
    }

    #[test]
    fn b3_only_named_classes_and_addresses_pass() {
        let policy = Policy::from_words(["public", "private", "127.0.0.9"]).expect("known words");
        for permitted in [
            "8.8.8.8:80",
            "10.0.0.1:80",
            "[2606:4700::1]:80",
            "127.0.0.9:80",
        ] {
            assert_eq!(policy.check(target(permitted)), Ok(()), "{permitted}");
        }
        for (refused, class) in [
            ("127.0.0.1:80", AddressClass::Loopback),
            ("[::1]:80", AddressClass::Loopback),
            ("[::ffff:127.0.0.1]:80", AddressClass::Loopback),
            ("0.0.0.0:80", AddressClass::Reserved),
            ("169.254.169.254:80", AddressClass::Metadata),
            ("[fe80::1]:80", AddressClass::LinkLocal),
            ("[64:ff9b::7f00:1]:80", AddressClass::Loopback),
            ("224.0.0.1:80", AddressClass::Multicast),
        ] {
            assert_eq!(
                policy.check(target(refused)),
                Err(Refusal::Class(class)),
                "{refused}"
            );
        }
    }

    #[test]
    fn b3_own_listeners_are_refused_unless_their_address_is_named() {
        let own = [target("127.0.0.1:8443"), target("0.0.0.0:8080")];
        let policy = Policy::anywhere().avoiding(own);
        assert_eq!(
            policy.check(target("127.0.0.1:8443")),
            Err(Refusal::OwnListener)
        );
        assert_eq!(
            policy.check(target("[::ffff:127.0.0.1]:8443")),
            Err(Refusal::OwnListener)
        );
        assert_eq!(policy.check(target("127.0.0.1:8444")), Ok(()));
        assert_eq!(policy.check(target("127.0.0.2:8443")), Ok(()));
        // A wildcard listener is on each local address, and on no other.
        assert_eq!(
            policy.check(target("127.0.0.1:8080")),
            Err(Refusal::OwnListener)
        );
        assert_eq!(policy.check(target("8.8.8.8:8080")), Ok(()));

        let named = Policy {
            addresses: ["127.0.0.1".parse().expect("an address")].into(),
            ..policy
        };
        assert_eq!(named.check(target("127.0.0.1:8443")), Ok(()));
    }

    #[test]
    fn an_unknown_word_is_refused_by_name() {
        let error = Policy::from_words(["public", "lookback"]).expect_err("not a class");
        assert!(error.to_string().contains("\"lookback\""), "{error}");
    }
}
