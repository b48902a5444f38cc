//! Hostile DER at the two places where a stranger's octets are read (failures C7): the CSR of a finalize, and the
//! certificate of a revocation.

use chancery_jose::b64;
use chancery_tests::{Authority, csr_for, new_key};
use serde_json::json;

/// What may have been used more at the end; caches of the allocator are below it.
const BYTES_MORE_MAX: u64 = 32 << 20;
/// The largest CSR that is read.
const CSR_BYTES: usize = 32 * 1024;

fn definite(content: Vec<u8>) -> Vec<u8> {
    let len = content.len();
    let head = match len {
        0..=0x7f => vec![0x30, u8::try_from(len).expect("short")],
        0x80..=0xff => vec![0x30, 0x81, u8::try_from(len).expect("short")],
        _ => [
            &[0x30, 0x82][..],
            &u16::try_from(len).expect("short").to_be_bytes(),
        ]
        .concat(),
    };
    [head, content].concat()
}

/// SEQUENCEs in SEQUENCEs, as many as fit, each with its right length.
fn nested() -> Vec<u8> {
    let mut der = vec![0x05, 0x00];
    while der.len() < CSR_BYTES - 8 {
        der = definite(der);
    }
    der
}

/// An element that stands first: its header and its content, and what comes behind.
fn first_element(der: &[u8]) -> (usize, &[u8], &[u8]) {
    let (header, len) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
    };
    let (element, rest) = der.split_at(header + len);
    (header, &element[header..], rest)
}

/// What is broken whatever it was meant to be.
fn shapeless() -> Vec<(String, Vec<u8>)> {
    let long_length = |octets: usize| {
        let first = 0x80 | u8::try_from(octets).expect("a short length");
        [vec![0x30, first], vec![0xff; octets]].concat()
    };
    [
        ("nested, definite", nested()),
        ("10,000 nested, indefinite", [0x30, 0x80].repeat(10_000)),
        ("10,000 nested sets", [0x31, 0x80].repeat(10_000)),
        ("length 2^32-1", long_length(4)),
        ("length 2^64-1", long_length(8)),
        ("length of 127 octets", long_length(127)),
        ("a high tag", [vec![0x3f], vec![0xff; 200]].concat()),
        ("zeros", vec![0; CSR_BYTES]),
        ("ones", vec![0xff; CSR_BYTES]),
        ("too long", vec![0x30; CSR_BYTES + 1]),
        ("an empty sequence", vec![0x30, 0]),
        ("PEM", b"-----BEGIN CERTIFICATE REQUEST-----\n".to_vec()),
    ]
    .map(|(case, der)| (case.to_owned(), der))
    .into()
}

/// What a good request becomes by one change.
fn changed() -> Vec<(String, Vec<u8>)> {
    let good = csr_for(&new_key(), &["a.test"]);
    let (header, content, rest) = first_element(&good);
    assert!(rest.is_empty(), "a request is one element");
    let minimal = good[1..header].to_vec();
    let long = match minimal.as_slice() {
        [len] => vec![0x81, *len],
        [_, len] => vec![0x82, 0, *len],
        [_, high, low] => vec![0x83, 0, *high, *low],
        other => panic!("a length of at most two octets: {other:?}"),
    };
    let mut cases = vec![
        (
            "indefinite length".to_owned(),
            [&[0x30, 0x80], content, &[0, 0]].concat(),
        ),
        (
            "length that is not minimal".to_owned(),
            [&[0x30], &long[..], content].concat(),
        ),
        ("an octet behind".to_owned(), [&good[..], &[0]].concat()),
        ("two requests".to_owned(), [&good[..], &good].concat()),
    ];
    for end in (0..good.len()).step_by(7) {
        cases.push((format!("cut at {end}"), good[..end].to_vec()));
    }
    for at in (0..good.len()).step_by(3) {
        let mut changed = good.clone();
        changed[at] ^= 0x81;
        cases.push((format!("octet {at} changed"), changed));
    }
    // The signature is the third element: a BIT STRING without octets, without bits, with eight unused ones.
    let (_, _, behind_info) = first_element(content);
    let (_, _, signature) = first_element(behind_info);
    assert_eq!(signature[0], 0x03, "a BIT STRING");
    let signed = &content[..content.len() - signature.len()];
    for (what, bits) in [
        ("nothing", &[3, 0][..]),
        ("empty", &[3, 1, 0]),
        ("odd", &[3, 2, 8, 0]),
    ] {
        let body = [signed, bits].concat();
        cases.push((format!("a signature that is {what}"), definite(body)));
    }
    cases
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    [shapeless(), changed()].concat()
}

#[test]
fn c7_hostile_der_in_a_finalize_is_a_bad_csr() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test"]);
    let calm = authority.calm();
    let before = authority.usage().rss_bytes;
    let cases = corpus();
    for (case, der) in &cases {
        let reply = account.finalize(&order, der);
        assert_eq!(reply.in_short(), "400 badCSR", "{case}: {}", reply.text());
    }
    let after = authority.usage().rss_bytes;
    assert!(
        after < before + BYTES_MORE_MAX,
        "from {before} to {after} bytes"
    );
    calm.holds_and_counted(&authority, cases.len());
    assert_eq!(
        account
            .finalize(&order, &csr_for(&new_key(), &["a.test"]))
            .status,
        200
    );
}

#[test]
fn c7_hostile_der_in_a_revocation_is_nobodys_certificate() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let calm = authority.calm();
    let before = authority.usage().rss_bytes;
    let url = client.url("revokeCert");
    let mut cases = corpus();
    let der = issued.leaf().der().to_vec();
    for at in (0..der.len()).step_by(5) {
        let mut changed = der.clone();
        changed[at] ^= 1;
        cases.push((format!("octet {at} of our certificate changed"), changed));
    }
    cases.push((
        "our certificate and an octet".into(),
        [&der[..], &[0]].concat(),
    ));
    for (case, der) in &cases {
        let reply = account.send(&url, &json!({ "certificate": b64(der) }));
        assert!(
            ["400 malformed", "403 unauthorized", "404 malformed"]
                .contains(&reply.in_short().as_str()),
            "{case}: {}",
            reply.text()
        );
    }
    let after = authority.usage().rss_bytes;
    assert!(
        after < before + BYTES_MORE_MAX,
        "from {before} to {after} bytes"
    );
    calm.holds_and_counted(&authority, cases.len());
    assert!(
        authority
            .certificates()
            .iter()
            .all(|certificate| certificate["status"] == "good")
    );
}
