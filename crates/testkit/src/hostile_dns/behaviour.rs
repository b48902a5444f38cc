use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};

use super::Transport;

const TTL_SECONDS: u32 = 300;
/// What most clients announce with EDNS; a client that announces nothing takes 512.
const UDP_OCTETS_MAX: u16 = 1232;
/// RFC 1035 §3.3.14: a character string has a length octet.
const TEXT_PIECE: usize = 255;

/// What the server does with one question. Answers are sent with the question's own id, spelling and flags
/// unless said otherwise, and cut (TC) over UDP when they are too long for the client.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// These records at the name asked for; none is "no such record" (NODATA).
    Answer(Vec<RData>),
    /// These records as they are, in this order, whatever was asked.
    Records(Vec<Record>),
    /// These records, in another order each time: all permutations come round.
    EveryOrder(Vec<Record>),
    /// A response code and no record.
    Code(ResponseCode),
    /// "No such name", with the SOA of this other zone.
    ForeignSoa(Name),
    /// An alias of an alias, so many links in one answer, then these records.
    CnameChain {
        /// Number of CNAME records.
        links: usize,
        /// What stands at the last name.
        end: Vec<RData>,
    },
    /// Aliases that lead back to the name asked for, so many in one answer.
    CnameLoop {
        /// Number of CNAME records; 1 is a name that is its own alias.
        links: usize,
    },
    /// An alias of a name not seen before, each time: `n<count>.endless.test`.
    CnameEndless,
    /// One TXT record as long as DNS can carry with its surroundings, of about this many octets; 65,000 is
    /// the most.
    HugeText {
        /// Octets of text.
        octets: usize,
    },
    /// Nothing but the truncation flag over UDP, the records over TCP.
    TruncatedThenTcp(Vec<RData>),
    /// The truncation flag and no record, over TCP too.
    AlwaysTruncated,
    /// The records under another message id.
    WrongId(Vec<RData>),
    /// The records as an answer to another question (`other.test`).
    WrongQuestion(Vec<RData>),
    /// The records with the letters of the name in the other case, as from a forger who guessed them.
    WrongCase(Vec<RData>),
    /// These octets after the right message id.
    Raw(Vec<u8>),
    /// Nothing.
    Silence,
    /// The other behaviour, so much later.
    After(Duration, Box<Self>),
    /// All of these, one packet after the other.
    Burst(Vec<Self>),
}

impl Behaviour {
    /// One address record.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Answer(vec![address_data(address)])
    }

    /// One TXT record for each value.
    #[must_use]
    pub fn texts(values: &[&str]) -> Self {
        Self::Answer(
            values
                .iter()
                .map(|value| text_data(value.as_bytes()))
                .collect(),
        )
    }

    /// CAA records, each with its flags, tag and value, whatever they are.
    #[must_use]
    pub fn caa(records: &[(u8, &str, &str)]) -> Self {
        let data = records.iter().map(|(flags, tag, value)| {
            let mut data = CAA::new_issue(flags & 128 != 0, None, Vec::new());
            data.reserved_flags = flags & 127;
            data.tag = (*tag).to_owned();
            data.value = value.as_bytes().to_vec();
            RData::CAA(data)
        });
        Self::Answer(data.collect())
    }

    /// One CNAME record.
    ///
    /// # Panics
    /// When `target` is not a name.
    #[must_use]
    pub fn alias(target: &str) -> Self {
        Self::Answer(vec![RData::CNAME(CNAME(name(target)))])
    }

    /// The packets to send, each with the wait before it. `before` is how often the rule was used already.
    pub(super) fn packets(
        &self,
        asked: &Message,
        transport: Transport,
        before: usize,
    ) -> Vec<(Duration, Vec<u8>)> {
        match self {
            Self::Silence => Vec::new(),
            Self::After(wait, then) => {
                let mut packets = then.packets(asked, transport, before);
                if let Some((first, _)) = packets.first_mut() {
                    *first += *wait;
                }
                packets
            }
            Self::Burst(all) => all
                .iter()
                .flat_map(|one| one.packets(asked, transport, before))
                .collect(),
            Self::Raw(octets) => {
                let id = asked.metadata.id.to_be_bytes();
                vec![(Duration::ZERO, [&id[..], octets].concat())]
            }
            _ => vec![(
                Duration::ZERO,
                encode(&self.message(asked, transport, before), transport),
            )],
        }
    }

    fn message(&self, asked: &Message, transport: Transport, before: usize) -> Message {
        let mut message = response(asked);
        let owner = asked
            .queries
            .first()
            .map_or_else(Name::root, |query| query.name().clone());
        match self {
            Self::Answer(data) => message.answers = at(&owner, data),
            Self::Records(records) => message.answers.clone_from(records),
            Self::EveryOrder(records) => message.answers = permutation(records, before),
            Self::Code(code) => message.metadata.response_code = *code,
            Self::ForeignSoa(zone) => {
                message.metadata.response_code = ResponseCode::NXDomain;
                message.authorities.push(start_of_authority(zone));
            }
            Self::CnameChain { links, end } => message.answers = chain(&owner, *links, end),
            Self::CnameLoop { links } => message.answers = cycle(&owner, *links),
            Self::CnameEndless => {
                let next = name(&format!("n{before}.endless.test"));
                message.answers = at(&owner, &[RData::CNAME(CNAME(next))]);
            }
            Self::HugeText { octets } => {
                message.answers = at(&owner, &[text_data(&vec![b'x'; (*octets).min(65_000)])]);
            }
            Self::TruncatedThenTcp(data) if transport == Transport::Tcp => {
                message.answers = at(&owner, data);
            }
            Self::TruncatedThenTcp(_) | Self::AlwaysTruncated => message.metadata.truncation = true,
            Self::WrongId(data) => {
                message.metadata.id = asked.metadata.id.wrapping_add(1);
                message.answers = at(&owner, data);
            }
            Self::WrongQuestion(data) => {
                let other = name("other.test");
                if let Some(query) = message.queries.first_mut() {
                    query.set_name(other.clone());
                }
                message.answers = at(&other, data);
            }
            Self::WrongCase(data) => {
                let other = other_case(&owner);
                if let Some(query) = message.queries.first_mut() {
                    query.set_name(other.clone());
                }
                message.answers = at(&other, data);
            }
            Self::Raw(_) | Self::Silence | Self::After(..) | Self::Burst(_) => {}
        }
        message
    }
}

