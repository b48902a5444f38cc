use std::sync::Arc;

use chancery_crypto::{PublicKey, SignatureForm, Verifier};

use crate::{Jwk, JwsAlgorithm, JwsError, Thumbprint};

/// A public key made ready to verify many messages: decoded, with its algorithm and thumbprint. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct JwsKey(Arc<Ready>);

#[derive(Debug)]
struct Ready {
    public: PublicKey,
    algorithm: JwsAlgorithm,
    verifier: Verifier,
    thumbprint: Thumbprint,
}

impl JwsKey {
    /// Makes a key ready.
    ///
    /// # Errors
    /// [`JwsError::BadPublicKey`] when the library cannot decode it.
    pub fn new(public: &PublicKey) -> Result<Self, JwsError> {
        let verifier = Verifier::new(public, public.default_algorithm(), SignatureForm::Fixed)
            .map_err(JwsError::BadPublicKey)?;
        Ok(Self(Arc::new(Ready {
            public: public.clone(),
            algorithm: JwsAlgorithm::of(public),
            verifier,
            thumbprint: Jwk::from_key(public).thumbprint(),
        })))
    }

    /// The key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// The one algorithm that goes with it.
    #[must_use]
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.0.algorithm
    }

    /// Its name.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// Verifies a signature over a JWS signing input (RFC 7515 §5.2).
    pub(crate) fn verify(&self, signing_input: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        self.0
            .verifier
            .verify(signing_input, signature)
            .map_err(|_| JwsError::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unb64;

    /// A key, a signing input and a signature as an RFC prints them.
    fn check(jwk: &str, algorithm: JwsAlgorithm, signing_input: &str, signature: &str) {
        let jwk = Jwk::from_json(jwk).expect("a good key");
        let key = JwsKey::new(jwk.key()).expect("ready");
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.thumbprint(), jwk.thumbprint());
        let signature = unb64(signature).expect("base64url");
        assert_eq!(key.verify(signing_input.as_bytes(), &signature), Ok(()));
        let other = format!("{signing_input}A");
        assert_eq!(
            key.verify(other.as_bytes(), &signature),
            Err(JwsError::BadSignature)
        );
        for cut in [0, 1, signature.len().saturating_sub(1)] {
            let short = signature.get(..cut).unwrap_or_default();
            assert_eq!(
                key.verify(signing_input.as_bytes(), short),
                Err(JwsError::BadSignature)
            );
        }
    }

    #[test]
    fn rs256_is_that_of_rfc_7515_a_2() {
        check(
            r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
            JwsAlgorithm::RS256,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        );
    }

    #[test]
    fn es256_is_that_of_rfc_7515_a_3() {
        check(
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            JwsAlgorithm::ES256,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        );
    }

    #[test]
    fn es512_is_that_of_rfc_7515_a_4() {
        check(
            r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
            JwsAlgorithm::ES512,
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        );
    }

    #[test]
    fn eddsa_is_that_of_rfc_8037_a_4() {
        check(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            JwsAlgorithm::EdDSA,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );
    }
}
