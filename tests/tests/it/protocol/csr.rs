//! Certification requests in finalize (RFC 8555 §7.4, failures C1): a key and names to compare, nothing else.

use chancery_crypto::KeyKind;
use chancery_pki::{Certificate, ExtKeyUsage};
use chancery_tests::{Account, Authority, Order, csr_for, new_key, openssl};
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, SanType,
};
use serde_json::json;

/// A request for `a.test` with one thing changed.
fn request(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    params
        .serialize_request(&key)
        .expect("a request")
        .der()
        .to_vec()
}

fn subject(kind: DnType, value: &str) -> Vec<u8> {
    request(|params| {
        params
            .distinguished_name
            .push(kind, DnValue::Utf8String(value.to_owned()));
    })
}

fn text(value: &str) -> Ia5String {
    value.try_into().expect("ASCII")
}

fn with_san(san: SanType) -> Vec<u8> {
    request(|params| params.subject_alt_names.push(san))
}

/// An extension with its value in DER.
fn with_extension(oid: &[u64], value: Vec<u8>) -> Vec<u8> {
    request(|params| {
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(oid, value));
    })
}

/// GeneralNames with the one dNSName `name`.
fn general_names(name: &str) -> Vec<u8> {
    let len = u8::try_from(name.len()).expect("a short name");
    [&[0x30, len + 2, 0x82, len], name.as_bytes()].concat()
}

const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
const EXT_KEY_USAGE: [u64; 4] = [2, 5, 29, 37];
const USER_PRINCIPAL_NAME: [u64; 10] = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

fn is_refused(account: &Account<'_>, order: &Order, case: &str, csr: &[u8]) {
    let reply = account.finalize(order, csr);
    assert_eq!(reply.in_short(), "400 badCSR", "{case}: {}", reply.text());
    assert_eq!(
        account.look_at(order).expect("the order").status(),
        "ready",
        "{case}"
    );
}

#[test]
fn c1_a_request_that_says_more_than_the_order_is_refused() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test"]);
    let calm = authority.calm();
    let email = SanType::Rfc822Name(text("root@a.test"));
    let uri = SanType::URI(text("tag:microsoft.com,2022-09-14:sid:S-1-5-21"));
    let upn = SanType::OtherName((
        USER_PRINCIPAL_NAME.to_vec(),
        rcgen::OtherNameValue::Utf8String("administrator@corp".to_owned()),
    ));
    let address = SanType::IpAddress([127, 0, 0, 1].into());
    let directory_name = vec![
        0x30, 0x12, 0xa4, 0x10, 0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, 0x03,
        0x0c, 0x03, b'e', b'v', b'e',
    ];
    let only_directory_name = request(|params| {
        params.subject_alt_names.clear();
        let san = CustomExtension::from_oid_content(&SUBJECT_ALT_NAME, directory_name);
        params.custom_extensions.push(san);
    });
    let cases = [
        (
            "NUL in the common name",
            subject(DnType::CommonName, "good.test\0.evil.test"),
        ),
        ("another common name", subject(DnType::CommonName, "b.test")),
        (
            "SQL as the common name",
            subject(DnType::CommonName, "'; DROP TABLE certificate; --"),
        ),
        (
            "a person as the common name",
            subject(DnType::CommonName, "Mallory"),
        ),
        ("a name more", with_san(SanType::DnsName(text("b.test")))),
        (
            "the wildcard beside it",
            with_san(SanType::DnsName(text("*.a.test"))),
        ),
        (
            "the same name twice",
            with_san(SanType::DnsName(text("a.test"))),
        ),
        ("an address", with_san(address)),
        ("an e-mail address", with_san(email)),
        ("a URI", with_san(uri)),
        ("a user principal name", with_san(upn)),
        ("a directory name", only_directory_name),
        (
            "two lists of names",
            with_extension(&SUBJECT_ALT_NAME, general_names("a.test")),
        ),
        (
            "a second list with another name",
            with_extension(&SUBJECT_ALT_NAME, general_names("b.test")),
        ),
        (
            "a NUL in a name",
            with_san(SanType::DnsName(text("a.test\0.evil.test"))),
        ),
        (
            "no name at all",
            request(|params| params.subject_alt_names.clear()),
        ),
        ("another name", csr_for(&new_key(), &["b.test"])),
        (
            "a subject of 30,000 octets",
            subject(DnType::OrganizationName, &"x".repeat(30_000)),
        ),
    ];
    let count = cases.len();
    for (case, csr) in &cases {
        if *case == "a subject of 30,000 octets" {
            continue;
        }
        is_refused(&account, &order, case, csr);
    }
    calm.holds_and_counted(&authority, count - 1);
}

