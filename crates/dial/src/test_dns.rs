//! A DNS server for tests: it answers as it is told, and keeps a list of what it was asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

/// Octets above which a UDP answer is replaced by a truncated one.
const UDP_MAX: usize = 1232;

/// One question as it arrived.
#[derive(Debug, Clone)]
pub struct Question {
    /// In lower case, without the final dot.
    pub name: String,
    /// The type.
    pub kind: RecordType,
    /// How often the same question was asked before.
    pub before: usize,
}

/// What the server does about a question.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These records.
    Records(Vec<Record>),
    /// A response code without records.
    Code(ResponseCode),
    /// These records under another message id.
    WrongId(Vec<Record>),
    /// These records, to the question in lower case.
    Respelt(Vec<Record>),
    /// A truncated answer, over UDP and over TCP.
    Truncated,
    /// These octets after the message id.
    Raw(Vec<u8>),
    /// Nothing.
    Silence,
}

/// A running server on a loopback port, UDP and TCP; it ends when it is dropped.
pub struct TestDns {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

struct Answerer<F> {
    reply: F,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TestDns {
    /// Starts a server that answers by `reply`.
    pub async fn start<F>(reply: F) -> Self
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.expect("binds");
            // The same number may be taken for UDP; then another one is tried.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")).await {
                break (udp, tcp);
            }
        };
        let address = tcp.local_addr().expect("bound");
        let asked = Arc::default();
        let answerer = Arc::new(Answerer {
            reply,
            asked: Arc::clone(&asked),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&answerer)));
        tasks.spawn(serve_tcp(tcp, answerer));
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    /// The configuration entry for it.
    pub fn entry(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked, as `a.test A`, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panicked").clone()
    }
}

async fn serve_udp<F: Fn(&Question) -> Reply>(socket: UdpSocket, answerer: Arc<Answerer<F>>) {
    let mut buffer = [0; 4096];
    while let Ok((len, peer)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = answerer.answer(&buffer[..len], UDP_MAX) {
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

async fn serve_tcp<F: Fn(&Question) -> Reply>(listener: TcpListener, answerer: Arc<Answerer<F>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        while let Ok(len) = stream.read_u16().await {
            let mut request = vec![0; usize::from(len)];
            if stream.read_exact(&mut request).await.is_err() {
                break;
            }
            let Some(answer) = answerer.answer(&request, usize::from(u16::MAX)) else {
                break;
            };
            let mut framed = u16::try_from(answer.len())
                .expect("fits")
                .to_be_bytes()
                .to_vec();
            framed.extend(answer);
            if stream.write_all(&framed).await.is_err() {
                break;
            }
        }
    }
}

impl<F: Fn(&Question) -> Reply> Answerer<F> {
    fn answer(&self, request: &[u8], max: usize) -> Option<Vec<u8>> {
        let request = Message::from_vec(request).ok()?;
        let query = request.queries.first()?.clone();
        let name = query.name().to_ascii().to_ascii_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        let shown = format!("{name} {}", query.query_type());
        let before = {
            let mut asked = self.asked.lock().expect("no test panicked");
            let before = asked.iter().filter(|earlier| **earlier == shown).count();
            asked.push(shown);
            before
        };
        let question = Question {
            name,
            kind: query.query_type(),
            before,
        };
        let id = request.metadata.id;
        let mut answer = Message::response(id, OpCode::Query);
        answer.add_query(query);
        match (self.reply)(&question) {
            Reply::Records(records) => drop(answer.add_answers(records)),
            Reply::Code(code) => answer.metadata.response_code = code,
            Reply::WrongId(records) => {
                answer.metadata.id = id.wrapping_add(1);
                answer.add_answers(records);
            }
            Reply::Respelt(records) => {
                for query in &mut answer.queries {
                    let lower = query.name().to_lowercase();
                    query.set_name(lower);
                }
                answer.add_answers(records);
            }
            Reply::Truncated => answer.metadata.truncation = true,
            Reply::Raw(octets) => return Some([id.to_be_bytes().to_vec(), octets].concat()),
            Reply::Silence => return None,
        }
        let whole = answer.to_vec().expect("encodes");
        if whole.len() <= max {
            return Some(whole);
        }
        answer.answers.clear();
        answer.metadata.truncation = true;
        Some(answer.to_vec().expect("encodes"))
    }
}

fn record(owner: &str, data: RData) -> Record {
    let mut name = Name::from_ascii(owner).expect("a name");
    name.set_fqdn(true);
    Record::from_rdata(name, 1, data)
}

/// An A or AAAA record.
pub fn address(owner: &str, address: &str) -> Record {
    let data = match address.parse().expect("an address") {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    record(owner, data)
}

/// A CNAME record.
pub fn cname(owner: &str, target: &str) -> Record {
    let mut target = Name::from_ascii(target).expect("a name");
    target.set_fqdn(true);
    record(owner, RData::CNAME(CNAME(target)))
}

/// A TXT record, split in strings of 255 octets.
pub fn txt(owner: &str, content: &[u8]) -> Record {
    // A record has at least one string.
    let mut parts: Vec<&[u8]> = content.chunks(255).collect();
    if parts.is_empty() {
        parts.push(content);
    }
    record(owner, RData::TXT(TXT::from_bytes(parts)))
}

/// A CAA record.
pub fn caa(owner: &str, flags: u8, tag: &str, value: &str) -> Record {
    let mut data = CAA::new_issue(flags & 128 != 0, None, Vec::new());
    data.reserved_flags = flags & 127;
    data.tag = tag.to_owned();
    data.value = value.as_bytes().to_vec();
    record(owner, RData::CAA(data))
}

/// Answers address questions about any name with these addresses, and every other question with no records.
pub fn addresses(addresses: &[&str]) -> impl Fn(&Question) -> Reply + Send + Sync + 'static {
    let addresses: Vec<String> = addresses.iter().map(|&text| text.to_owned()).collect();
    move |question| {
        let records = addresses.iter().map(|text| address(&question.name, text));
        Reply::Records(
            records
                .filter(|record| record.record_type() == question.kind)
                .collect(),
        )
    }
}
