mod key;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::SimulateError;
use key::Key;

/// Nothing here is meant to be remembered: a test changes a record and asks again.
const TTL_SECONDS: u32 = 0;
/// Aliases followed inside the zone for one question, as many as a patient resolver follows.
const ALIASES_MAX: usize = 10;
/// RFC 1035 §3.3.14: a character string has a length octet.
const TEXT_PIECE_MAX: usize = 255;

/// The records a [`Dns`](crate::Dns) server answers from. Clones share one zone, and a change is seen by the
/// next question.
///
/// The zone is the whole tree: a name that is neither in it nor above a name in it does not exist (NXDOMAIN,
/// RFC 8020), unless a default address makes every name exist.
#[derive(Debug, Clone, Default)]
pub struct Zone(Arc<RwLock<Tree>>);

#[derive(Debug, Default)]
struct Tree {
    /// By [`Key`], so that all names below a name follow it.
    nodes: BTreeMap<Box<[u8]>, Node>,
    default_address: Option<IpAddr>,
}

#[derive(Debug, Default)]
struct Node {
    addresses: Vec<IpAddr>,
    texts: Vec<TXT>,
    alias: Option<Name>,
}

impl Zone {
    /// An empty zone: every question is answered NXDOMAIN.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `name` this one address (A or AAAA) instead of the addresses it had, or the alias it was.
    ///
    /// # Errors
    /// [`SimulateError::Name`]
    pub fn set_a(&self, name: &str, address: IpAddr) -> Result<(), SimulateError> {
        self.change(name, |node| {
            node.alias = None;
            node.addresses = vec![address];
        })
    }

    /// Makes every name exist, with this address where it has none of its own.
    pub fn set_default_a(&self, address: IpAddr) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .default_address = Some(address);
    }

    /// Gives `name` this one TXT record instead of those it had, or the alias it was.
    ///
    /// # Errors
    /// [`SimulateError::Name`]
    pub fn set_txt(&self, name: &str, value: &str) -> Result<(), SimulateError> {
        self.change(name, |node| {
            node.alias = None;
            node.texts = vec![text(value)];
        })
    }

    /// Adds a TXT record to those `name` has. An alias gives way.
    ///
    /// # Errors
    /// [`SimulateError::Name`]
    pub fn add_txt(&self, name: &str, value: &str) -> Result<(), SimulateError> {
        self.change(name, |node| {
            node.alias = None;
            node.texts.push(text(value));
        })
    }

    /// Removes the TXT records of `name` that have this value.
    ///
    /// # Errors
    /// [`SimulateError::Name`]
    pub fn remove_txt(&self, name: &str, value: &str) -> Result<(), SimulateError> {
        let value = text(value);
        self.change(name, |node| node.texts.retain(|text| *text != value))
    }

    /// Makes `name` an alias of `target` (CNAME) and nothing else (RFC 1034 §3.6.2).
    ///
    /// # Errors
    /// [`SimulateError::Name`] for either name.
    pub fn set_cname(&self, name: &str, target: &str) -> Result<(), SimulateError> {
        Key::of_text(target)?;
        let mut target = Name::from_ascii(target).map_err(|_| SimulateError::Name {
            octets: target.len(),
        })?;
        target.set_fqdn(true);
        self.change(name, |node| {
            *node = Node {
                alias: Some(target),
                ..Node::default()
            }
        })
    }

    /// Removes everything that is known of `name`. Names below it stay.
    ///
    /// # Errors
    /// [`SimulateError::Name`]
    pub fn remove(&self, name: &str) -> Result<(), SimulateError> {
        self.change(name, |node| *node = Node::default())
    }

    /// Appends the records that answer a question, owner names spelt as the question spells them.
    pub(crate) fn answer(
        &self,
        name: &Name,
        kind: RecordType,
        out: &mut Vec<Record>,
    ) -> ResponseCode {
        let tree = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut name = name.clone();
        for _ in 0..=ALIASES_MAX {
            let key = Key::of(&name);
            let node = tree.nodes.get(key.as_bytes());
            let alias = node.and_then(|node| node.alias.as_ref());
            match alias {
                Some(target) if kind != RecordType::CNAME => {
                    out.push(record(&name, RData::CNAME(CNAME(target.clone()))));
                    name.clone_from(target);
                }
                Some(target) => {
                    out.push(record(&name, RData::CNAME(CNAME(target.clone()))));
                    return ResponseCode::NoError;
                }
                None => return tree.answer_at(&name, &key, node, kind, out),
            }
        }
        // A loop of aliases: what was walked is the answer, as other servers do.
        ResponseCode::NoError
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Node)) -> Result<(), SimulateError> {
        let key = Key::of_text(name)?;
        let mut tree = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let node = tree.nodes.entry(key.as_bytes().into()).or_default();
        change(node);
        if node.is_empty() {
            tree.nodes.remove(key.as_bytes());
        }
        Ok(())
    }
}

