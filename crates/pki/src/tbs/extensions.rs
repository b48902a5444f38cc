use crate::certificate::extension::{write, write_critical};
use crate::certificate::{KeyUsage, key_id, pointer, purposes};
use crate::der::Writer;
use crate::oid;
use crate::profile::ExtKeyUsage;
use crate::tbs::TbsError;

/// keyUsage, always critical.
pub(super) fn key_usage(w: &mut Writer, usage: KeyUsage) {
    write_critical(w, oid::KEY_USAGE, |w| usage.write(w));
}

/// extKeyUsage, left out where no purpose is given.
pub(super) fn ext_key_usage(w: &mut Writer, list: &[ExtKeyUsage]) {
    if !list.is_empty() {
        write(w, oid::EXT_KEY_USAGE, |w| purposes::write(w, list));
    }
}

/// subjectKeyIdentifier and authorityKeyIdentifier, the latter with a keyIdentifier only.
pub(super) fn key_identifiers(w: &mut Writer, subject: &[u8], authority: &[u8]) {
    write(w, oid::SUBJECT_KEY_IDENTIFIER, |w| w.octet_string(subject));
    write(w, oid::AUTHORITY_KEY_IDENTIFIER, |w| {
        key_id::write_authority(w, authority)
    });
}

/// authorityInfoAccess and cRLDistributionPoints with one URL each.
pub(super) fn pointers(w: &mut Writer, crl_url: &str, ca_issuers_url: &str) {
    write(w, oid::AUTHORITY_INFO_ACCESS, |w| {
        pointer::write_ca_issuers(w, ca_issuers_url)
    });
    write(w, oid::CRL_DISTRIBUTION_POINTS, |w| {
        pointer::write_crl_point(w, crl_url)
    });
}

/// Checks both URLs of [`pointers`].
pub(super) fn check_urls(crl_url: &str, ca_issuers_url: &str) -> Result<(), TbsError> {
    for (what, url) in [("CRL", crl_url), ("issuer certificate", ca_issuers_url)] {
        if !pointer::is_http_url(url) {
            return Err(TbsError::Url { what });
        }
    }
    Ok(())
}
