//! Turns: pairs never at once, whatever rollout, first turn or catch-up asks (rule S1).

use crate::world::{Fate, World, policy, region, topology, vm};
use nightshift_domain::rollout::{Ended, Status};
use nightshift_domain::{Event, Mind as _, RegionName};
use std::collections::BTreeSet;

fn no_pair_at_once(world: &World) {
    let mut held: BTreeSet<RegionName> = BTreeSet::new();
    for fact in &world.facts {
        match &fact.event {
            Event::TurnGranted { region, .. } => {
                let pair = held.iter().find(|other| world.planner.fleet.topology.paired(other, region));
                assert_eq!(pair, None, "{region} at {}", fact.at);
                assert!(held.insert(region.clone()), "{region} twice at {}", fact.at);
            }
            Event::TurnEnded { region, .. } => assert!(held.remove(region)),
            _ => {}
        }
    }
}

#[test]
fn two_rollouts_at_once_share_the_regions_and_both_end() {
    let vms = ["a", "b", "c"].into_iter().flat_map(|name| (1..=3).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[("a", "b")], &["c"]), vms);
    world.start("one", policy());
    world.start("two", policy());
    let off_at_first = |vm: &str, now| {
        if vm == "a-1" && now < at("2026-03-05T00:00:00Z") { Fate::Off } else { Fate::Healthy }
    };
    world.run(20, off_at_first);
    for id in ["one", "two"] {
        let rollout = world.rollout(id);
        assert_eq!(rollout.status, Status::Completed { ended: Ended::Passed }, "{id}");
        assert_eq!(rollout.tally().healthy, 9, "{id}");
    }
    no_pair_at_once(&world);
}

#[test]
fn a_region_that_never_had_its_turn_goes_before_one_that_catches_up() {
    let vms =
        [("a", 2), ("b", 9)].into_iter().flat_map(|(name, n)| (1..=n).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[("a", "b")], &[]), vms);
    world.start("one", policy());
    world.run(20, |vm, _| if vm == "a-1" { Fate::Off } else { Fate::Healthy });
    let turns: Vec<(String, u32)> = world
        .facts
        .iter()
        .filter_map(|fact| match &fact.event {
            Event::TurnGranted { region, round, .. } => Some((region.to_string(), *round)),
            _ => None,
        })
        .collect();
    let turns: Vec<(&str, u32)> = turns.iter().map(|(region, round)| (region.as_str(), *round)).collect();
    assert_eq!(turns, [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("a", 4)]);
    no_pair_at_once(&world);
}

#[test]
fn a_restart_decides_nothing_that_was_decided() {
    let vms = ["a", "b"].into_iter().flat_map(|name| (1..=3).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[("a", "b")], &[]), vms);
    world.start("one", policy());
    let fate = |vm: &str, _| if vm == "b-2" { Fate::Fails } else { Fate::Healthy };
    world.run_while(20, fate, |world| !matches!(world.rollout("one").status, Status::Halted { .. }));
    let resumed = world.planner.resume(&crate::world::rollout_id("one"), crate::world::actor());
    world.wish(resumed);
    world.run(20, |_, _| Fate::Healthy);
    let (planner, coordinator) = world.replayed();
    assert_eq!(planner, world.planner);
    assert_eq!(planner.decide(world.now), []);
    assert_eq!(coordinator.decide(world.now), world.coordinator.decide(world.now));
    assert_eq!(world.rollout("one").status, Status::Completed { ended: Ended::Passed });
    assert_eq!(world.count(|event| matches!(event, Event::RolloutHalted { .. })), 1);
}

#[test]
fn two_regions_in_turn_cannot_become_a_pair() {
    let vms = ["a", "b"].into_iter().map(|name| vm(name, 1)).collect();
    let mut world = World::new(topology(&[], &["a", "b"]), vms);
    let together = nightshift_domain::policy::Policy { phase_shares: vec![100], ..policy() };
    world.start("one", together);
    world.run_while(
        1,
        |_, _| Fate::Healthy,
        |world| world.orders().is_empty() && world.now < at("2026-03-02T13:00:00Z"),
    );
    let refused = world.planner.declare_fleet(topology(&[("a", "b")], &[]), &[], Vec::new()).unwrap_err();
    assert_eq!(refused.code, "RegionsInTurnConflict");
    assert!(refused.sentence.contains("\"a\"") && refused.sentence.contains("\"b\""), "{refused}");
    assert!(world.planner.fleet.topology.regions.contains_key(&region("a")));
}

fn at(text: &str) -> nightshift_domain::Time {
    text.parse().unwrap()
}
