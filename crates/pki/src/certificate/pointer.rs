//! Where a certificate says that more can be fetched: cRLDistributionPoints, authorityInfoAccess, and the
//! issuingDistributionPoint of a CRL, which answers the first.

use crate::der::{DerError, Reader, Writer, tag};
use crate::oid;

/// Octets of a URL that goes into certificates: enough for any status URL, and every certificate carries two.
const URL_OCTETS_MAX: usize = 512;
/// uniformResourceIdentifier, RFC 5280 §4.2.1.6.
const URI: u8 = 6;
/// Distribution points or access descriptions of one certificate that are read.
const POINTERS_MAX: usize = 32;

/// Whether the text is a plain `http://` URL that goes into certificates as it is. Status is served without TLS,
/// because a client that checks the certificate of the status server would ask that server again.
pub(crate) fn is_http_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let allowed = |octet: u8| octet.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&octet);
    url.len() <= URL_OCTETS_MAX
        && url.bytes().all(allowed)
        && rest
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'[')
}

/// Writes the value of cRLDistributionPoints: one point, one URI, nothing else.
pub(crate) fn write_crl_point(w: &mut Writer, url: &str) {
    w.sequence(|w| w.sequence(|w| write_point_name(w, url)));
}

/// Writes the value of issuingDistributionPoint (RFC 5280 §5.2.5): one URI, every flag at its default.
pub(crate) fn write_issuing_point(w: &mut Writer, url: &str) {
    w.sequence(|w| write_point_name(w, url));
}

/// DistributionPointName is a CHOICE, so its `[0]` is explicit around the `[0]` of fullName.
fn write_point_name(w: &mut Writer, url: &str) {
    const ZERO: u8 = tag::context_constructed(0);
    w.tlv(ZERO, |w| w.tlv(ZERO, |w| w.context_ia5(URI, url)));
}

/// Writes the value of authorityInfoAccess: one caIssuers URI.
pub(crate) fn write_ca_issuers(w: &mut Writer, url: &str) {
    w.sequence(|w| {
        w.sequence(|w| {
            w.oid(oid::AD_CA_ISSUERS);
            w.context_ia5(URI, url);
        });
    });
}

/// Reads cRLDistributionPoints: the URI of each point that has one URI and nothing else. Points that are limited to
/// some reasons, that have another issuer or that are no URI do not tell the whole status, and are left out.
pub(crate) fn read_crl_urls(value: &[u8]) -> Result<Vec<&str>, DerError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut urls = Vec::with_capacity(1);
    let mut seen = 0_usize;
    while !list.is_empty() {
        seen = next(seen)?;
        urls.extend(read_only_url(list.sequence()?.remaining()).ok());
    }
    Ok(urls)
}

/// Reads cRLDistributionPoints that has one point with one URI and nothing else.
pub(crate) fn read_only_crl_url(value: &[u8]) -> Result<&str, DerError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let point = list.sequence()?.remaining();
    list.finish()?;
    read_only_url(point)
}

/// Reads issuingDistributionPoint that says one URI and nothing else: the CRL is whole for its certificates.
pub(crate) fn read_issuing_url(value: &[u8]) -> Result<&str, DerError> {
    read_only_url(Reader::only(value, tag::SEQUENCE)?.remaining())
}

/// The content of a DistributionPoint, or of an issuingDistributionPoint, that is one URI and nothing else.
fn read_only_url(point: &[u8]) -> Result<&str, DerError> {
    const ZERO: u8 = tag::context_constructed(0);
    let mut point = Reader::new(point);
    let mut name = point.enter(ZERO)?;
    point.finish()?;
    let mut full_name = name.enter(ZERO)?;
    name.finish()?;
    let url = full_name.read(tag::context(URI))?;
    full_name.finish()?;
    ascii(url)
}

