//! Named entrances and what may be asked for at each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chancery_acme::ChallengeKind;
use chancery_pki::{DnsName, Profile, San};

use crate::address_range::AddressRange;
use crate::binding::Binding;
use crate::caa::CaaRules;
use crate::refusal::{NameRefusal, Refusal};

/// Names in one order; 100 of them make a certificate of about 3 KiB.
pub const NAMES_PER_ORDER_MAX: usize = 100;

/// A named entrance to the authority: a protocol with its challenges, profiles and rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The path segment in its URLs.
    pub name: String,
    /// Methods offered for plain DNS names.
    pub challenges: Vec<ChallengeKind>,
    /// Profiles offered; the first is used where the client names none. Never empty.
    pub profiles: Vec<Profile>,
    /// Terms that an account must agree to.
    pub terms_of_service: Option<String>,
    /// Which names may be asked for.
    pub names: NameRules,
    /// Which names' owners are asked, by CAA, whether this authority may issue.
    pub caa: CaaRules,
    /// Whether authorizations can be had without an order (§7.4.1).
    pub pre_authorization: Offer,
    /// Whether what was proven for one order serves later ones of the account.
    pub reuse: Offer,
    /// Who may have an account.
    pub binding_rule: BindingRule,
}

/// Who may have an account at a gateway (§7.3.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BindingRule {
    /// Who shows a binding that an operator made; others may not, nor may accounts from before that rule order.
    Required,
    /// Anybody; a binding that is shown narrows what the account may ask for.
    #[default]
    Accepted,
}

/// Whether a gateway offers something that it need not offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offer {
    /// It does.
    Made,
    /// It does not.
    #[default]
    NotMade,
}

/// All entrances of one server.
pub type Gateways = BTreeMap<String, Gateway>;

/// Names that a gateway accepts. Nothing is accepted that no pattern allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRules {
    /// Patterns that allow; an empty list allows nothing.
    pub allow: Vec<NamePattern>,
    /// Patterns that refuse, whatever is allowed.
    pub deny: Vec<NamePattern>,
    /// What the account's binding is for, where it has one: a name must be allowed by both.
    pub scope: Option<Vec<NamePattern>>,
}

/// One pattern of a name rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// `*`: every name and every address.
    Any,
    /// `*.x`: every name below `x`.
    Below(DnsName),
    /// `x`: this name.
    Exactly(DnsName),
    /// `10.0.0.0/8`: the addresses in it; an address alone is a range of one.
    Within(AddressRange),
}

impl NamePattern {
    /// Reads `*`, `*.example.org`, `host.example.org`, `10.0.0.0/8` or `192.0.2.7`.
    ///
    /// # Errors
    /// The text, when it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        // No name holds a slash or a colon, and none ends in a number.
        if text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok() {
            return AddressRange::parse(text)
                .map(Self::Within)
                .map_err(|error| format!("{text:?} is not a range of addresses: {error}"));
        }
        match text.strip_prefix("*.") {
            Some(base) => DnsName::parse(base).map(Self::Below),
            None => DnsName::parse(text).map(Self::Exactly),
        }
        .map_err(|error| format!("{text:?} is not a name pattern: {error}"))
    }

    fn matches(&self, name: &San) -> bool {
        match (self, name) {
            (Self::Any, _) => true,
            (Self::Below(parent), San::Dns(base)) => base.is_subdomain_of(parent),
            // `*.x` covers the wildcard of x itself: every name it can stand for is below x.
            (Self::Below(parent), San::Wildcard(base)) => {
                base.is_subdomain_of(parent) || base == parent
            }
            (Self::Exactly(only), San::Dns(base)) => base == only,
            (Self::Within(range), San::Ip(address)) => range.contains(*address),
            (Self::Exactly(_), San::Wildcard(_))
            | (Self::Below(_) | Self::Exactly(_), San::Ip(_))
            | (Self::Within(_), San::Dns(_) | San::Wildcard(_)) => false,
        }
    }

    /// Whether some name that `name` stands for is matched; a wildcard must not slip past a refusal below it.
    fn touches(&self, name: &San) -> bool {
        match (self, name) {
            (Self::Below(below) | Self::Exactly(below), San::Wildcard(base)) => {
                self.matches(name) || below.is_subdomain_of(base)
            }
            _ => self.matches(name),
        }
    }
}

