use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::listen::{self, Task};
use crate::{SimulateError, Zone};

/// Largest UDP answer, the DNS flag day 2020 value; more goes by TCP.
const UDP_OCTETS_MAX: u16 = 1232;
/// A question is a header, a name and some EDNS options.
const QUESTION_OCTETS_MAX: usize = 4096;
/// RFC 7766 §6.2.3: a server may close an idle connection after seconds.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// With port 0 the UDP port that the system picks may be taken for TCP: another is asked for.
const PORT_TRIES: usize = 16;

/// A DNS server on UDP and TCP that is the authority for everything and knows what its [`Zone`] holds. It
/// says so to stub resolvers too (AA and RA are both set), so that it can stand in for a recursive one.
#[derive(Debug)]
pub struct Dns {
    addr: SocketAddr,
    zone: Zone,
    _udp: Task,
    _tcp: Task,
}

impl Dns {
    /// Starts answering on `addr`, over UDP and TCP on the same port; port 0 picks a free one. Needs a
    /// running tokio runtime.
    ///
    /// # Errors
    /// [`SimulateError::Listen`]
    pub async fn start(addr: SocketAddr, zone: Zone) -> Result<Self, SimulateError> {
        let (udp, tcp, addr) = bind(addr).await?;
        let (for_udp, for_tcp) = (zone.clone(), zone.clone());
        Ok(Self {
            addr,
            zone,
            _udp: Task::spawn(serve_udp(udp, for_udp)),
            _tcp: listen::accept(tcp, move |stream| serve_tcp(stream, for_tcp.clone())),
        })
    }

    /// The address it answers on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The zone it answers from; changes are seen by the next question.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}

async fn bind(addr: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), SimulateError> {
    let listen = |source| SimulateError::Listen { addr, source };
    let mut tries = 1;
    loop {
        let udp = UdpSocket::bind(addr).await.map_err(listen)?;
        let bound = udp.local_addr().map_err(listen)?;
        match TcpListener::bind(bound).await {
            Ok(tcp) => return Ok((udp, tcp, bound)),
            Err(_) if addr.port() == 0 && tries < PORT_TRIES => tries += 1,
            Err(source) => return Err(listen(source)),
        }
    }
}

async fn serve_udp(socket: UdpSocket, zone: Zone) {
    let mut question = vec![0; QUESTION_OCTETS_MAX];
    let mut answer = Vec::with_capacity(usize::from(UDP_OCTETS_MAX));
    loop {
        let Ok((len, from)) = socket.recv_from(&mut question).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let question = question.get(..len).unwrap_or_default();
        if respond(question, &zone, Transport::Udp, &mut answer) {
            // Who asked over UDP also asks again; a lost answer is nobody's failure.
            socket.send_to(&answer, from).await.ok();
        }
    }
}

async fn serve_tcp(mut stream: TcpStream, zone: Zone) {
    let mut question = Vec::new();
    let mut answer = Vec::new();
    while let Ok(Ok(len)) = timeout(TCP_IDLE, stream.read_u16()).await {
        let len = usize::from(len);
        if len > QUESTION_OCTETS_MAX {
            return;
        }
        question.resize(len, 0);
        let Ok(Ok(_)) = timeout(TCP_IDLE, stream.read_exact(&mut question)).await else {
            return;
        };
        if !respond(&question, &zone, Transport::Tcp, &mut answer) {
            return;
        }
        let Ok(len) = u16::try_from(answer.len()) else {
            return;
        };
        answer.splice(..0, len.to_be_bytes());
        let Ok(Ok(())) = timeout(TCP_IDLE, stream.write_all(&answer)).await else {
            return;
        };
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Udp,
    Tcp,
}

/// Writes the answer to one question into `out`; false when there is nothing to say.
fn respond(question: &[u8], zone: &Zone, transport: Transport, out: &mut Vec<u8>) -> bool {
    let Some(message) = answer(question, zone) else {
        return false;
    };
    let limit = match transport {
        Transport::Udp => message.max_payload().min(UDP_OCTETS_MAX),
        Transport::Tcp => u16::MAX,
    };
    if !encode(&message, out) {
        return false;
    }
    out.len() <= usize::from(limit) || encode(&message.truncate(), out)
}

fn encode(message: &Message, out: &mut Vec<u8>) -> bool {
    out.clear();
    message.emit(&mut BinEncoder::new(out)).is_ok()
}

fn answer(question: &[u8], zone: &Zone) -> Option<Message> {
    let Ok(mut asked) = Message::from_vec(question) else {
        return refuse_unreadable(question);
    };
    if asked.metadata.message_type == MessageType::Response {
        return None;
    }
    let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    if let Some(edns) = &asked.edns {
        message.edns = Some(our_edns(edns.max_payload()));
    }
    message.queries = std::mem::take(&mut asked.queries);
    let [query] = message.queries.as_slice() else {
        message.metadata.response_code = ResponseCode::FormErr;
        return Some(message);
    };
    message.metadata.response_code = match (asked.metadata.op_code, query.query_class()) {
        (OpCode::Query, DNSClass::IN) => {
            message.metadata.authoritative = true;
            zone.answer(query.name(), query.query_type(), &mut message.answers)
        }
        (OpCode::Query, _) => ResponseCode::Refused,
        _ => ResponseCode::NotImp,
    };
    if message.metadata.authoritative && message.answers.is_empty() {
        message.authorities.push(start_of_authority());
    }
    Some(message)
}

/// Repeats the asker's size in our own record only so that [`Message::max_payload`] gives the smaller one.
fn our_edns(asked_octets_max: u16) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked_octets_max.min(UDP_OCTETS_MAX));
    edns
}