/// Reads authorityInfoAccess (RFC 5280 §4.2.2.1): the URIs of its caIssuers.
pub(crate) fn read_ca_issuers_urls(value: &[u8]) -> Result<Vec<&str>, DerError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut urls = Vec::with_capacity(1);
    let mut seen = 0_usize;
    while !list.is_empty() {
        seen = next(seen)?;
        let mut description = list.sequence()?;
        let method = description.oid()?;
        let location = description.read_any()?;
        description.finish()?;
        if method == oid::AD_CA_ISSUERS && location.tag == tag::context(URI) {
            urls.push(ascii(location.content)?);
        }
    }
    Ok(urls)
}

/// Reads authorityInfoAccess that has one caIssuers URI and nothing else.
pub(crate) fn read_only_ca_issuers_url(value: &[u8]) -> Result<&str, DerError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut description = list.sequence()?;
    list.finish()?;
    if description.oid()? != oid::AD_CA_ISSUERS {
        return Err(DerError(
            "authorityInfoAccess has another method than caIssuers",
        ));
    }
    let url = description.read(tag::context(URI))?;
    description.finish()?;
    ascii(url)
}

fn next(seen: usize) -> Result<usize, DerError> {
    let seen = seen.saturating_add(1);
    if seen > POINTERS_MAX {
        Err(DerError("more than 32 pointers in one extension"))
    } else {
        Ok(seen)
    }
}

fn ascii(octets: &[u8]) -> Result<&str, DerError> {
    let text = std::str::from_utf8(octets)
        .ok()
        .filter(|text| text.is_ascii());
    text.ok_or(DerError("a URI is not ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut w = Writer::new();
        write(&mut w);
        w.finish()
    }

    #[test]
    fn only_plain_http_urls_go_into_certificates() {
        for good in [
            "http://ca.test/crl/1/0.crl",
            "http://ca.test:8080",
            "http://[::1]:80/x",
        ] {
            assert!(is_http_url(good), "{good}");
        }
        let long = format!("http://a.test/{}", "x".repeat(URL_OCTETS_MAX));
        for bad in [
            "",
            "http://",
            "http:///x",
            "https://ca.test/",
            "ldap://ca.test/",
            "HTTP://ca.test/",
            "http://ca.test/a b",
            "http://ca.test/\n",
            "http://ca.test/ä",
            "http://ca.test/<x>",
            "http://@ca.test/",
            &long,
        ] {
            assert!(!is_http_url(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_by_every_reader_of_its_kind() {
        let url = "http://ca.test/x";
        let points = der(|w| write_crl_point(w, url));
        assert_eq!(read_crl_urls(&points), Ok(vec![url]));
        assert_eq!(read_only_crl_url(&points), Ok(url));
        assert_eq!(
            read_issuing_url(&der(|w| write_issuing_point(w, url))),
            Ok(url)
        );
        let access = der(|w| write_ca_issuers(w, url));
        assert_eq!(read_ca_issuers_urls(&access), Ok(vec![url]));
        assert_eq!(read_only_ca_issuers_url(&access), Ok(url));
    }

    /// RUSTSEC-2026-0104: an empty BIT STRING in onlySomeReasons made a reader panic before it checked the signature.
    #[test]
    fn c7_an_empty_only_some_reasons_is_an_error() {
        let value = der(|w| {
            w.sequence(|w| {
                write_point_name(w, "http://ca.test/x");
                w.primitive(tag::context(3), &[]);
            });
        });
        assert!(read_issuing_url(&value).is_err());
    }

    #[test]
    fn points_that_do_not_tell_the_whole_status_are_left_out() {
        let value = der(|w| {
            w.sequence(|w| {
                w.sequence(|w| write_point_name(w, "http://ca.test/all"));
                w.sequence(|w| {
                    write_point_name(w, "http://ca.test/some-reasons");
                    w.primitive(tag::context(1), &[0x06, 0x40]);
                });
            });
        });
        assert_eq!(read_crl_urls(&value), Ok(vec!["http://ca.test/all"]));
        assert!(read_only_crl_url(&value).is_err());
    }
}
