//! Orders that name a profile (draft-ietf-acme-profiles).

use chancery_pki::{Certificate, pem};
use chancery_tests::{Authority, Setup, csr_for, new_key, runtime};
use instant_acme::{ChallengeType, NewOrder};

use crate::clients::certbot::Certbot;
use crate::clients::instant_acme::{complete, dns, present, register};
use crate::clients::{P256, apache, is_a_good_chain, short_lived};

/// Two profiles, of which the first is what an order gets that names none.
fn two() -> Setup {
    Setup::new()
        .set("profile.brief.lifetime", "7d")
        .set("gateway.server.profiles", "server,brief")
}

/// Days from the beginning of a certificate to its end, as a client sees it.
fn days(chain: &str) -> i64 {
    let chain = pem::decode(chain, "CERTIFICATE", 8).expect("a chain");
    let leaf = Certificate::parse(&chain[0]).expect("a certificate");
    (leaf.not_after().0 - leaf.not_before().0 + 1) / 86_400
}

fn profile_of(authority: &Authority, serial: &str) -> String {
    let mut listed = authority.certificates().into_iter();
    let listed = listed.find(|listed| listed["serial"] == serial);
    let listed = listed.expect("it is in the inventory");
    listed["profile"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn certbot_gets_the_profile_that_it_requires() {
    let Some(certbot) = Certbot::start_with(two().without_web_host()) else {
        return;
    };
    certbot.register();
    let authority = &certbot.authority;
    let port = authority.http_port().to_string();
    let of_profile = |profile: &'static str| {
        let mut words = vec![
            "certonly",
            "--standalone",
            "--http-01-port",
            &port,
            "-d",
            "a.test",
        ];
        words.extend([
            "--http-01-address",
            "127.0.0.1",
            "--required-profile",
            profile,
        ]);
        certbot.try_run(&words)
    };
    assert!(
        !of_profile("other").status.success(),
        "there is no such profile"
    );
    let finished = of_profile("brief");
    assert!(finished.status.success(), "{}", finished.stderr);
    let chain = certbot.chain("a.test");
    let serial = is_a_good_chain(authority, &chain, &["a.test"]);
    assert_eq!(
        (profile_of(authority, &serial).as_str(), days(&chain)),
        ("brief", 7)
    );
}

#[test]
fn instant_acme_sees_the_profiles_and_takes_one() {
    let authority = Authority::start_with(two());
    let identifiers = dns(&["a.test"]);
    for (asked, profile, life) in [(None, "server", 47), (Some("brief"), "brief", 7)] {
        let chain = runtime().block_on(async {
            let account = register(&authority).await;
            let mut offered: Vec<&str> = account.profiles().map(|meta| meta.name).collect();
            offered.sort_unstable();
            assert_eq!(offered, ["brief", "server"]);
            let order = NewOrder::new(&identifiers);
            let order = match asked {
                Some(name) => order.profile(name),
                None => order,
            };
            let csr = csr_for(&new_key(), &["a.test"]);
            let site = authority.site();
            complete(
                &account,
                &order,
                &csr,
                |_| ChallengeType::Http01,
                present(site),
            )
            .await
        });
        let serial = is_a_good_chain(&authority, &chain, &["a.test"]);
        assert_eq!(profile_of(&authority, &serial), profile);
        assert_eq!(days(&chain), life);
    }
}

/// It would not renew in time what is of the default profile, which lives for 47 days.
#[test]
fn apache_gets_the_profile_that_it_requires() {
    let setup = short_lived().set("gateway.short.profiles", "server,short");
    let more =
        "MDProfile short\nMDProfileMandatory on\nMDCAChallenges http-01\nMDPrivateKeys P-256\n";
    apache::gets_and_renews(setup, &["a.test", "www.a.test"], P256, |_| more.to_owned());
}