impl NameRules {
    /// Every address, and every name that has at least two labels.
    #[must_use]
    pub fn any() -> Self {
        Self {
            allow: vec![NamePattern::Any],
            deny: Vec::new(),
            scope: None,
        }
    }

    /// Says which of the names are refused, and why.
    ///
    /// # Errors
    /// [`Refusal::RejectedNames`].
    pub fn check_all<'a>(&self, names: impl IntoIterator<Item = &'a San>) -> Result<(), Refusal> {
        let refused = |name: &'a San| Some((name.clone(), self.check(name).err()?));
        let rejected: Vec<_> = names.into_iter().filter_map(refused).collect();
        if rejected.is_empty() {
            return Ok(());
        }
        Err(Refusal::RejectedNames(rejected))
    }

    /// Says why `name` is refused.
    ///
    /// # Errors
    /// [`NameRefusal`].
    pub fn check(&self, name: &San) -> Result<(), NameRefusal> {
        if let San::Dns(dns) | San::Wildcard(dns) = name
            && dns.labels().count() < 2
        {
            return Err(NameRefusal::SingleLabel);
        }
        if self.deny.iter().any(|pattern| pattern.touches(name)) {
            return Err(NameRefusal::Denied);
        }
        if !self.allow.iter().any(|pattern| pattern.matches(name)) {
            return Err(NameRefusal::NotAllowed);
        }
        let outside = |scope: &Vec<NamePattern>| !scope.iter().any(|it| it.matches(name));
        if self.scope.as_ref().is_some_and(outside) {
            return Err(NameRefusal::OutsideBinding);
        }
        Ok(())
    }
}

impl Gateway {
    /// The gateway as the accounts of a binding see it: what both allow.
    #[must_use]
    pub fn within(&self, binding: &Binding) -> Self {
        let scope = &binding.scope;
        let mut narrow = self.clone();
        narrow.names.scope = Some(scope.patterns());
        if let Some(only) = &scope.profiles {
            narrow.profiles.retain(|it| only.contains(&it.name));
        }
        if let Some(only) = &scope.challenges {
            narrow.challenges.retain(|it| only.contains(it));
        }
        narrow
    }

    /// The one table of identifier kind × challenge (failures A10): every use of it goes through here.
    #[must_use]
    pub fn methods_for(&self, name: &San) -> Vec<ChallengeKind> {
        let suits = |kind: &ChallengeKind| match (name, kind) {
            (
                San::Dns(_),
                ChallengeKind::Http01 | ChallengeKind::Dns01 | ChallengeKind::TlsAlpn01,
            ) => true,
            // RFC 8737 §3: a host can show a name of its own, not all names beside it.
            (San::Wildcard(_), ChallengeKind::Http01 | ChallengeKind::TlsAlpn01) => false,
            (San::Wildcard(_), ChallengeKind::Dns01) => true,
            // RFC 8738 §4, §7: whoever writes a reverse zone need not have the address.
            (San::Ip(_), ChallengeKind::Http01 | ChallengeKind::TlsAlpn01) => true,
            (San::Ip(_), ChallengeKind::Dns01) => false,
        };
        self.challenges.iter().copied().filter(suits).collect()
    }