/// FORMERR when the twelve octets of a question's header are there, silence otherwise.
fn refuse_unreadable(question: &[u8]) -> Option<Message> {
    let [high, low, flags, _, ..] = question else {
        return None;
    };
    let is_question = question.len() >= 12 && flags & 0x80 == 0;
    is_question.then(|| {
        let id = u16::from_be_bytes([*high, *low]);
        Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)
    })
}

/// RFC 2308 §3: negative answers carry the SOA; here of the root, whose minimum forbids to remember them.
fn start_of_authority() -> Record {
    let soa = SOA::new(Name::root(), Name::root(), 1, 60, 60, 60, 0);
    Record::from_rdata(Name::root(), 0, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;
    use hickory_proto::rr::RecordType;

    use super::*;

    async fn server() -> Dns {
        let zone = Zone::new();
        let here = "127.0.0.1".parse().expect("an address");
        zone.set_a("www.corp.test", here).expect("a name");
        for n in 0..40 {
            zone.add_txt("many.test", &format!("{n}-{}", "x".repeat(40)))
                .expect("a name");
        }
        Dns::start("127.0.0.1:0".parse().expect("an address"), zone)
            .await
            .expect("a free port")
    }

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        message
    }

    async fn by_udp(server: &Dns, question: &[u8]) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        socket.send_to(question, server.addr()).await.expect("sent");
        let mut answer = [0; 4096];
        let receiving = timeout(Duration::from_secs(5), socket.recv(&mut answer));
        let len = receiving
            .await
            .expect("an answer in time")
            .expect("an answer");
        Message::from_vec(&answer[..len]).expect("a message")
    }

    async fn by_tcp(stream: &mut TcpStream, question: &Message) -> Message {
        let question = question.to_vec().expect("encoded");
        let len = u16::try_from(question.len()).expect("short");
        stream
            .write_all(&[&len.to_be_bytes()[..], &question].concat())
            .await
            .expect("sent");
        let len = stream.read_u16().await.expect("a length");
        let mut answer = vec![0; usize::from(len)];
        stream.read_exact(&mut answer).await.expect("an answer");
        Message::from_vec(&answer).expect("a message")
    }

    #[tokio::test]
    async fn an_answer_repeats_id_and_question_and_is_authoritative() {
        let server = server().await;
        let asked = question("wWw.corp.TEST.", RecordType::A);
        let answer = by_udp(&server, &asked.to_vec().expect("encoded")).await;
        assert_eq!(answer.metadata.id, asked.metadata.id);
        assert!(answer.queries[0].name().eq_case(asked.queries[0].name()));
        assert!(answer.answers[0].name.eq_case(asked.queries[0].name()));
        assert!(answer.metadata.authoritative && answer.metadata.recursion_desired);
        assert_eq!(answer.edns, None);
    }

    #[tokio::test]
    async fn negative_answers_carry_the_soa() {
        let server = server().await;
        for (name, code) in [
            ("www.corp.test.", ResponseCode::NoError),
            ("no.test.", ResponseCode::NXDomain),
        ] {
            let asked = question(name, RecordType::CAA).to_vec().expect("encoded");
            let answer = by_udp(&server, &asked).await;
            assert_eq!(answer.metadata.response_code, code, "{name}");
            assert_eq!(
                answer.authorities[0].record_type(),
                RecordType::SOA,
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_udp_comes_whole_by_tcp() {
        let server = server().await;
        let mut asked = question("many.test.", RecordType::TXT);
        asked.set_edns(our_edns(4096));
        let answer = by_udp(&server, &asked.to_vec().expect("encoded")).await;
        assert!(answer.metadata.truncation && answer.answers.is_empty() && answer.edns.is_some());
        let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
        for _ in 0..2 {
            let answer = by_tcp(&mut stream, &asked).await;
            assert!(!answer.metadata.truncation);
            assert_eq!(answer.answers.len(), 40);
        }
    }

    #[tokio::test]
    async fn a_larger_udp_answer_needs_edns() {
        let server = server().await;
        server
            .zone()
            .set_txt("big.test", &"x".repeat(700))
            .expect("a name");
        let mut asked = question("big.test.", RecordType::TXT);
        let plain = by_udp(&server, &asked.to_vec().expect("encoded")).await;
        assert!(plain.metadata.truncation);
        asked.set_edns(our_edns(1232));
        let extended = by_udp(&server, &asked.to_vec().expect("encoded")).await;
        assert_eq!(extended.answers.len(), 1);
    }

    #[tokio::test]
    async fn nonsense_is_refused_and_does_not_end_the_server() {
        let server = server().await;
        let mut two = question("a.test.", RecordType::A);
        two.add_query(Query::query(Name::root(), RecordType::A));
        let broken = [0xab, 0xcd, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0];
        for asked in [two.to_vec().expect("encoded"), broken.to_vec()] {
            let answer = by_udp(&server, &asked).await;
            assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
            assert_eq!(answer.metadata.id.to_be_bytes()[..], asked[..2]);
        }
        let asked = question("www.corp.test.", RecordType::A)
            .to_vec()
            .expect("encoded");
        assert_eq!(by_udp(&server, &asked).await.answers.len(), 1);
    }

    #[tokio::test]
    async fn dropping_the_server_frees_its_port() {
        let server = server().await;
        let addr = server.addr();
        let mut connection = TcpStream::connect(addr).await.expect("connected");
        by_tcp(&mut connection, &question("www.corp.test.", RecordType::A)).await;
        drop(server);
        assert_eq!(
            connection.read(&mut [0; 1]).await.ok(),
            Some(0),
            "the connection ends too"
        );
        let freed = async {
            while UdpSocket::bind(addr).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(5), freed)
            .await
            .expect("the port is free again");
    }
}