impl Tree {
    fn answer_at(
        &self,
        name: &Name,
        key: &Key,
        node: Option<&Node>,
        kind: RecordType,
        out: &mut Vec<Record>,
    ) -> ResponseCode {
        let own = node.map_or(&[][..], |node| &node.addresses);
        let addresses = if own.is_empty() {
            self.default_address.as_slice()
        } else {
            own
        };
        for address in addresses {
            match (address, kind) {
                (IpAddr::V4(v4), RecordType::A | RecordType::ANY) => {
                    out.push(record(name, RData::A(A(*v4))));
                }
                (IpAddr::V6(v6), RecordType::AAAA | RecordType::ANY) => {
                    out.push(record(name, RData::AAAA(AAAA(*v6))));
                }
                _ => {}
            }
        }
        if matches!(kind, RecordType::TXT | RecordType::ANY) {
            let texts = node.map_or(&[][..], |node| &node.texts);
            out.extend(
                texts
                    .iter()
                    .map(|text| record(name, RData::TXT(text.clone()))),
            );
        }
        if node.is_some() || self.default_address.is_some() || self.has_below(key) {
            ResponseCode::NoError
        } else {
            ResponseCode::NXDomain
        }
    }

    fn has_below(&self, key: &Key) -> bool {
        let after = (Bound::Excluded(key.as_bytes()), Bound::Unbounded);
        let next = self.nodes.range::<[u8], _>(after).next();
        next.is_some_and(|(found, _)| found.starts_with(key.as_bytes()))
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.texts.is_empty() && self.alias.is_none()
    }
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL_SECONDS, data)
}

