use chancery_agent::{
    Agent, CertName, KeyType, RenewRequest, RenewalOutcome, Request, RevocationReason, RevokeBy,
    RevokeRequest, Settings,
};

use crate::environment::{Environment, Files};

#[tokio::test(flavor = "multi_thread")]
async fn the_program_obtains_keeps_renews_shows_and_revokes() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    let names = ["shop.corp.test", "www.corp.test", "api.corp.test"];
    world.host(&names);
    let prefix = world.folder.join("one");
    let obtain = ["-d", names[0], names[1], "-d", names[2]];

    let text = world.succeed("one", &obtain);
    assert!(text.starts_with("obtained shop.corp.test\n"), "{text}");
    let first = Files::live(&prefix, names[0]).expect("installed");
    let mut expected = names.map(str::to_owned).to_vec();
    expected.sort();
    let mut found = first.names();
    found.sort();
    assert_eq!(found, expected);

    let text = world.succeed("one", &obtain);
    assert!(text.starts_with("kept shop.corp.test\n"), "{text}");
    let text = world.succeed("one", &["renew"]);
    assert!(
        text.starts_with("shop.corp.test: not due before "),
        "{text}"
    );

    let text = world.succeed("one", &["renew", "--force", "--name", names[0]]);
    assert!(text.starts_with("shop.corp.test: renewed"), "{text}");
    let second = Files::live(&prefix, names[0]).expect("installed");
    assert_ne!(first.leaf.serial(), second.leaf.serial());
    assert_ne!(first.key.public(), second.key.public());
    assert!(second.folder.ends_with("archive/shop.corp.test/0002") && first.folder.exists());

    let status = world.status("one");
    assert_eq!(status["state"], "valid");
    assert_eq!(status["installed"]["generation"], 2);
    assert_eq!(status["installed"]["serial"], second.leaf.serial().to_hex());

    let text = world.succeed("one", &["revoke", names[0], "--reason", "superseded"]);
    assert!(text.contains(&second.leaf.serial().to_hex()), "{text}");
    assert_eq!(world.status("one")["state"], "revoked");
    let by_key = [
        "revoke",
        names[0],
        "--reason",
        "keyCompromise",
        "--by",
        "certificate-key",
    ];
    let text = world.succeed("one", &by_key);
    assert!(text.contains("already"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_obtains_every_kind_of_key_and_revokes_by_it() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    world.host(&["a.corp.test"]);
    for key_type in KeyType::ALL {
        // Their own folders: an account each, as on machines of their own.
        let agent = Agent::new(world.config(key_type.name()));
        let request = Request::new(&["a.corp.test"])
            .expect("good")
            .with(Settings {
                key_type: Some(key_type),
                ..Settings::default()
            });
        let installed = agent.obtain(&request).await.expect("obtained");
        let files =
            Files::live(&world.folder.join(key_type.name()), "a.corp.test").expect("installed");
        assert_eq!(installed.serial, files.leaf.serial());
        let status = agent.status().expect("readable");
        let shown = status
            .first()
            .and_then(|status| status.installed.as_ref())
            .expect("installed");
        assert_eq!(shown.key_type, Some(key_type));
        if key_type == KeyType::Rsa4096 {
            continue; // Revocation is signed by RS256 as with the smaller ones.
        }
        let revoke = RevokeRequest {
            name: installed.name.clone(),
            reason: RevocationReason::KeyCompromise,
            by: RevokeBy::CertificateKey,
            settings: Settings::default(),
        };
        let revoked = agent.revoke(&revoke).await.expect("revoked");
        assert_eq!(
            (revoked.serial, revoked.was_already),
            (files.leaf.serial().to_hex(), false)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_that_fails_does_not_stop_the_others() {
    let Some(world) = Environment::start(&[("PEBBLE_AUTHZREUSE", "0")]).await else {
        return;
    };
    world.host(&["good.corp.test", "gone.corp.test"]);
    let agent = Agent::new(world.config("two"));
    for name in ["good.corp.test", "gone.corp.test"] {
        agent
            .obtain(&Request::new(&[name]).expect("good"))
            .await
            .expect("obtained");
    }
    world.zone.remove("gone.corp.test").expect("a name");
    let before = Files::live(&world.folder.join("two"), "gone.corp.test").expect("installed");

    let finished = world.run("two", &["renew", "--force"]);
    assert_eq!(finished.status.code(), Some(3), "{finished:?}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(
        lines[0].starts_with("gone.corp.test: FAILED: the CA could not validate gone.corp.test (")
    );
    assert!(lines[1].starts_with("good.corp.test: renewed"));
    let after = Files::live(&world.folder.join("two"), "gone.corp.test").expect("still there");
    assert_eq!(before.leaf.serial(), after.leaf.serial());

    // Not asked again before its time, and shown with its reason.
    let finished = world.run("two", &["renew"]);
    assert_eq!(
        finished.status.code(),
        Some(0),
        "not due is good: {finished:?}"
    );
    let name = CertName::parse("gone.corp.test").expect("a name");
    let request = RenewRequest {
        name: Some(name),
        force: true,
        ..RenewRequest::default()
    };
    world.host(&["gone.corp.test"]);
    let renewals = agent.renew(&request).await.expect("tried");
    assert!(
        matches!(renewals[0].outcome, RenewalOutcome::Renewed(_)),
        "{renewals:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_in_one_line_with_its_exit_code() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    let check = |arguments: &[&str], code: i32, told: &str| {
        let finished = world.run("wrong", arguments);
        assert_eq!(
            finished.status.code(),
            Some(code),
            "{arguments:?}: {finished:?}"
        );
        assert!(
            finished.stderr.contains(told),
            "{arguments:?}: {finished:?}"
        );
        assert_eq!(finished.stdout, "");
    };
    check(
        &["-d", "nowhere.corp.test"],
        1,
        "could not validate nowhere.corp.test (",
    );
    check(&["-d", "*.corp.test"], 2, "dns-01");
    check(
        &["-d", "a.corp.test", "--root", "/no/such/file"],
        2,
        "/no/such/file",
    );
    check(
        &["-d", "a.corp.test", "--ca", "http://127.0.0.1/dir"],
        2,
        "not https",
    );
    check(&["revoke", "a.corp.test"], 2, "no certificate called");
    check(
        &["renew", "--name", "a.corp.test"],
        2,
        "no certificate called",
    );
    check(&["--no-such-option"], 2, "--no-such-option");
    let taken = std::net::TcpListener::bind(("127.0.0.1", world.http_port)).expect("free");
    check(&["-d", "a.corp.test"], 1, "--webroot");
    drop(taken);
    assert!(world.run("wrong", &["--help"]).status.success());
    let nothing = world.run("empty", &["status"]);
    assert!(
        nothing.status.success() && nothing.stdout.contains("no certificates"),
        "{nothing:?}"
    );
}
