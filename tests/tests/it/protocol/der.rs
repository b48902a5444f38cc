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

fn corpus() -> Vec<(String, Vec<u8>)> {
    let good = csr_for(&new_key(), &["a.test"]);
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("nested, definite".into(), nested()),
        (
            "10,000 nested, indefinite".into(),
            [0x30, 0x80].repeat(10_000),
        ),
        ("10,000 nested sets".into(), [0x31, 0x80].repeat(10_000)),
        (
            "indefinite length".into(),
            [&[0x30, 0x80][..], &good[4..], &[0, 0]].concat(),
        ),
        (
            "length 2^32-1".into(),
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "length 2^64-1".into(),
            [&[0x30, 0x88][..], &[0xff; 8]].concat(),
        ),
        (
            "length of 127 octets".into(),
            [&[0x30, 0xff][..], &[0xff; 127]].concat(),
        ),
        (
            "length that is not minimal".into(),
            [&[0x30, 0x83, 0][..], &good[2..]].concat(),
        ),
        ("an octet behind".into(), [&good[..], &[0]].concat()),
        ("two requests".into(), [&good[..], &good].concat()),
        ("a high tag".into(), [&[0x3f][..], &[0xff; 200]].concat()),
        ("zeros".into(), vec![0; CSR_BYTES]),
        ("ones".into(), vec![0xff; CSR_BYTES]),
        ("too long".into(), vec![0x30; CSR_BYTES + 1]),
        ("an empty sequence".into(), vec![0x30, 0]),
        (
            "PEM".into(),
            b"-----BEGIN CERTIFICATE REQUEST-----\n".to_vec(),
        ),
    ];
    for end in (0..good.len()).step_by(7) {
        cases.push((format!("cut at {end}"), good[..end].to_vec()));
    }
    for at in (0..good.len()).step_by(3) {
        let mut changed = good.clone();
        changed[at] ^= 0x81;
        cases.push((format!("octet {at} changed"), changed));
    }
    // The signature is the last element: a BIT STRING of 0, 1 and "8 unused bits" octets.
    let signature = good
        .windows(2)
        .rposition(|pair| pair[0] == 0x03)
        .expect("a BIT STRING");
    for (what, bits) in [
        ("none", &[3, 0][..]),
        ("empty", &[3, 1, 0]),
        ("odd", &[3, 2, 8, 0]),
    ] {
        let body = [&good[4..signature], bits].concat();
        cases.push((format!("a signature that is {what}"), definite(body)));
    }
    cases
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
