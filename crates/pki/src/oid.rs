//! Object identifiers as the content octets of their DER encoding, all in one place.

/// id-ecPublicKey, RFC 5480 §2.1.1
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// secp256r1, RFC 5480 §2.1.1.1
pub(crate) const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// secp384r1, RFC 5480 §2.1.1.1
pub(crate) const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// secp521r1, RFC 5480 §2.1.1.1
pub(crate) const SECP521R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// rsaEncryption, RFC 3279 §2.3.1
pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-Ed25519 (key and signature), RFC 8410 §3
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// ecdsa-with-SHA256, RFC 5758 §3.2
pub(crate) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// ecdsa-with-SHA384, RFC 5758 §3.2
pub(crate) const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// ecdsa-with-SHA512, RFC 5758 §3.2
pub(crate) const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// sha256WithRSAEncryption, RFC 4055 §5
pub(crate) const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// sha384WithRSAEncryption, RFC 4055 §5
pub(crate) const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
/// sha512WithRSAEncryption, RFC 4055 §5
pub(crate) const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];

/// id-at-commonName, RFC 5280 appendix A.1
pub(crate) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-at-organizationName, RFC 5280 appendix A.1
pub(crate) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// extensionRequest attribute of a CSR, RFC 2985 §5.4.2
pub(crate) const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];

/// id-ce-subjectKeyIdentifier, RFC 5280 §4.2.1.2
pub(crate) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
/// id-ce-keyUsage, RFC 5280 §4.2.1.3
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// id-ce-subjectAltName, RFC 5280 §4.2.1.6
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// id-ce-basicConstraints, RFC 5280 §4.2.1.9
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// id-ce-cRLNumber, RFC 5280 §5.2.3
pub(crate) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
/// id-ce-cRLReasons, RFC 5280 §5.3.1
pub(crate) const REASON_CODE: &[u8] = &[0x55, 0x1d, 0x15];
/// id-ce-issuingDistributionPoint, RFC 5280 §5.2.5
pub(crate) const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
/// id-ce-nameConstraints, RFC 5280 §4.2.1.10
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
/// id-ce-cRLDistributionPoints, RFC 5280 §4.2.1.13
pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 0x1f];
/// id-ce-certificatePolicies, RFC 5280 §4.2.1.4
pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
/// id-ce-authorityKeyIdentifier, RFC 5280 §4.2.1.1
pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
/// id-ce-extKeyUsage, RFC 5280 §4.2.1.12
pub(crate) const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// id-pe-acmeIdentifier, RFC 8737 §6.1
pub(crate) const ACME_IDENTIFIER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f];
/// What drafts of RFC 8737 used in its place
pub(crate) const ACME_IDENTIFIER_OF_DRAFTS: &[u8] =
    &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1e, 0x01];
/// id-pe-authorityInfoAccess, RFC 5280 §4.2.2.1
pub(crate) const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
/// id-ad-caIssuers, RFC 5280 §4.2.2.1
pub(crate) const AD_CA_ISSUERS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];

/// id-kp-serverAuth, RFC 5280 §4.2.1.12
pub(crate) const KP_SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// id-kp-clientAuth, RFC 5280 §4.2.1.12
pub(crate) const KP_CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    /// X.690 §8.19 from the dotted form.
    fn content(dotted: &str) -> Vec<u8> {
        let arcs: Vec<u32> = dotted
            .split('.')
            .map(|arc| arc.parse().expect("a number"))
            .collect();
        let (first, rest) = arcs.split_at(2);
        let mut out = Vec::new();
        for arc in std::iter::once(first[0] * 40 + first[1]).chain(rest.iter().copied()) {
            let groups = (0..5)
                .rev()
                .map(|at| u8::try_from((arc >> (7 * at)) & 0x7f).expect("7 bits"));
            let mut groups: Vec<u8> = groups.skip_while(|group| *group == 0).collect();
            if groups.is_empty() {
                groups.push(0);
            }
            let last = groups.len() - 1;
            groups
                .iter_mut()
                .take(last)
                .for_each(|group| *group |= 0x80);
            out.extend(groups);
        }
        out
    }

    #[test]
    fn every_constant_is_the_encoding_of_its_dotted_form() {
        for (constant, dotted) in [
            (EC_PUBLIC_KEY, "1.2.840.10045.2.1"),
            (SECP256R1, "1.2.840.10045.3.1.7"),
            (SECP384R1, "1.3.132.0.34"),
            (SECP521R1, "1.3.132.0.35"),
            (RSA_ENCRYPTION, "1.2.840.113549.1.1.1"),
            (ED25519, "1.3.101.112"),
            (ECDSA_SHA256, "1.2.840.10045.4.3.2"),
            (ECDSA_SHA384, "1.2.840.10045.4.3.3"),
            (ECDSA_SHA512, "1.2.840.10045.4.3.4"),
            (RSA_SHA256, "1.2.840.113549.1.1.11"),
            (RSA_SHA384, "1.2.840.113549.1.1.12"),
            (RSA_SHA512, "1.2.840.113549.1.1.13"),
            (COMMON_NAME, "2.5.4.3"),
            (ORGANIZATION, "2.5.4.10"),
            (EXTENSION_REQUEST, "1.2.840.113549.1.9.14"),
            (SUBJECT_KEY_IDENTIFIER, "2.5.29.14"),
            (KEY_USAGE, "2.5.29.15"),
            (SUBJECT_ALT_NAME, "2.5.29.17"),
            (BASIC_CONSTRAINTS, "2.5.29.19"),
            (CRL_NUMBER, "2.5.29.20"),
            (REASON_CODE, "2.5.29.21"),
            (ISSUING_DISTRIBUTION_POINT, "2.5.29.28"),
            (CRL_DISTRIBUTION_POINTS, "2.5.29.31"),
            (CERTIFICATE_POLICIES, "2.5.29.32"),
            (AUTHORITY_KEY_IDENTIFIER, "2.5.29.35"),
            (EXT_KEY_USAGE, "2.5.29.37"),
            (AUTHORITY_INFO_ACCESS, "1.3.6.1.5.5.7.1.1"),
            (AD_CA_ISSUERS, "1.3.6.1.5.5.7.48.2"),
            (KP_SERVER_AUTH, "1.3.6.1.5.5.7.3.1"),
            (KP_CLIENT_AUTH, "1.3.6.1.5.5.7.3.2"),
        ] {
            assert_eq!(constant, content(dotted), "{dotted}");
        }
    }
}
