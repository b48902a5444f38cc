//! Orders that say which certificate they replace (RFC 9773 §5), and CAs that will not hear of it.

use chancery_acme::CertId;

use crate::test_authority::NOW;
use crate::test_ca::{Advice, Fault};
use crate::test_world::{DAY, World, name};
use crate::{RenewRequest, RenewalOutcome, Request};

/// A world whose CA knows what replacing is, and the name of its certificate there.
async fn world() -> (World, String) {
    let world = World::with_certificate().await;
    let (start, end) = (NOW.plus(86_400), NOW.plus(2 * 86_400));
    world.ca.advise(Advice::window(start, end));
    world.ca.take_replaced();
    let id = installed(&world);
    (world, id)
}

fn installed(world: &World) -> String {
    let live = world.agent.state.live_files(&name()).expect("readable");
    let id = CertId::of(&live.expect("installed").leaf);
    id.expect("it has a key identifier").to_string()
}

#[tokio::test]
async fn a_renewal_names_the_certificate_that_it_replaces() {
    let (world, first) = world().await;
    world.renew_forced().await.expect("renewed");
    let second = installed(&world);
    assert_ne!(first, second);
    world.clock.advance(40 * DAY);
    assert!(matches!(
        world.renew_due().await,
        RenewalOutcome::Renewed(_)
    ));
    assert_eq!(world.ca.take_replaced(), [Some(first), Some(second)]);
}

#[tokio::test]
async fn more_names_replace_and_other_names_do_not() {
    let (world, first) = world().await;
    let more = Request::new(&["a.test", "c.test"]).expect("good");
    world.agent.obtain(&more).await.expect("obtained");
    let second = installed(&world);
    let other = Request::new(&["d.test"]).expect("good").called(name());
    world.agent.obtain(&other).await.expect("obtained");
    assert_ne!(installed(&world), second);
    assert_eq!(world.ca.take_replaced(), [Some(first), None]);
}

#[tokio::test]
async fn a_ca_that_knows_nothing_of_it_is_told_nothing() {
    let (world, _) = world().await;
    world.ca.advise(None);
    world.renew_forced().await.expect("renewed");
    assert_eq!(world.ca.take_replaced(), [None]);
}

#[tokio::test]
async fn another_ca_is_told_nothing() {
    let (world, _) = world().await;
    let (other, _) = self::world().await;
    let request = RenewRequest {
        force: true,
        settings: other.agent.config.defaults.clone(),
        ..RenewRequest::default()
    };
    let mut expected = None;
    for _ in 0..2 {
        let renewals = world.agent.renew(&request).await.expect("tried");
        let outcome = &renewals.first().expect("one").outcome;
        assert!(matches!(outcome, RenewalOutcome::Renewed(_)), "{outcome:?}");
        assert_eq!(other.ca.take_replaced(), [expected]);
        // The next one it has issued itself.
        expected = Some(installed(&world));
    }
}

#[tokio::test]
async fn an_order_that_is_refused_for_what_it_replaces_is_placed_without() {
    for (status, kind) in [
        (409, "alreadyReplaced"),
        (400, "malformed"),
        (403, "unauthorized"),
        (500, "serverInternal"),
    ] {
        let (world, first) = world().await;
        world.ca.set(Fault::Replaces(status, kind));
        world.renew_forced().await.expect("renewed");
        assert_eq!(world.ca.take_replaced(), [Some(first), None], "{kind}");
    }
}

#[tokio::test]
async fn a_ca_that_is_busy_is_not_asked_without_what_is_replaced() {
    for status in [429, 503] {
        let (world, first) = world().await;
        world
            .fails(Fault::Replaces(status, "rateLimited"), "rateLimited")
            .await;
        let told = world.ca.take_replaced();
        assert!(told.iter().all(|it| *it == Some(first.clone())), "{told:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_stays_is_told_after_one_more_order() {
    let (world, first) = world().await;
    let error = world.fails(Fault::NewOrders("rejectedIdentifier"), "rejectedIdentifier");
    assert!(error.await.ends_order());
    assert_eq!(world.ca.take_replaced(), [Some(first), None]);
    // Where nothing was named, nothing can be left out.
    world.ca.advise(None);
    let error = world.fails(Fault::NewOrders("rejectedIdentifier"), "rejectedIdentifier");
    assert!(error.await.ends_order());
    assert_eq!(world.ca.take_replaced(), [None]);
}

#[tokio::test]
async fn a_run_that_goes_on_does_not_name_it_again_once_it_was_refused() {
    let (world, first) = world().await;
    let error = world.fails(Fault::ReplacesThenBusy, "rateLimited").await;
    assert!(!error.ends_order());
    let told = world.ca.take_replaced();
    assert_eq!(told.iter().flatten().collect::<Vec<_>>(), [&first]);
    world.clock.advance(DAY);
    assert!(matches!(
        world.renew_due().await,
        RenewalOutcome::Renewed(_)
    ));
    assert_eq!(world.ca.take_replaced(), [None]);
}

#[tokio::test]
async fn a_new_account_names_it_too_and_the_ca_decides() {
    let (world, first) = world().await;
    world.ca.set(Fault::NewOrder("accountDoesNotExist"));
    world.renew_forced().await.expect("renewed");
    assert_eq!(world.ca.accounts(), 2);
    assert_eq!(
        world.ca.take_replaced(),
        [Some(first.clone()), Some(first)],
        "an unknown account is no matter of what is replaced"
    );
}
