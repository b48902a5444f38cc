use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use chancery_agent::FAILPOINTS;
use chancery_testkit::process::{Finished, run};

use crate::environment::{Environment, Files, WITHIN};

/// SIGABRT: no destructor ran, as with a power cut.
const KILLED: Option<i32> = Some(6);

fn dying(mut command: Command, point: &str) -> Finished {
    command.env("CHANCERY_FAILPOINT", point);
    run(command, WITHIN).expect("ends in time")
}

fn killed(command: Command, point: &str) {
    let finished = dying(command, point);
    assert_eq!(finished.status.signal(), KILLED, "{point}: {finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_first_certificate_survives_a_kill_at_every_step() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    for point in &FAILPOINTS {
        let name = format!("{point}.corp.test");
        world.host(&[&name]);
        let prefix = world.folder.join(point);
        let obtain = ["-d", name.as_str()];
        killed(world.program(point, &obtain), point);
        if let Some(files) = Files::live(&prefix, &name) {
            assert_eq!(files.names(), [name.as_str()], "{point}");
        }

        // By turns with the same command again, or with the timer's.
        let again: &[&str] = if point.len() % 2 == 0 {
            &obtain
        } else {
            &["renew"]
        };
        let finished = world.run(point, again);
        assert!(finished.status.success(), "{point}: {finished:?}");
        let goes_on = finished.stderr.contains("going on with an order");
        let places = finished.stderr.contains("placing an order");
        assert_eq!(
            goes_on,
            at_least(point, "order-prepared"),
            "{point}: {finished:?}"
        );
        // Between the answer to a challenge and its validation the CA looks for a listener that is dead.
        if *point != "challenge-answered" {
            assert_eq!(
                places,
                !at_least(point, "order-recorded"),
                "{point}: {finished:?}"
            );
        }
        let files = Files::live(&prefix, &name).expect("installed");
        assert!(
            files.folder.ends_with("0001"),
            "{point}: {:?}",
            files.folder
        );
        let left = std::fs::read_dir(prefix.join("orders"))
            .expect("there")
            .count();
        assert_eq!(left, 0, "{point}");
        assert_eq!(world.status(point)["state"], "valid", "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_renewal_survives_a_kill_at_every_step_and_the_old_files_with_it() {
    // A reused authorization would skip the steps about challenges.
    let Some(world) = Environment::start(&[("PEBBLE_AUTHZREUSE", "0")]).await else {
        return;
    };
    world.host(&["a.corp.test"]);
    let prefix = world.folder.join("renewal");
    world.succeed("renewal", &["-d", "a.corp.test"]);
    for point in FAILPOINTS
        .iter()
        .filter(|point| at_least(point, "order-prepared"))
    {
        let renewal = || world.program("renewal", &["renew", "--force"]);
        let mut before = Files::live(&prefix, "a.corp.test").expect("installed");
        let mut finished = dying(renewal(), point);
        if point.starts_with("challenge-") && finished.status.success() {
            // Pebble told to reuse nothing reuses one authorization in a hundred all the same; not twice in a row.
            before = Files::live(&prefix, "a.corp.test").expect("installed");
            finished = dying(renewal(), point);
        }
        assert_eq!(finished.status.signal(), KILLED, "{point}: {finished:?}");
        let between = Files::live(&prefix, "a.corp.test").expect("there is always one");
        let switched = at_least(point, "live-switched");
        assert_eq!(
            before.leaf.serial() != between.leaf.serial(),
            switched,
            "{point}"
        );

        let text = world.succeed("renewal", &["renew"]);
        assert!(text.starts_with("a.corp.test: renewed"), "{point}: {text}");
        let after = Files::live(&prefix, "a.corp.test").expect("installed");
        assert_ne!(before.leaf.serial(), after.leaf.serial(), "{point}");
        let text = world.succeed("renewal", &["renew"]);
        assert!(text.contains("not due"), "{point}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_for_more_names_survives_a_kill_whole_or_not_at_all() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    let names = ["a.corp.test", "b.corp.test"];
    world.host(&names);
    for point in FAILPOINTS
        .iter()
        .filter(|point| at_least(point, "chain-recorded"))
    {
        world.succeed(point, &["-d", names[0]]);
        killed(world.program(point, &["-d", names[0], names[1]]), point);
        world.succeed(point, &["renew"]);
        let files = Files::live(&world.folder.join(point), names[0]).expect("installed");
        let wanted = world.status(point);
        let wanted = wanted["names"].as_array().expect("names").len();
        assert_eq!(files.names().len(), wanted, "{point}");
        // Once it is written down that both are wanted, the timer's run brings it about.
        let is_written = at_least(point, "certificate-recorded");
        assert_eq!(wanted, if is_written { 2 } else { 1 }, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_ca_lost_it_is_placed_again() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    world.host(&["a.corp.test"]);
    killed(
        world.program("lost", &["-d", "a.corp.test"]),
        "order-recorded",
    );
    let path = world.folder.join("lost/orders/a.corp.test.json");
    let record = std::fs::read_to_string(&path).expect("there");
    let mut record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let order = record["step"]["placed"]["order"].as_str().expect("a URL");
    record["step"]["placed"]["order"] = format!("{order}x").into();
    std::fs::write(&path, record.to_string()).expect("written");
    let finished = world.run("lost", &["-d", "a.corp.test"]);
    assert!(finished.status.success(), "{finished:?}");
    assert!(
        finished.stderr.contains("placing a new one"),
        "{finished:?}"
    );
}

/// Whether `point` is `other` or comes after it.
fn at_least(point: &str, other: &str) -> bool {
    let place = |wanted: &str| {
        FAILPOINTS
            .iter()
            .position(|found| *found == wanted)
            .expect("a point")
    };
    place(point) >= place(other)
}
