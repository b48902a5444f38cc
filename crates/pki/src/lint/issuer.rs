use crate::certificate::key_id::AuthorityKeyId;
use crate::issuer::IssuerCertificate;
use crate::lint::{Finding, Subject};
use crate::oid;

/// The issuer field repeats the issuer's subject byte for byte; a root names itself.
pub(super) fn name(subject: &Subject<'_>) -> Finding {
    let expected = subject
        .issuer
        .map_or(subject.view.subject, IssuerCertificate::subject_der);
    if subject.view.issuer == expected {
        Ok(())
    } else {
        Err("the issuer is not the subject of the issuer's certificate".to_owned())
    }
}

/// authorityKeyIdentifier repeats the issuer's subjectKeyIdentifier and says nothing else (RFC 5280 §4.2.1.1):
/// issuer and serial there would tie the certificate to one of several certificates of its issuer.
pub(super) fn authority_key_id(subject: &Subject<'_>) -> Finding {
    let extension = subject.required(oid::AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier")?;
    let authority = AuthorityKeyId::read(extension.value).map_err(|error| error.to_string())?;
    if authority.names_certificate {
        return Err("authorityKeyIdentifier says more than a keyIdentifier".to_owned());
    }
    let own = subject.spki.as_ref().ok().map(|spki| spki.key_identifier());
    let expected = match subject.issuer {
        Some(issuer) => Some(issuer.key_identifier()),
        None => own.as_ref().map(<[u8; 20]>::as_slice),
    };
    // A root without a usable key has no identifier; `key_acceptable` speaks.
    if expected.is_none() || authority.key_identifier == expected {
        Ok(())
    } else {
        Err("authorityKeyIdentifier is not the issuer's subjectKeyIdentifier".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::certificate::{distinguished_name, key_id};
    use crate::der::tag;
    use crate::lint::alter::{ca_case, der, leaf_case};
    use crate::oid;

    #[test]
    fn another_issuer_name_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let other = der(|w| distinguished_name::write(w, None, "Other CA"));
        leaf.breaks("issuer_name", |parts| parts.issuer.clone_from(&other));
        ca.root_breaks("issuer_name", |parts| parts.issuer.clone_from(&other));
        ca.issuing_breaks("issuer_name", |parts| parts.issuer = other);
    }

    #[test]
    fn another_authority_key_identifier_or_none_or_more_than_one_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let aki = oid::AUTHORITY_KEY_IDENTIFIER;
        leaf.breaks("authority_key_id", |parts| parts.without(aki));
        ca.root_breaks("authority_key_id", |parts| parts.without(aki));
        let other = der(|w| key_id::write_authority(w, &[7; 20]));
        leaf.breaks("authority_key_id", |parts| {
            parts.extension(aki).value.clone_from(&other)
        });
        ca.root_breaks("authority_key_id", |parts| {
            parts.extension(aki).value = other
        });
        let empty = der(|w| w.sequence(|_| ()));
        leaf.breaks("authority_key_id", |parts| {
            parts.extension(aki).value = empty
        });
        let id = leaf.ca.certificate.key_identifier();
        let with_serial = der(|w| {
            w.sequence(|w| {
                w.primitive(tag::context(0), id);
                w.tlv(tag::context_constructed(1), |w| w.null());
                w.primitive(tag::context(2), &[1]);
            });
        });
        leaf.breaks("authority_key_id", |parts| {
            parts.extension(aki).value = with_serial
        });
    }
}
