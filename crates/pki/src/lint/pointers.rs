use crate::certificate::pointer;
use crate::lint::{Finding, Leaf, Subject};
use crate::oid;

/// cRLDistributionPoints is one URL and nothing else: with two, a reader may ask the wrong shard.
pub(super) fn crl_distribution_point(leaf: &Leaf<'_>) -> Finding {
    check_crl(&leaf.subject)
}

/// authorityInfoAccess is one caIssuers URL and nothing else; there is no OCSP.
pub(super) fn ca_issuers(leaf: &Leaf<'_>) -> Finding {
    check_ca_issuers(&leaf.subject)
}

/// The rule of [`crl_distribution_point`] for any certificate.
pub(super) fn check_crl(subject: &Subject<'_>) -> Finding {
    let extension = subject.required(oid::CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints")?;
    check(
        "cRLDistributionPoints",
        pointer::read_only_crl_url(extension.value).ok(),
    )
}

/// The rule of [`ca_issuers`] for any certificate.
pub(super) fn check_ca_issuers(subject: &Subject<'_>) -> Finding {
    let extension = subject.required(oid::AUTHORITY_INFO_ACCESS, "authorityInfoAccess")?;
    check(
        "authorityInfoAccess",
        pointer::read_only_ca_issuers_url(extension.value).ok(),
    )
}

fn check(name: &'static str, url: Option<&str>) -> Finding {
    match url {
        None => Err(format!("{name} is not exactly one URI")),
        Some(url) if !pointer::is_http_url(url) => {
            Err(format!("{name} is not a plain http:// URL"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::{Writer, tag};
    use crate::lint::alter::{der, leaf_case};
    use crate::tbs::fixture::CRL_URL;

    const ZERO: u8 = tag::context_constructed(0);

    #[test]
    fn anything_but_one_http_url_in_crl_distribution_points_is_found() {
        let case = leaf_case();
        let oid = oid::CRL_DISTRIBUTION_POINTS;
        case.breaks("crl_distribution_point", |parts| parts.without(oid));
        let uri = |w: &mut Writer, url: &str| w.context_ia5(6, url);
        let point = |w: &mut Writer, urls: &[&str], more: &[u8]| {
            w.sequence(|w| {
                w.tlv(ZERO, |w| {
                    w.tlv(ZERO, |w| urls.iter().for_each(|url| uri(w, url)))
                });
                w.raw(more);
            });
        };
        let one = &[CRL_URL][..];
        let value = |points: &[(&[&str], &[u8])]| {
            der(|w| w.sequence(|w| points.iter().for_each(|(urls, more)| point(w, urls, more))))
        };
        for bad in [
            value(&[]),
            value(&[(&["https://ca.test/0.crl"], &[])]),
            value(&[(&["ldap://ca.test/"], &[])]),
            value(&[(&[CRL_URL, CRL_URL], &[])]),
            value(&[(one, &[]), (one, &[])]),
            value(&[(one, &[0x81, 2, 6, 0x40])]),
            value(&[(one, &[0xa2, 0])]),
        ] {
            case.breaks("crl_distribution_point", |parts| {
                parts.extension(oid).value = bad
            });
        }
    }

    #[test]
    fn anything_but_one_ca_issuers_url_in_authority_info_access_is_found() {
        let case = leaf_case();
        let oid = oid::AUTHORITY_INFO_ACCESS;
        case.breaks("ca_issuers", |parts| parts.without(oid));
        let ocsp: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
        let value = |list: &[(&[u8], &str)]| {
            der(|w| {
                w.sequence(|w| {
                    for (method, url) in list {
                        w.sequence(|w| {
                            w.oid(method);
                            w.context_ia5(6, url);
                        });
                    }
                });
            })
        };
        let good = (oid::AD_CA_ISSUERS, "http://ca.test/1.cer");
        for bad in [
            value(&[]),
            value(&[(ocsp, "http://ca.test/ocsp")]),
            value(&[good, (ocsp, "http://ca.test/ocsp")]),
            value(&[good, good]),
            value(&[(oid::AD_CA_ISSUERS, "https://ca.test/1.cer")]),
        ] {
            case.breaks("ca_issuers", |parts| parts.extension(oid).value = bad);
        }
    }
}
