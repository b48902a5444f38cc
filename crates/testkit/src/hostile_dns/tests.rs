use std::net::IpAddr;

use hickory_proto::op::{Edns, Query};

use super::*;

const SOON: Duration = Duration::from_secs(20);

async fn server() -> HostileDns {
    HostileDns::start().await.expect("free ports")
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    let mut name = Name::from_ascii(name).expect("a name");
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message.set_edns(Edns::new());
    message
}

async fn ask(server: &HostileDns, question: &Message) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("free");
    socket
        .send_to(&question.to_vec().expect("encoded"), server.addr())
        .await
        .expect("sent");
    receive(&socket).await
}

async fn receive(socket: &UdpSocket) -> Message {
    let mut packet = vec![0; 4096];
    let len = timeout(SOON, socket.recv(&mut packet))
        .await
        .expect("in time")
        .expect("received");
    Message::from_vec(&packet[..len]).expect("a message")
}

async fn ask_tcp(server: &HostileDns, question: &Message) -> Message {
    let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
    let question = question.to_vec().expect("encoded");
    let len = u16::try_from(question.len()).expect("short");
    stream
        .write_all(&[&len.to_be_bytes()[..], &question].concat())
        .await
        .expect("sent");
    let len = timeout(SOON, stream.read_u16())
        .await
        .expect("in time")
        .expect("a length");
    let mut packet = vec![0; usize::from(len)];
    stream.read_exact(&mut packet).await.expect("received");
    Message::from_vec(&packet).expect("a message")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn data(message: &Message) -> Vec<String> {
    message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

#[tokio::test]
async fn a_sequence_gives_each_question_its_own_answer_and_repeats_the_last() {
    let server = server().await;
    let rebinding = [
        Behaviour::address(ip("192.0.2.1")),
        Behaviour::address(ip("127.0.0.1")),
    ];
    server.on("Rebind.test", RecordType::A, rebinding);
    let asked = question("rEbind.test", RecordType::A);
    for expected in ["192.0.2.1", "127.0.0.1", "127.0.0.1"] {
        assert_eq!(data(&ask(&server, &asked).await), [expected]);
    }
    assert_eq!(server.asked("rebind.test", RecordType::A), 3);
    assert_eq!(server.questions()[0].spelling, "rEbind.test.");
}

#[tokio::test]
async fn a_rule_of_its_own_comes_before_the_rule_for_any_type() {
    let server = server().await;
    server.on(
        "a.test",
        RecordType::ANY,
        [Behaviour::Code(ResponseCode::ServFail)],
    );
    server.on(
        "a.test",
        RecordType::TXT,
        [Behaviour::texts(&["one", "two"])],
    );
    let code = ask(&server, &question("a.test", RecordType::A))
        .await
        .metadata
        .response_code;
    assert_eq!(code, ResponseCode::ServFail);
    assert_eq!(
        data(&ask(&server, &question("a.test", RecordType::TXT)).await),
        ["one", "two"]
    );
    let code = ask(&server, &question("b.test", RecordType::A))
        .await
        .metadata
        .response_code;
    assert_eq!(code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_truncated_answer_is_whole_over_tcp() {
    let server = server().await;
    let Behaviour::Answer(texts) = Behaviour::texts(&["whole"]) else {
        unreachable!()
    };
    server.on(
        "a.test",
        RecordType::TXT,
        [Behaviour::TruncatedThenTcp(texts)],
    );
    let asked = question("a.test", RecordType::TXT);
    assert!(ask(&server, &asked).await.metadata.truncation);
    assert_eq!(data(&ask_tcp(&server, &asked).await), ["whole"]);
    let transports: Vec<_> = server
        .questions()
        .iter()
        .map(|asked| asked.transport)
        .collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
}

#[tokio::test]
async fn a_huge_text_fills_a_message_over_tcp() {
    let server = server().await;
    server.on(
        "a.test",
        RecordType::TXT,
        [Behaviour::HugeText { octets: 65_000 }],
    );
    let asked = question("a.test", RecordType::TXT);
    assert!(ask(&server, &asked).await.metadata.truncation);
    assert_eq!(data(&ask_tcp(&server, &asked).await)[0].len(), 65_000);
}

#[tokio::test]
async fn chains_and_loops_are_as_long_as_asked() {
    let server = server().await;
    let end = vec![RData::A("192.0.2.1".parse().expect("an address"))];
    server.otherwise([
        Behaviour::CnameChain { links: 50, end },
        Behaviour::CnameLoop { links: 2 },
        Behaviour::CnameEndless,
        Behaviour::CnameEndless,
    ]);
    let asked = question("a.test", RecordType::A);
    let cut = ask(&server, &asked).await;
    assert!(cut.metadata.truncation, "a chain of 50 goes by TCP");
    assert_eq!(ask_tcp(&server, &asked).await.answers.len(), 51);
    assert_eq!(
        data(&ask(&server, &asked).await),
        ["link1.chain.test.", "a.test."]
    );
    assert_eq!(data(&ask(&server, &asked).await), ["n2.endless.test."]);
    assert_eq!(data(&ask(&server, &asked).await), ["n3.endless.test."]);
}

#[tokio::test]
async fn forged_answers_differ_in_id_question_or_case() {
    let server = server().await;
    let end = vec![RData::A("192.0.2.1".parse().expect("an address"))];
    server.otherwise([
        Behaviour::WrongId(end.clone()),
        Behaviour::WrongQuestion(end.clone()),
        Behaviour::WrongCase(end),
    ]);
    let asked = question("a.test", RecordType::A);
    assert_ne!(ask(&server, &asked).await.metadata.id, asked.metadata.id);
    assert_eq!(
        ask(&server, &asked).await.queries[0].name().to_ascii(),
        "other.test."
    );
    assert_eq!(
        ask(&server, &asked).await.queries[0].name().to_ascii(),
        "A.TEST."
    );
}

#[tokio::test]
async fn a_burst_sends_several_packets_and_silence_none() {
    let server = server().await;
    let late = Behaviour::After(
        Duration::from_millis(5),
        Box::new(Behaviour::address(ip("::1"))),
    );
    server.on(
        "a.test",
        RecordType::AAAA,
        [Behaviour::Burst(vec![
            Behaviour::Silence,
            Behaviour::WrongId(Vec::new()),
            late,
        ])],
    );
    let asked = question("a.test", RecordType::AAAA);
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("free");
    socket
        .send_to(&asked.to_vec().expect("encoded"), server.addr())
        .await
        .expect("sent");
    assert_ne!(receive(&socket).await.metadata.id, asked.metadata.id);
    assert_eq!(data(&receive(&socket).await), ["::1"]);
}

#[tokio::test]
async fn raw_octets_and_foreign_authorities_are_passed_on() {
    let server = server().await;
    let zone = Name::from_ascii("other.example.").expect("a name");
    let header = vec![0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    server.otherwise([Behaviour::ForeignSoa(zone.clone()), Behaviour::Raw(header)]);
    let asked = question("a.test", RecordType::A);
    assert_eq!(ask(&server, &asked).await.authorities[0].name, zone);
    let bare = ask(&server, &asked).await;
    assert_eq!(
        (bare.metadata.id, bare.queries.len()),
        (asked.metadata.id, 0)
    );
}
