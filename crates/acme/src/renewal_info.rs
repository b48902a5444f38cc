use std::fmt;

use chancery_jose::{b64, unb64};
use chancery_pki::{Certificate, Serial, UnixTime};
use serde::{Deserialize, Serialize};

use crate::wire::time;

/// When a certificate should be renewed (RFC 9773 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInfo {
    /// A client renews at a random time in here, and at once when it is over.
    pub suggested_window: SuggestedWindow,
    /// A page for people on why.
    #[serde(
        rename = "explanationURL",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub explanation_url: Option<String>,
}

/// A span of time; it ends after it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestedWindow {
    /// Its first second.
    #[serde(with = "time")]
    pub start: UnixTime,
    /// Its end.
    #[serde(with = "time")]
    pub end: UnixTime,
}

/// What names a certificate without its issuer's help: the authority key identifier and the serial number that stand in it
/// (RFC 9773 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertId {
    /// The keyIdentifier of its authorityKeyIdentifier.
    pub authority_key_id: Vec<u8>,
    /// The content octets of its serial number.
    pub serial: Vec<u8>,
}

/// A text that is no [`CertId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate is named by two base64url texts with a point between them (RFC 9773, section 4.1)"
)]
pub struct CertIdError;

/// Octets of either half; ours have 20.
const HALF_OCTETS_MAX: usize = 64;

impl CertId {
    /// Reads `base64url "." base64url`.
    ///
    /// # Errors
    /// [`CertIdError`].
    pub fn parse(text: &str) -> Result<Self, CertIdError> {
        let (authority_key_id, serial) = text.split_once('.').ok_or(CertIdError)?;
        let half = |text: &str| match unb64(text) {
            Ok(octets) if !octets.is_empty() && octets.len() <= HALF_OCTETS_MAX => Ok(octets),
            _ => Err(CertIdError),
        };
        Ok(Self {
            authority_key_id: half(authority_key_id)?,
            serial: half(serial)?,
        })
    }

    /// What names this certificate; `None` if it has no authority key identifier.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let serial = certificate.serial();
        let number = serial.as_bytes().iter().copied().skip_while(|it| *it == 0);
        // DER puts a zero before a first octet that would make the number negative. It is part of the name.
        let zero = number.clone().next().filter(|first| *first >= 0x80);
        Some(Self {
            authority_key_id: certificate.authority_key_id()?.to_vec(),
            serial: zero.map(|_| 0).into_iter().chain(number).collect(),
        })
    }

    /// The serial number, if it has the form of ours.
    #[must_use]
    pub fn our_serial(&self) -> Option<Serial> {
        Serial::from_bytes(&self.serial).ok()
    }
}

impl fmt::Display for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", b64(&self.authority_key_id), b64(&self.serial))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chancery_crypto::{Curve, KeyKind, PrivateKey, SignatureForm};
    use chancery_pki::tbs::{assemble, ca, leaf};
    use chancery_pki::{
        AskedValidity, CaRequest, IssuerCertificate, LeafRequest, Profile, San, Spki, Tbs,
    };

    use super::*;
    use crate::from_slice_bounded;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn signed(tbs: &Tbs, key: &PrivateKey) -> Vec<u8> {
        let signature = key.sign(SignatureForm::Der, tbs.as_der()).expect("signs");
        assemble(tbs.as_der(), key.algorithm(), &signature)
    }

    /// A certificate with these content octets as its serial number, and the key identifier of its issuer.
    fn certificate(serial: &[u8]) -> (Certificate, Vec<u8>) {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        let spki = Spki::of(key.public());
        let root = ca(&CaRequest {
            subject_cn: "Root",
            organization: None,
            serial: Serial::new(NOW, [1; 16]),
            not_before: NOW.minus(86_400),
            not_after: NOW.plus(1_000_000_000),
            spki: &spki,
            issuer: None,
            path_len: None,
            urls: None,
            ext_key_usages: Vec::new(),
        });
        let issuer = IssuerCertificate::parse(&signed(&root.expect("a CA"), &key)).expect("a CA");
        let leaf = leaf(&LeafRequest {
            issuer: &issuer,
            profile: &Profile::server("server"),
            serial: Serial::from_bytes(serial).expect("a number"),
            now: NOW,
            asked: AskedValidity::default(),
            spki: &spki,
            names: &BTreeSet::from([San::parse("a.test").expect("a name")]),
            crl_url: "http://ca.test/crl",
            ca_issuers_url: "http://ca.test/issuer",
        });
        let der = signed(&leaf.expect("a leaf"), &key);
        let key_id = issuer.key_identifier().to_vec();
        (Certificate::parse(&der).expect("reads"), key_id)
    }

    #[test]
    fn a_certificate_is_named_by_the_octets_that_stand_in_it() {
        let ours = Serial::new(NOW, [7; 16]);
        for serial in [
            &[0, 0x87, 0x65, 0x43, 0x21][..],
            &[0x7f],
            &[1, 0, 0],
            ours.as_bytes(),
        ] {
            let (certificate, authority_key_id) = certificate(serial);
            let expected = CertId {
                authority_key_id,
                serial: serial.to_vec(),
            };
            assert_eq!(CertId::of(&certificate), Some(expected), "{serial:?}");
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_written_and_read() {
        let text = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        let id = CertId::parse(text).expect("reads");
        assert_eq!(id.serial, [0, 0x87, 0x65, 0x43, 0x21]);
        assert_eq!(id.authority_key_id.len(), 20);
        assert_eq!(id.to_string(), text);
        assert!(id.our_serial().is_some(), "it could be one of ours");
    }

    #[test]
    fn what_is_not_two_texts_with_a_point_is_refused() {
        let long = format!("AA.{}", "A".repeat(200));
        for odd in [
            "", ".", "AA", "AA.", ".AA", "AA.A", "AA.AA.AA", "AA=.AA", "A+.AA", " AA.AA", &long,
        ] {
            assert_eq!(CertId::parse(odd), Err(CertIdError), "{odd}");
        }
    }

    #[test]
    fn renewal_info_is_written_as_the_rfc_prints_it() {
        let info = RenewalInfo {
            suggested_window: SuggestedWindow {
                start: UnixTime(1_735_948_800),
                end: UnixTime(1_736_121_600),
            },
            explanation_url: Some("https://a.test/why".to_owned()),
        };
        let json = concat!(
            r#"{"suggestedWindow":{"start":"2025-01-04T00:00:00Z","end":"2025-01-06T00:00:00Z"},"#,
            r#""explanationURL":"https://a.test/why"}"#,
        );
        assert_eq!(serde_json::to_string(&info).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(info));
    }
}