#[test]
fn c1_what_a_request_wishes_is_not_in_the_certificate() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    // CA:TRUE, codeSigning.
    let ca = vec![0x30, 0x03, 0x01, 0x01, 0xff];
    let code_signing = vec![
        0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03,
    ];
    let cases = [
        (
            "its own name as common name",
            subject(DnType::CommonName, "a.test"),
        ),
        (
            "its name in capitals",
            subject(DnType::CommonName, "A.TEST"),
        ),
        (
            "an organisation",
            subject(DnType::OrganizationName, "A&B, \"C\"+<d>\\,=#"),
        ),
        (
            "SQL as organisation",
            subject(DnType::OrganizationName, "'; DROP TABLE certificate; --"),
        ),
        (
            "a subject of 30,000 octets",
            subject(DnType::OrganizationName, &"x".repeat(30_000)),
        ),
        ("to be a CA", with_extension(&BASIC_CONSTRAINTS, ca)),
        ("to sign code", with_extension(&EXT_KEY_USAGE, code_signing)),
        (
            "an extension that nobody knows",
            with_extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]),
        ),
    ];
    for (case, csr) in &cases {
        let order = account.ready_order(&["a.test"]);
        let reply = account.finalize(&order, csr);
        assert_eq!(reply.in_short(), "200", "{case}: {}", reply.text());
        let issued = account
            .try_download(order_of(&reply, &order), new_key())
            .expect("a certificate");
        is_plain(case, &issued.leaf());
    }
}

fn order_of(reply: &chancery_tests::Reply, order: &Order) -> Order {
    Order {
        url: order.url.clone(),
        object: reply.json(),
    }
}

fn is_plain(case: &str, leaf: &Certificate) {
    assert_eq!(leaf.subject_der(), [0x30, 0], "{case}: no subject");
    let names: Vec<String> = leaf.sans().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a.test"], "{case}");
    assert!(!leaf.has_other_sans(), "{case}");
    assert!(!leaf.is_ca(), "{case}");
    assert_eq!(
        leaf.ext_key_usages(),
        Some(&[ExtKeyUsage::ServerAuth][..]),
        "{case}"
    );
}

#[test]
fn c1_keys_must_be_the_requesters_own_and_strong() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test"]);
    let calm = authority.calm();
    is_refused(
        &account,
        &order,
        "the account's key",
        &csr_for(&account.key, &["a.test"]),
    );
    let other = client.register();
    is_refused(
        &account,
        &order,
        "another account's key",
        &csr_for(&other.key, &["a.test"]),
    );
    let mut tampered = csr_for(&new_key(), &["a.test"]);
    *tampered.last_mut().expect("octets") ^= 1;
    is_refused(&account, &order, "a signature that is off", &tampered);
    for (label, algorithm) in [
        ("RSA of 1024 bits", &["-newkey", "rsa:1024"][..]),
        (
            "a curve that is not offered",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        ),
        (
            "a curve by its numbers",
            &[
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-pkeyopt",
                "ec_param_enc:explicit",
            ],
        ),
        ("SHA-1", &["-newkey", "rsa:2048", "-sha1"]),
    ] {
        let path = authority.scratch("weak.csr");
        let key = authority.scratch("weak.key");
        let (path, key) = (path.to_str().expect("plain"), key.to_str().expect("plain"));
        let common = [
            "req",
            "-new",
            "-nodes",
            "-subj",
            "/",
            "-addext",
            "subjectAltName=DNS:a.test",
        ];
        let files = ["-keyout", key, "-outform", "DER", "-out", path];
        openssl::must(&[&common[..], algorithm, &files].concat());
        let csr = std::fs::read(path).expect("a request");
        is_refused(&account, &order, label, &csr);
    }
    calm.holds_and_counted(&authority, 7);
}

#[test]
fn every_offered_kind_of_key_is_certified() {
    use chancery_crypto::{Curve, PrivateKey};
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let kinds = [
        KeyKind::Ec(Curve::P256),
        KeyKind::Ec(Curve::P384),
        KeyKind::Ec(Curve::P521),
        KeyKind::Rsa2048,
        KeyKind::Ed25519,
    ];
    for kind in kinds {
        let key = PrivateKey::generate(kind).expect("a key");
        let issued = account.issue_for(key, &["a.test", "b.a.test"]);
        assert_eq!(issued.leaf().spki().key(), issued.key.public(), "{kind:?}");
        let judged = issued.dossier(&authority).verify();
        assert!(judged.status.success(), "{kind:?}: {}", judged.stderr);
    }
}

#[test]
fn c1_a_finalize_without_a_request_is_malformed() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test"]);
    let calm = authority.calm();
    for (payload, expected) in [
        (json!({}), "400 malformed"),
        (json!({ "csr": 1 }), "400 malformed"),
        (json!({ "csr": "MII=" }), "400 malformed"),
        (
            json!({ "csr": "-----BEGIN CERTIFICATE REQUEST-----" }),
            "400 malformed",
        ),
        (json!({ "csr": "" }), "400 badCSR"),
        (json!({ "csr": "AAAA" }), "400 badCSR"),
    ] {
        let reply = account.send(order.finalize_url(), &payload);
        assert_eq!(reply.in_short(), expected, "{payload}: {}", reply.text());
    }
    calm.holds_and_counted(&authority, 6);
}
