//! Nobody waits without a reason.

use crate::world::{Fate, World, actor, policy, rollout_id, topology, vm, vm_id};
use nightshift_domain::explain::explain;
use nightshift_domain::policy::{Approvals, Policy};

fn codes(world: &World, vm: &str) -> Vec<String> {
    let explanation = explain(&vm_id(vm), &world.planner, &world.coordinator, world.now);
    explanation.reasons.into_iter().map(|reason| reason.code).collect()
}

#[test]
fn the_chain_goes_from_rollout_to_window() {
    let vms =
        [("a", 4), ("b", 6)].into_iter().flat_map(|(name, n)| (1..=n).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[("a", "b")], &[]), vms);
    assert_eq!(codes(&world, "a-1"), ["NoRollout"]);
    assert_eq!(codes(&world, "nobody"), ["VmNotFound"]);
    world.start("one", Policy { approvals: Approvals::BetweenPhases, batch_percent: 25, ..policy() });
    assert_eq!(codes(&world, "b-1"), ["RolloutRunning", "PhaseWaits", "PhaseNext"]);
    world.run(1, |_, _| Fate::Healthy);
    assert_eq!(codes(&world, "a-1"), ["RolloutRunning", "TurnEnded", "Patched"]);
    assert_eq!(codes(&world, "b-1"), ["RolloutRunning", "PhaseWaits", "ApprovalNeeded"]);
    world.run(3, |_, _| Fate::Healthy);
    assert_eq!(codes(&world, "b-1"), ["RolloutRunning", "PhaseWaits", "ApprovalNeeded"]);
    let paused = world.planner.pause(&rollout_id("one"), actor());
    world.wish(paused);
    assert_eq!(codes(&world, "b-1"), ["RolloutPaused"]);
}

#[test]
fn a_waiting_machine_knows_its_window_and_what_goes_first() {
    let mut world = World::new(topology(&[], &["a"]), (1..=4).map(|n| vm("a", n)).collect());
    world.start("one", Policy { batch_percent: 25, ..policy() });
    let decisions = |world: &mut World| {
        for _ in 0..8 {
            let mut decided = nightshift_domain::Mind::decide(&world.planner, world.now);
            decided.extend(nightshift_domain::Mind::decide(&world.coordinator, world.now));
            world.append(decided);
        }
    };
    decisions(&mut world);
    assert_eq!(codes(&world, "a-1"), ["RolloutRunning", "TurnHeld", "WindowClosed"]);
    assert_eq!(codes(&world, "a-3"), ["RolloutRunning", "TurnHeld", "StepWaits", "WindowClosed"]);
    let explanation = explain(&vm_id("a-1"), &world.planner, &world.coordinator, world.now);
    assert_eq!(explanation.reasons[2].until, Some("2026-03-02T22:00:00Z".parse().unwrap()));
}
