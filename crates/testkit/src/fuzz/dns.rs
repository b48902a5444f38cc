use chancery_dial::{DialError, txt_of_message};
use chancery_pki::{DnsName, San};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::{A, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{Form, Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "dns",
    run,
    samples,
    tokens: &[
        b"\xc0\x0c",
        b"\xc0\x00",
        b"\x00\x10\x00\x01",
        b"\x00\x05\x00\x01",
        b"*.",
        b"xn--",
    ],
    form: Form::Bytes,
    memory_base: MESSAGE_BYTES,
};

/// The message reader makes room for as many questions as the header announces, 65,535 of 88 bytes each.
const MESSAGE_BYTES: usize = 6 * 1024 * 1024;
const OWNER: &str = "_acme-challenge.www.corp.test.";

/// Reads the input as the answer to a TXT question, and as the text of a name.
fn run(input: &[u8]) -> Outcome {
    let texts = txt_of_message(input, OWNER);
    let outcome = match texts {
        Ok(texts) => Outcome::of("|".repeat(texts.len().min(3))),
        Err(DialError::BadAnswer { reason, .. }) => Outcome::of(reason),
        // The names in other errors come from the input, another one for each.
        Err(error) => Outcome::of_variant(&error),
    };
    // Read once more by the library alone, whose errors say how far it came.
    let outcome = match Message::from_vec(input) {
        Ok(message) => message.answers.iter().fold(outcome, |all, record| {
            all.and(Outcome::of(record.record_type()))
        }),
        Err(error) => outcome.and(Outcome::of_variant(&error)),
    };
    let Ok(text) = std::str::from_utf8(input) else {
        return outcome;
    };
    let name = San::parse(text);
    if let Ok(name) = &name {
        assert_eq!(
            San::parse(&name.to_string()).as_ref(),
            Ok(name),
            "a name reads as it is shown"
        );
    }
    if let Ok(name) = DnsName::parse(text) {
        assert!(
            name.is_subdomain_of(&name) || name.labels().count() > 0,
            "a name has labels"
        );
        assert!(
            !name.to_unicode().is_empty(),
            "a name can be shown to people"
        );
    }
    outcome.and(Outcome::of_result(&name))
}

fn samples() -> Vec<Vec<u8>> {
    let text = |text: &str| RData::TXT(TXT::from_bytes(vec![text.as_bytes()]));
    let alias = |target: &str| RData::CNAME(CNAME(name(target)));
    let long = RData::TXT(TXT::from_bytes(vec![&[b'x'; 255]; 4]));
    let chain = [
        record("link1.corp.test.", alias("link2.corp.test.")),
        record(OWNER, alias("link1.corp.test.")),
        record("link2.corp.test.", text("value")),
    ];
    let address = RData::A(A::new(192, 0, 2, 1));
    vec![
        message(&[record(OWNER, text("value")), record(OWNER, text("other"))]),
        message(&[record(OWNER, long)]),
        message(&chain),
        message(&[record(OWNER, alias(OWNER)), record("x.test.", address)]),
        message(&[]),
        b"www.corp.test".to_vec(),
        b"*.xn--bcher-kva.test".to_vec(),
        b"2001:db8::1".to_vec(),
        b"192.0.2.1".to_vec(),
    ]
}

fn message(answers: &[Record]) -> Vec<u8> {
    let mut message = Message::response(7, hickory_proto::op::OpCode::Query);
    message.add_query(Query::query(name(OWNER), RecordType::TXT));
    message.answers = answers.to_vec();
    message.to_vec().expect("a small message")
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a good name")
}
