//! instant-acme, a Rust crate: closed lists of status values, HTTP/2 where the server offers it.

use std::time::Duration;

use chancery_crypto::{KeyKind, PrivateKey};
use chancery_tests::{Authority, Site, csr_for, new_key, runtime};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy, RevocationReason, RevocationRequest,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{is_a_good_chain, status_of};

pub(super) const NEW_ACCOUNT: NewAccount<'static> = NewAccount {
    contact: &["mailto:admin@a.test"],
    terms_of_service_agreed: true,
    only_return_existing: false,
};

/// Quick: the server says when to look again.
fn patience() -> RetryPolicy {
    RetryPolicy::new()
        .initial_delay(Duration::from_millis(50))
        .timeout(Duration::from_secs(60))
}

pub(super) async fn register(authority: &Authority) -> Account {
    let builder = Account::builder_with_root(authority.root()).expect("the root");
    let (account, _) = builder
        .create(&NEW_ACCOUNT, authority.directory().to_owned(), None)
        .await
        .expect("an account");
    account
}

pub(super) fn dns(names: &[&str]) -> Vec<Identifier> {
    let names = names.iter();
    names
        .map(|name| Identifier::Dns((*name).to_owned()))
        .collect()
}

/// Wildcards by dns-01, other names by http-01.
pub(super) async fn issue(
    account: &Account,
    site: &Site,
    key: &PrivateKey,
    names: &[&str],
) -> String {
    let identifiers = dns(names);
    let kind = |wildcard| match wildcard {
        true => ChallengeType::Dns01,
        false => ChallengeType::Http01,
    };
    let asked = NewOrder::new(&identifiers);
    let csr = csr_for(key, names);
    complete(account, &asked, &csr, kind, present(site)).await
}

/// Puts what a challenge wants where the authority looks for it.
pub(super) fn present(site: &Site) -> impl Fn(&ChallengeHandle<'_>) {
    move |challenge| {
        let proof = challenge.key_authorization();
        if challenge.r#type == ChallengeType::Dns01 {
            let name = challenge.identifier().to_string();
            site.add_dns01(name.trim_start_matches("*."), &proof.dns_value());
        } else {
            site.tokens
                .put_token(challenge.token.clone(), proof.as_str().to_owned());
        }
    }
}

/// The way of any order to its certificate: each challenge is of the kind that is wanted for a wildcard, or for none.
pub(super) async fn complete(
    account: &Account,
    asked: &NewOrder<'_>,
    csr: &[u8],
    kind: impl Fn(bool) -> ChallengeType,
    present: impl Fn(&ChallengeHandle<'_>),
) -> String {
    let mut order = account.new_order(asked).await.expect("an order");
    assert_eq!(order.state().status, OrderStatus::Pending);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.expect("an authorization");
        assert_eq!(authorization.status, AuthorizationStatus::Pending);
        let kind = kind(authorization.wildcard);
        let mut challenge = authorization
            .challenge(kind)
            .expect("a challenge of this kind");
        present(&challenge);
        challenge
            .set_ready()
            .await
            .expect("the challenge is taken up");
    }
    let status = order
        .poll_ready(&patience())
        .await
        .expect("the order can be looked at");
    assert_eq!(status, OrderStatus::Ready);
    order.finalize_csr(csr).await.expect("it is finalized");
    order
        .poll_certificate(&patience())
        .await
        .expect("the certificate can be downloaded")
}

fn leaf(chain: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(chain.as_bytes()).expect("a certificate in PEM")
}

async fn revoke(account: &Account, chain: &str) -> Result<(), Error> {
    let reason = Some(RevocationReason::Superseded);
    account
        .revoke(&RevocationRequest {
            certificate: &leaf(chain),
            reason,
        })
        .await
}

#[test]
fn instant_acme_issues_for_ecdsa_and_rsa_with_a_wildcard_and_revokes() {
    let authority = Authority::start();
    let account = runtime().block_on(register(&authority));
    let site = authority.site();
    let names = ["a.test", "www.a.test", "*.a.test"];
    let rsa = PrivateKey::generate(KeyKind::Rsa2048).expect("a key");
    let ecdsa_chain = runtime().block_on(issue(&account, site, &new_key(), &names));
    let rsa_chain = runtime().block_on(issue(&account, site, &rsa, &["b.test"]));
    is_a_good_chain(&authority, &ecdsa_chain, &names);
    let serial = is_a_good_chain(&authority, &rsa_chain, &["b.test"]);

    runtime()
        .block_on(revoke(&account, &rsa_chain))
        .expect("it is revoked");
    assert_eq!(status_of(&authority, &serial), "revoked");
    let again = runtime()
        .block_on(revoke(&account, &rsa_chain))
        .expect_err("only once");
    assert!(again.to_string().contains("alreadyRevoked"), "{again}");
    authority.check_invariants();
}

#[test]
fn instant_acme_finds_its_account_again_and_ends_it() {
    let authority = Authority::start();
    let builder = || Account::builder_with_root(authority.root()).expect("the root");
    let directory = || authority.directory().to_owned();
    runtime().block_on(async {
        let (account, credentials) = builder()
            .create(&NEW_ACCOUNT, directory(), None)
            .await
            .expect("an account");
        let again = builder()
            .from_credentials(credentials)
            .await
            .expect("the same account");
        assert_eq!(again.id(), account.id());
        again
            .update_contacts(&["mailto:other@a.test"])
            .await
            .expect("other contacts");
        account.deactivate().await.expect("it is ended");
        let names = [Identifier::Dns("a.test".to_owned())];
        let refused = again.new_order(&NewOrder::new(&names)).await;
        let refused = refused.map(drop).expect_err("nothing more");
        assert!(refused.to_string().contains("unauthorized"), "{refused}");
    });
}

#[test]
fn instant_acme_gives_an_authorization_up_and_the_order_is_invalid() {
    let authority = Authority::start();
    runtime().block_on(async {
        let account = register(&authority).await;
        let names = [Identifier::Dns("a.test".to_owned())];
        let mut order = account
            .new_order(&NewOrder::new(&names))
            .await
            .expect("an order");
        let mut authorizations = order.authorizations();
        let mut authorization = authorizations
            .next()
            .await
            .expect("one")
            .expect("it is there");
        let state = authorization.deactivate().await.expect("it is given up");
        assert_eq!(state.status, AuthorizationStatus::Deactivated);
        assert_eq!(
            order.refresh().await.expect("the order").status,
            OrderStatus::Invalid
        );
    });
}
