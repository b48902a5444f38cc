//! Requests of any shape, signed, for the tests.

use chancery_crypto::{Curve, KeyKind, PrivateKey, SignatureForm};

use super::{ATTRIBUTES, Csr, CsrError};
use crate::der::{Writer, tag};
use crate::name::San;
use crate::spki::Spki;
use crate::{algorithm, oid};

pub(super) fn key() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates")
}

pub(super) fn sans(names: &[&str]) -> Vec<San> {
    names
        .iter()
        .map(|name| San::parse(name).expect("a name"))
        .collect()
}

/// A request signed by the key in it, with these common names and whatever `attributes` writes.
pub(super) fn signed(common_names: &[&[u8]], attributes: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let key = key();
    let mut w = Writer::new();
    w.sequence(|w| {
        w.integer_u64(0);
        w.sequence(|w| {
            for text in common_names {
                w.tlv(tag::SET, |w| {
                    w.sequence(|w| {
                        w.oid(oid::COMMON_NAME);
                        w.primitive(tag::UTF8_STRING, text);
                    });
                });
            }
        });
        w.raw(Spki::of(key.public()).as_der());
        w.tlv(ATTRIBUTES, attributes);
    });
    sign(&key, &w.finish())
}

pub(super) fn sign(key: &PrivateKey, info: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.sequence(|w| {
        w.raw(info);
        algorithm::write(w, key.algorithm());
        w.bit_string(&key.sign(SignatureForm::Der, info).expect("signs"), 0);
    });
    w.finish()
}

pub(super) fn extension(w: &mut Writer, kind: &[u8], value: &[u8]) {
    w.sequence(|w| {
        w.oid(kind);
        w.octet_string(value);
    });
}

pub(super) fn request_attribute(w: &mut Writer, extensions: impl FnOnce(&mut Writer)) {
    w.sequence(|w| {
        w.oid(oid::EXTENSION_REQUEST);
        w.tlv(tag::SET, |w| w.sequence(extensions));
    });
}

pub(super) fn general_names(content: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    w.sequence(content);
    w.finish()
}

/// A request with these GeneralNames.
pub(super) fn with_names(common_names: &[&[u8]], names: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let value = general_names(names);
    signed(common_names, |w| {
        request_attribute(w, |w| extension(w, oid::SUBJECT_ALT_NAME, &value));
    })
}

pub(super) fn check(der: &[u8], expected: Result<&[&str], CsrError>) {
    let names = Csr::parse(der).map(|csr| csr.names);
    assert_eq!(
        names,
        expected.map(|names| sans(names).into_iter().collect())
    );
}
