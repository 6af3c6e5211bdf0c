//! A rollout a month, and assessments every few days, without anybody's doing.

use crate::world::{Fate, World, actor, policy, topology, vm, vm_id};
use nightshift_domain::fleet::{AssessmentMode, Feature, PatchMode};
use nightshift_domain::rhythm::Rhythm;
use nightshift_domain::{Chain, Decision, Event, Partition, Time};

fn world() -> World {
    World::new(topology(&[], &["a"]), (1..=2).map(|n| vm("a", n)).collect())
}

#[test]
fn a_rollout_starts_every_month_and_patches_every_machine() {
    let mut world = world();
    let declared =
        world.planner.declare_rhythm(Some(Rhythm { policy: policy(), ..Rhythm::default() }), actor());
    world.wish(declared);
    world.run(95, |_, _| Fate::Healthy);
    let ids: Vec<&str> = world.planner.rollouts.keys().map(|id| id.as_str()).collect();
    assert_eq!(ids, ["monthly-2026-03", "monthly-2026-04", "monthly-2026-05"]);
    assert!(ids.iter().all(|id| world.rollout(id).tally().healthy == 2));
    let requested = world.rollout("monthly-2026-03").requested;
    assert_eq!(requested, "2026-03-11T12:00:00Z".parse::<Time>().unwrap());
}

#[test]
fn a_rhythm_makes_up_for_nothing_that_was_due_before_it() {
    let mut world = world();
    world.now = "2026-03-20T00:00:00Z".parse().unwrap();
    let declared =
        world.planner.declare_rhythm(Some(Rhythm { policy: policy(), ..Rhythm::default() }), actor());
    world.wish(declared);
    world.run(10, |_, _| Fate::Healthy);
    assert!(world.planner.rollouts.is_empty());
    let stopped = world.planner.declare_rhythm(None, actor());
    world.wish(stopped);
    world.run(60, |_, _| Fate::Healthy);
    assert!(world.planner.rollouts.is_empty());
}

#[test]
fn every_machine_is_assessed_several_times_in_any_thirty_days_at_night() {
    let mut world = world();
    let of_one = |event: &Event| match event {
        Event::AssessmentsRequested { vms, .. } => vms.contains(&vm_id("a-1")),
        _ => false,
    };
    // Nobody answers, as if the machine were off: it is asked every night.
    world.run(30, |_, _| Fate::Healthy);
    let asked: Vec<Time> =
        world.facts.iter().filter(|fact| of_one(&fact.event)).map(|fact| fact.at).collect();
    assert!((28..=31).contains(&asked.len()), "{asked:?}");
    let night = |at: &Time| !(6..22).contains(&chrono::Timelike::hour(at));
    assert!(asked.iter().all(night), "{asked:?}");
}

#[test]
fn a_machine_whose_model_asks_for_it_is_assessed_every_night_though_no_rollout_patches_it() {
    let mut model = vm("a", 1);
    model.assessment_mode = AssessmentMode::AutomaticByPlatform;
    model.patch_mode = PatchMode::ImageDefault;
    let mut world = World::new(topology(&[], &["a"]), vec![model, vm("a", 2)]);
    world.assesses = true;
    let (asked_1, asked_2) = asked_in_thirty_days(&mut world);
    assert_eq!(asked_1, 0, "its subscription may not ask for assessments yet");
    assert!((9..=11).contains(&asked_2), "{asked_2}");
    let subscription = world.planner.fleet.vms[&vm_id("a-1")].subscription.clone();
    let event = Event::FeatureRegistered { subscription, feature: Feature::InGuestPatchVMPreview };
    let chain = Chain::of(&Partition::Fleet, &event.aggregate());
    world.append(vec![Decision { chain, events: vec![event] }]);
    let (asked_1, asked_2) = asked_in_thirty_days(&mut world);
    assert!((29..=31).contains(&asked_1), "{asked_1}");
    assert!((9..=11).contains(&asked_2), "{asked_2}");
}

/// How often each of the two is asked in the next thirty days.
fn asked_in_thirty_days(world: &mut World) -> (usize, usize) {
    let seen = world.facts.len();
    world.run(30, |_, _| Fate::Healthy);
    let asked = world.facts[seen..].iter().filter_map(|fact| match &fact.event {
        Event::AssessmentsRequested { vms, .. } => Some(vms),
        _ => None,
    });
    let asked: Vec<_> = asked.flatten().collect();
    let count = |name| asked.iter().filter(|vm| ***vm == vm_id(name)).count();
    (count("a-1"), count("a-2"))
}
