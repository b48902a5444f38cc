//! A DNS server that answers as a test's script says: rightly, wrongly, late, endlessly or not at all.
//!
//! It listens on one loopback port over UDP and TCP, follows a rule per question (name and type), and keeps a
//! record of everything it was asked. A rule is a sequence of [`Behaviour`]s, one for each time the question
//! comes; the last one repeats. So a public address first and a private one after (DNS rebinding) is a
//! sequence of two.

mod behaviour;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use behaviour::Behaviour;
pub use hickory_proto::op::ResponseCode;
pub use hickory_proto::rr::{Name, RData, Record, RecordType};

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::ports::bind_both;
use crate::task::Task;

/// What a client may send in one message.
const QUESTION_OCTETS_MAX: usize = 4096;
/// A connection on which a client says nothing more.
const TCP_IDLE: Duration = Duration::from_secs(60);
/// A test that is asked more than this has found what it looked for.
const QUESTIONS_MAX: usize = 100_000;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// One question that was asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The name, lower-cased, without the final dot.
    pub name: String,
    /// The name in the letters in which it was asked (clients mix cases against forgers).
    pub spelling: String,
    /// The type asked for.
    pub kind: RecordType,
    /// How it came.
    pub transport: Transport,
    /// Where from.
    pub from: SocketAddr,
    /// When.
    pub at: Instant,
}

/// The running server; dropping it ends it with all its connections.
#[derive(Debug)]
pub struct HostileDns {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _tasks: [Task; 2],
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    questions: Mutex<Vec<Question>>,
}

#[derive(Debug)]
struct Script {
    rules: Vec<Rule>,
    otherwise: Rule,
}

#[derive(Debug)]
struct Rule {
    name: String,
    kind: RecordType,
    sequence: Vec<Behaviour>,
    asked: usize,
}

impl HostileDns {
    /// Starts on a free loopback port; until told otherwise it answers NXDOMAIN. Needs a running tokio runtime.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn start() -> std::io::Result<Self> {
        let (tcp, udp) = bind_both(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let (tcp, udp) = (TcpListener::from_std(tcp)?, UdpSocket::from_std(udp)?);
        let addr = udp.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Script::new()),
            questions: Mutex::new(Vec::new()),
        });
        let tasks = [
            Task::spawn(serve_udp(udp, Arc::clone(&shared))),
            Task::spawn(accept_tcp(tcp, Arc::clone(&shared))),
        ];
        Ok(Self {
            addr,
            shared,
            _tasks: tasks,
        })
    }

    /// Where it answers.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers the questions for `name` (in any case) and `kind` by this sequence from now on, whatever was
    /// said of them before. [`RecordType::ANY`] stands for every type that has no rule of its own.
    ///
    /// # Panics
    /// When the sequence is empty.
    pub fn on(
        &self,
        name: &str,
        kind: RecordType,
        sequence: impl IntoIterator<Item = Behaviour>,
    ) -> &Self {
        let rule = Rule::new(name, kind, sequence);
        let mut script = self
            .shared
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        script
            .rules
            .retain(|old| (&old.name, old.kind) != (&rule.name, rule.kind));
        script.rules.push(rule);
        self
    }

    /// Answers every question without a rule by this sequence from now on.
    ///
    /// # Panics
    /// When the sequence is empty.
    pub fn otherwise(&self, sequence: impl IntoIterator<Item = Behaviour>) -> &Self {
        let mut script = self
            .shared
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        script.otherwise = Rule::new("", RecordType::ANY, sequence);
        drop(script);
        self
    }

    /// Every question so far, in order.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.shared
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often `name` was asked for with this type.
    #[must_use]
    pub fn asked(&self, name: &str, kind: RecordType) -> usize {
        let name = normal(name);
        self.questions()
            .iter()
            .filter(|asked| asked.name == name && asked.kind == kind)
            .count()
    }
}

impl Shared {
    /// Writes down the question and finds what to send for it: packets, each after a wait.
    fn react(
        &self,
        packet: &[u8],
        from: SocketAddr,
        transport: Transport,
    ) -> Vec<(Duration, Vec<u8>)> {
        let Ok(asked) = Message::from_vec(packet) else {
            return Vec::new();
        };
        let Some(query) = asked.queries.first() else {
            return Vec::new();
        };
        let spelling = query.name().to_ascii();
        let question = Question {
            name: normal(&spelling),
            spelling,
            kind: query.query_type(),
            transport,
            from,
            at: Instant::now(),
        };
        let (behaviour, before) = self
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(&question);
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if questions.len() < QUESTIONS_MAX {
            questions.push(question);
        }
        drop(questions);
        behaviour.packets(&asked, transport, before)
    }
}

impl Script {
    fn new() -> Self {
        let nothing = Behaviour::Code(ResponseCode::NXDomain);
        Self {
            rules: Vec::new(),
            otherwise: Rule::new("", RecordType::ANY, [nothing]),
        }
    }

    /// The behaviour for this question, and how often its rule was used before. A truncated answer and the
    /// same question over TCP are one use: the sequence does not move on over TCP.
    fn next(&mut self, question: &Question) -> (Behaviour, usize) {
        let of = |kind| move |rule: &Rule| rule.name == question.name && rule.kind == kind;
        let exact = self.rules.iter().position(of(question.kind));
        let index = exact.or_else(|| self.rules.iter().position(of(RecordType::ANY)));
        let rule = index.and_then(|index| self.rules.get_mut(index));
        rule.unwrap_or(&mut self.otherwise).next(question.transport)
    }
}

impl Rule {
    fn new(name: &str, kind: RecordType, sequence: impl IntoIterator<Item = Behaviour>) -> Self {
        let sequence: Vec<Behaviour> = sequence.into_iter().collect();
        assert!(
            !sequence.is_empty(),
            "a rule without behaviours says nothing"
        );
        Self {
            name: normal(name),
            kind,
            sequence,
            asked: 0,
        }
    }

    fn next(&mut self, transport: Transport) -> (Behaviour, usize) {
        let before = match transport {
            Transport::Udp => {
                self.asked += 1;
                self.asked - 1
            }
            Transport::Tcp => self.asked.saturating_sub(1),
        };
        let index = before.min(self.sequence.len() - 1);
        (self.sequence[index].clone(), before)
    }
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let socket = Arc::new(socket);
    let mut sending = JoinSet::new();
    let mut packet = vec![0; QUESTION_OCTETS_MAX];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut packet).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let answers = shared.react(&packet[..len], from, Transport::Udp);
        let socket = Arc::clone(&socket);
        sending.spawn(async move {
            for (wait, answer) in answers {
                sleep(wait).await;
                socket.send_to(&answer, from).await.ok();
            }
        });
        while sending.try_join_next().is_some() {}
    }
}

async fn accept_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move { timeout(TCP_IDLE, serve_tcp(stream, from, shared)).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_tcp(
    mut stream: TcpStream,
    from: SocketAddr,
    shared: Arc<Shared>,
) -> std::io::Result<()> {
    loop {
        let len = usize::from(stream.read_u16().await?).min(QUESTION_OCTETS_MAX);
        let mut packet = vec![0; len];
        stream.read_exact(&mut packet).await?;
        for (wait, answer) in shared.react(&packet, from, Transport::Tcp) {
            sleep(wait).await;
            let len = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
            stream
                .write_all(&[&len.to_be_bytes()[..], &answer].concat())
                .await?;
        }
    }
}

#[cfg(test)]
mod tests;