fn response(asked: &Message) -> Message {
    let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.authoritative = true;
    message.queries = asked
        .queries
        .iter()
        .take(1)
        .cloned()
        .collect::<Vec<Query>>();
    message.edns = asked.edns.as_ref().map(|edns| {
        let mut ours = Edns::new();
        ours.set_max_payload(edns.max_payload().min(UDP_OCTETS_MAX));
        ours
    });
    message
}

fn encode(message: &Message, transport: Transport) -> Vec<u8> {
    let whole = message.to_vec().unwrap_or_default();
    let fits = whole.len() <= usize::from(message.max_payload());
    if transport == Transport::Tcp || fits {
        return whole;
    }
    message.truncate().to_vec().unwrap_or_default()
}

fn at(owner: &Name, data: &[RData]) -> Vec<Record> {
    data.iter()
        .map(|data| Record::from_rdata(owner.clone(), TTL_SECONDS, data.clone()))
        .collect()
}

fn chain(owner: &Name, links: usize, end: &[RData]) -> Vec<Record> {
    let mut from = owner.clone();
    let mut records = Vec::new();
    for link in 1..=links {
        let to = name(&format!("link{link}.chain.test"));
        records.extend(at(&from, &[RData::CNAME(CNAME(to.clone()))]));
        from = to;
    }
    records.extend(at(&from, end));
    records
}

fn cycle(owner: &Name, links: usize) -> Vec<Record> {
    let mut records = chain(owner, links, &[]);
    if let Some(Record {
        data: RData::CNAME(last),
        ..
    }) = records.last_mut()
    {
        last.0 = owner.clone();
    }
    records
}

/// The `index`-th order of the records, counting round; in the factorial number system each digit picks one
/// of those that are left.
fn permutation(records: &[Record], index: usize) -> Vec<Record> {
    let mut left = records.to_vec();
    let mut rest = index;
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let pick = rest % left.len();
        rest /= left.len();
        ordered.push(left.remove(pick));
    }
    ordered
}

fn start_of_authority(zone: &Name) -> Record {
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, 60);
    Record::from_rdata(zone.clone(), TTL_SECONDS, RData::SOA(soa))
}

fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

fn text_data(text: &[u8]) -> RData {
    RData::TXT(TXT::from_bytes(text.chunks(TEXT_PIECE).collect()))
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("scripts name only what DNS can carry");
    name.set_fqdn(true);
    name
}

fn other_case(name: &Name) -> Name {
    let flip = |letter: u8| {
        if letter.is_ascii_alphabetic() {
            letter ^ 0x20
        } else {
            letter
        }
    };
    let labels: Vec<Vec<u8>> = name
        .iter()
        .map(|label| label.iter().copied().map(flip).collect())
        .collect();
    let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
    Name::from_labels(labels).expect("the same labels in other letters")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_orders_come_round() {
        let records: Vec<Record> = (1..=4)
            .map(|n| at(&name("a.test"), &[text_data(&[n])]).remove(0))
            .collect();
        let orders: BTreeSet<String> = (0..24)
            .map(|index| format!("{:?}", permutation(&records, index)))
            .collect();
        assert_eq!(orders.len(), 24);
        assert_eq!(permutation(&records, 24), permutation(&records, 0));
    }

    #[test]
    fn a_loop_leads_back_to_its_beginning() {
        let records = cycle(&name("a.test"), 3);
        let targets: Vec<String> = records
            .iter()
            .map(|record| record.data.to_string())
            .collect();
        assert_eq!(
            targets,
            ["link1.chain.test.", "link2.chain.test.", "a.test."]
        );
    }
}
