use chancery_crypto::sha256;
use proptest::prelude::*;
use rcgen::{
    CertificateParams, CustomExtension, Issuer, KeyPair, OtherNameValue, SanType, SerialNumber,
};

use super::ChallengeCertificateError as Why;
use super::*;

const OURS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 31];
const OF_DRAFTS: [u64; 10] = [1, 3, 6, 1, 5, 5, 7, 1, 30, 1];

fn digest() -> Digest32 {
    sha256(b"token.thumbprint")
}

fn octets(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    [&[4, length][..], content].concat()
}

fn identifier(oid: &[u64], content: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(true);
    extension
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}

fn right() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![dns("a.test")];
    params.custom_extensions = vec![identifier(&OURS, octets(&digest()))];
    params
}

fn self_signed(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("signs").der().to_vec()
}

fn check(der: &[u8], name: &str) -> Result<(), Why> {
    check_challenge_certificate(der, &San::parse(name).expect("a name"), &digest())
}

fn refused(change: impl FnOnce(&mut CertificateParams)) -> Why {
    let mut params = right();
    change(&mut params);
    check(&self_signed(&params), "a.test").expect_err("refused")
}

#[test]
fn the_certificate_of_the_rfc_is_a_proof() {
    assert_eq!(check(&self_signed(&right()), "a.test"), Ok(()));
    for address in ["192.0.2.7", "2001:db8::7"] {
        let mut params = right();
        params.subject_alt_names = vec![SanType::IpAddress(address.parse().expect("an address"))];
        assert_eq!(check(&self_signed(&params), address), Ok(()));
    }
}

/// Apache draws 160 random bits, which need a 21st octet in every second case.
#[test]
fn the_serial_number_does_not_matter() {
    for serial in [&[0xa8; 20][..], &[0x7f; 20], &[0xff; 25], &[1]] {
        let mut params = right();
        params.serial_number = Some(SerialNumber::from_slice(serial));
        assert_eq!(
            check(&self_signed(&params), "a.test"),
            Ok(()),
            "{serial:x?}"
        );
    }
}

#[test]
fn a2_the_name_is_the_only_one_and_equal_octet_for_octet() {
    let other = SanType::OtherName((vec![1, 2, 3, 4], OtherNameValue::Utf8String("x".into())));
    for (names, found) in [
        (vec![], 0),
        (vec![dns("a.test"), dns("b.test")], 2),
        (vec![dns("a.test"), dns("a.test")], 2),
        (vec![dns("a.test"), other.clone()], 2),
    ] {
        let why = refused(|params| params.subject_alt_names = names);
        let expected = "the dNSName a.test".to_owned();
        assert_eq!(why, Why::NameCount { found, expected });
    }
    let address = SanType::IpAddress([192, 0, 2, 7].into());
    for name in [
        dns("A.test"),
        dns("b.test"),
        dns("a.test."),
        dns("*.test"),
        other,
        address.clone(),
    ] {
        let why = refused(|params| params.subject_alt_names = vec![name]);
        assert!(matches!(why, Why::OtherName { .. }), "{why:?}");
    }
    // The same octets as a name of another type, and another address.
    let mut params = right();
    params.subject_alt_names = vec![dns("192.0.2.7")];
    let why = check(&self_signed(&params), "192.0.2.7").expect_err("a dNSName");
    assert!(matches!(why, Why::OtherName { .. }), "{why:?}");
    params.subject_alt_names = vec![address];
    let why = check(&self_signed(&params), "192.0.2.8").expect_err("another");
    assert!(matches!(why, Why::OtherName { .. }), "{why:?}");
}

#[test]
fn a2_the_extension_is_the_critical_one_of_the_rfc_and_stands_there_once() {
    let value = || octets(&digest());
    assert_eq!(
        refused(|params| params.custom_extensions.clear()),
        Why::NoIdentifier
    );
    assert_eq!(
        refused(|params| params.custom_extensions = vec![identifier(&OF_DRAFTS, value())]),
        Why::IdentifierOfDraft
    );
    let soft = CustomExtension::from_oid_content(&OURS, value());
    assert_eq!(
        refused(|params| params.custom_extensions = vec![soft]),
        Why::NotCritical
    );
    let twice = vec![identifier(&OURS, value()), identifier(&OURS, value())];
    assert_eq!(
        refused(|params| params.custom_extensions = twice),
        Why::Certificate(CertificateError::RepeatedExtension {
            extension: "acmeIdentifier"
        })
    );
}

#[test]
fn a2_every_bit_of_the_digest_counts_and_no_octet_more_or_less() {
    let with = |content| refused(|p| p.custom_extensions = vec![identifier(&OURS, content)]);
    for bit in 0..256 {
        let mut other = digest();
        other[bit / 8] ^= 1 << (bit % 8);
        let seen = with(octets(&other));
        assert_eq!(seen, Why::OtherDigest, "{bit}");
    }
    for form in [
        digest().to_vec(),
        octets(&digest()[..31]),
        octets(&[&digest()[..], &[0]].concat()),
        [octets(&digest()), vec![5, 0]].concat(),
        octets(&octets(&digest())),
        vec![4, 0],
    ] {
        assert_eq!(with(form), Why::IdentifierForm);
    }
}

#[test]
fn a_certificate_that_somebody_else_signed_is_no_proof() {
    let above = KeyPair::generate().expect("a key");
    let (key, params) = (KeyPair::generate().expect("a key"), right());
    // The same Name above it, so that only the signature tells.
    let issuer = Issuer::from_params(&params, &above);
    let der = params.signed_by(&key, &issuer).expect("signs");
    assert_eq!(check(der.der(), "a.test"), Err(Why::NotSelfSigned));
    let mut other = right();
    other
        .distinguished_name
        .push(rcgen::DnType::CommonName, "another");
    let issuer = Issuer::from_params(&other, &key);
    let der = params.signed_by(&key, &issuer).expect("signs");
    assert_eq!(check(der.der(), "a.test"), Err(Why::NotSelfSigned));
}

proptest! {
    #[test]
    fn a_changed_certificate_is_refused_or_the_same_proof(at in 0_usize..400, bit in 0_u8..8) {
        let mut der = self_signed(&right());
        let Some(octet) = der.get_mut(at) else { return Ok(()) };
        *octet ^= 1 << bit;
        prop_assert!(check(&der, "a.test").is_err());
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(check(&bytes, "a.test").is_err());
    }
}