fn text(value: &str) -> TXT {
    let mut pieces: Vec<&[u8]> = value.as_bytes().chunks(TEXT_PIECE_MAX).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    TXT::from_bytes(pieces)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        let mut name = Name::from_ascii(name).expect("a name");
        name.set_fqdn(true);
        let mut records = Vec::new();
        let code = zone.answer(&name, kind, &mut records);
        let shown = |record: &Record| format!("{} {}", record.name, record.data);
        (code, records.iter().map(shown).collect())
    }

    fn zone() -> Zone {
        let zone = Zone::new();
        zone.set_a("www.corp.test", HERE).expect("a name");
        zone
    }

    #[test]
    fn a_name_is_found_in_any_case_and_answered_as_asked() {
        let expected = (
            ResponseCode::NoError,
            vec!["wWw.CORP.test. 127.0.0.1".to_owned()],
        );
        assert_eq!(ask(&zone(), "wWw.CORP.test", RecordType::A), expected);
    }

    #[test]
    fn nxdomain_is_for_names_with_nothing_at_or_below_them() {
        let zone = zone();
        assert_eq!(
            ask(&zone, "www.corp.test", RecordType::TXT),
            (ResponseCode::NoError, vec![])
        );
        assert_eq!(
            ask(&zone, "corp.test", RecordType::A),
            (ResponseCode::NoError, vec![])
        );
        assert_eq!(
            ask(&zone, "orp.test", RecordType::A).0,
            ResponseCode::NXDomain
        );
        assert_eq!(
            ask(&zone, "a.www.corp.test", RecordType::A).0,
            ResponseCode::NXDomain
        );
        zone.remove("www.corp.test").expect("a name");
        assert_eq!(
            ask(&zone, "corp.test", RecordType::A).0,
            ResponseCode::NXDomain
        );
    }

    #[test]
    fn the_default_address_makes_every_name_exist() {
        let zone = zone();
        zone.set_default_a("127.0.0.2".parse().expect("an address"));
        let own = ask(&zone, "www.corp.test", RecordType::A);
        assert_eq!(own.1, ["www.corp.test. 127.0.0.1"]);
        assert_eq!(ask(&zone, "x.test", RecordType::A).1, ["x.test. 127.0.0.2"]);
        assert_eq!(
            ask(&zone, "x.test", RecordType::AAAA),
            (ResponseCode::NoError, vec![])
        );
    }

    #[test]
    fn txt_records_are_added_and_taken_away_one_by_one() {
        let zone = zone();
        let name = "_acme-challenge.corp.test";
        zone.add_txt(name, "one").expect("a name");
        zone.add_txt(name, "two").expect("a name");
        assert_eq!(ask(&zone, name, RecordType::TXT).1.len(), 2);
        zone.remove_txt(name, "one").expect("a name");
        let left = ask(&zone, name, RecordType::TXT).1;
        assert_eq!(left, ["_acme-challenge.corp.test. two"]);
        zone.remove_txt(name, "two").expect("a name");
        assert_eq!(ask(&zone, name, RecordType::TXT).0, ResponseCode::NXDomain);
    }

    #[test]
    fn a_long_text_is_cut_into_character_strings() {
        let zone = Zone::new();
        zone.set_txt("long.test", &"x".repeat(600)).expect("a name");
        let mut records = Vec::new();
        let name = Name::from_ascii("long.test.").expect("a name");
        zone.answer(&name, RecordType::TXT, &mut records);
        let [
            Record {
                data: RData::TXT(text),
                ..
            },
        ] = records.as_slice()
        else {
            panic!("one TXT record expected, {} seen", records.len());
        };
        assert_eq!(
            text.txt_data.iter().map(|s| s.len()).collect::<Vec<_>>(),
            [255, 255, 90]
        );
    }

    #[test]
    fn an_alias_is_followed_and_stands_alone() {
        let zone = zone();
        zone.add_txt("alias.test", "gone").expect("a name");
        zone.set_cname("alias.test", "www.corp.test")
            .expect("names");
        let expected = ["alias.test. www.corp.test.", "www.corp.test. 127.0.0.1"];
        assert_eq!(ask(&zone, "alias.test", RecordType::A).1, expected);
        assert_eq!(ask(&zone, "alias.test", RecordType::CNAME).1.len(), 1);
        zone.set_cname("dangling.test", "none.test").expect("names");
        assert_eq!(
            ask(&zone, "dangling.test", RecordType::TXT).0,
            ResponseCode::NXDomain
        );
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let zone = Zone::new();
        zone.set_cname("a.test", "b.test").expect("names");
        zone.set_cname("b.test", "a.test").expect("names");
        assert_eq!(ask(&zone, "a.test", RecordType::A).1.len(), ALIASES_MAX + 1);
    }

    #[test]
    fn names_that_dns_cannot_carry_are_refused() {
        let long = format!("{}.test", "a".repeat(64));
        let deep = "a.".repeat(128);
        for name in ["", ".", "a..test", "ä.test", long.as_str(), deep.as_str()] {
            assert!(zone().set_a(name, HERE).is_err(), "{name}");
        }
        assert!(zone().set_a(&"a.".repeat(127), HERE).is_ok());
    }
}