    /// The profile asked for, or the first.
    ///
    /// # Errors
    /// [`Refusal::UnknownProfile`].
    pub fn profile(&self, wanted: Option<&str>) -> Result<&Profile, Refusal> {
        match wanted {
            None => self.profiles.first().ok_or(Refusal::UnknownProfile {
                wanted: String::new(),
            }),
            Some(name) => self
                .profiles
                .iter()
                .find(|profile| profile.name == name)
                .ok_or_else(|| Refusal::UnknownProfile {
                    wanted: name.to_owned(),
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> NameRules {
        let parse = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| NamePattern::parse(text).expect("a pattern"))
                .collect()
        };
        NameRules {
            allow: parse(allow),
            deny: parse(deny),
            scope: None,
        }
    }

    fn check(rules: &NameRules, name: &str) -> Result<(), NameRefusal> {
        rules.check(&San::parse(name).expect("a name"))
    }

    #[test]
    fn an_empty_allow_list_allows_nothing() {
        assert_eq!(
            check(&rules(&[], &[]), "a.test"),
            Err(NameRefusal::NotAllowed)
        );
    }

    #[test]
    fn denied_names_stay_denied_under_a_wildcard_that_would_cover_them() {
        let rules = rules(&["*"], &["secret.a.test", "*.forbidden.example"]);
        assert_eq!(check(&rules, "a.test"), Ok(()));
        assert_eq!(check(&rules, "secret.a.test"), Err(NameRefusal::Denied));
        assert_eq!(check(&rules, "*.a.test"), Err(NameRefusal::Denied));
        assert_eq!(check(&rules, "*.b.test"), Ok(()));
        assert_eq!(
            check(&rules, "x.forbidden.example"),
            Err(NameRefusal::Denied)
        );
        assert_eq!(
            check(&rules, "*.forbidden.example"),
            Err(NameRefusal::Denied)
        );
        assert_eq!(check(&rules, "forbidden.example"), Ok(()));
    }

    #[test]
    fn names_of_one_label_are_refused() {
        assert_eq!(
            check(&NameRules::any(), "localhost"),
            Err(NameRefusal::SingleLabel)
        );
    }

    #[test]
    fn addresses_are_allowed_and_denied_by_range() {
        let rules = rules(
            &["10.0.0.0/8", "fd00::/8", "192.0.2.7", "*.a.test"],
            &["10.9.0.0/16", "fd00::bad"],
        );
        for (name, expected) in [
            ("10.1.2.3", Ok(())),
            ("10.9.255.1", Err(NameRefusal::Denied)),
            ("11.0.0.1", Err(NameRefusal::NotAllowed)),
            ("192.0.2.7", Ok(())),
            ("192.0.2.8", Err(NameRefusal::NotAllowed)),
            ("fdff::1", Ok(())),
            ("fd00::bad", Err(NameRefusal::Denied)),
            ("fe00::1", Err(NameRefusal::NotAllowed)),
            ("::a01:203", Err(NameRefusal::NotAllowed)),
            ("x.a.test", Ok(())),
        ] {
            assert_eq!(check(&rules, name), expected, "{name}");
        }
    }

    #[test]
    fn a_star_allows_addresses_and_no_name_pattern_does() {
        assert_eq!(check(&rules(&["*"], &[]), "2001:db8::1"), Ok(()));
        assert_eq!(check(&rules(&["*"], &["0.0.0.0/0"]), "a.test"), Ok(()));
        let names_only = rules(&["*.test", "a.test"], &[]);
        assert_eq!(check(&names_only, "10.0.0.1"), Err(NameRefusal::NotAllowed));
    }

    #[test]
    fn a10_one_table_says_which_challenge_proves_what() {
        use ChallengeKind::{Dns01, Http01, TlsAlpn01};
        let gateway = Gateway {
            name: "server".into(),
            challenges: vec![TlsAlpn01, Http01, Dns01],
            profiles: vec![Profile::server("server")],
            terms_of_service: None,
            names: NameRules::any(),
            pre_authorization: Offer::NotMade,
            binding_rule: BindingRule::Accepted,
            reuse: Offer::NotMade,
            caa: CaaRules::default(),
        };
        let offered = |name| gateway.methods_for(&San::parse(name).expect("a name"));
        assert_eq!(offered("a.test"), [TlsAlpn01, Http01, Dns01]);
        assert_eq!(offered("*.a.test"), [Dns01]);
        for address in ["192.0.2.7", "2001:db8::7"] {
            assert_eq!(offered(address), [TlsAlpn01, Http01]);
        }
    }
}
