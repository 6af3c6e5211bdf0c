//! Machines that were off or failed are tried again, each night, to the deadline and no further.

use crate::world::{Fate, World, policy, topology, vm, vm_id};
use chrono::Duration;
use nightshift_domain::Time;
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::rollout::{Ended, Status};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn one_region() -> World {
    World::new(topology(&[], &["a"]), (1..=4).map(|n| vm("a", n)).collect())
}

#[test]
fn a_machine_that_is_on_again_gets_its_patches_in_a_later_night() {
    let mut world = one_region();
    world.start("one", policy());
    world.run(
        20,
        |vm, now| if vm == "a-1" && now < at("2026-03-04T12:00:00Z") { Fate::Off } else { Fate::Healthy },
    );
    let rollout = world.rollout("one");
    assert_eq!(rollout.status, Status::Completed { ended: Ended::Passed });
    assert_eq!((rollout.tally().healthy, rollout.tally().deferred), (4, 0));
    let of_it: Vec<Time> =
        world.orders().iter().filter(|(_, order)| order.vm == vm_id("a-1")).map(|(at, _)| *at).collect();
    assert_eq!(of_it, [at("2026-03-04T22:00:00Z")]);
}

#[test]
fn a_failed_machine_is_tried_once_a_night_and_does_not_halt_again() {
    let mut world = one_region();
    world.start("one", Policy { budgets: Budgets::all(25, 1), ..policy() });
    world.run(20, |vm, _| if vm == "a-2" { Fate::Fails } else { Fate::Healthy });
    let rollout = world.rollout("one");
    assert_eq!(rollout.status, Status::Completed { ended: Ended::Passed });
    assert_eq!((rollout.tally().healthy, rollout.tally().failed), (3, 1));
    let of_it: Vec<Time> =
        world.orders().iter().filter(|(_, order)| order.vm == vm_id("a-2")).map(|(at, _)| *at).collect();
    assert_eq!(of_it.len(), 4, "the first night and three more: {of_it:?}");
    assert!(of_it.windows(2).all(|nights| nights[1] - nights[0] >= Duration::hours(20)), "{of_it:?}");
    let ids: std::collections::BTreeSet<_> =
        world.orders().iter().map(|(_, order)| order.id.clone()).collect();
    assert_eq!(ids.len(), world.orders().len(), "every order has its own identity");
}

#[test]
fn machines_that_were_off_and_fail_when_they_are_on_halt_the_rollout() {
    let mut world = one_region();
    world.start("one", policy());
    world.run(40, |vm, now| match vm {
        "a-1" | "a-2" if now < at("2026-03-03T12:00:00Z") => Fate::Off,
        "a-1" | "a-2" => Fate::Fails,
        _ => Fate::Healthy,
    });
    assert!(matches!(world.rollout("one").status, Status::Completed { ended: Ended::Expired }));
    let halts = world.count(|event| matches!(event, nightshift_domain::Event::RolloutHalted { .. }));
    assert_eq!(halts, 1);
}

#[test]
fn at_its_deadline_a_rollout_ends_whatever_is_left() {
    let mut world = one_region();
    world.start("one", Policy { deadline_days: 5, retry_nights: 300, ..policy() });
    world.run(60, |vm, _| if vm == "a-1" { Fate::Off } else { Fate::Healthy });
    let rollout = world.rollout("one");
    assert_eq!(rollout.tally().deferred, 1);
    assert!(matches!(rollout.status, Status::Completed { .. }));
    assert!(world.orders().iter().all(|(placed, _)| *placed <= at("2026-03-07T12:00:00Z")));
}
