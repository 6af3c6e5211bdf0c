//! Halts say what they rest on; a person resumes, has the failed tried again, or skips a region.

use crate::world::{Fate, World, actor, policy, region, rollout_id, topology, vm, vm_id};
use nightshift_domain::event::Outcome;
use nightshift_domain::explain::explain;
use nightshift_domain::halt::HaltEvidence;
use nightshift_domain::plan::{PlannedPhase, PlannedRegion};
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::rollout::{Ended, PhaseState, Rollout, Status, Tally};
use nightshift_domain::{Event, Mind as _, OrderId};

const PASSED: Status = Status::Completed { ended: Ended::Passed };

fn is_halted(world: &World) -> bool {
    matches!(world.rollout("one").status, Status::Halted { .. })
}

/// Eight machines, two at a time; `a-1` falls ill after its patch.
fn halted() -> World {
    let mut world = World::new(topology(&[], &["a"]), (1..=8).map(|n| vm("a", n)).collect());
    world.start("one", Policy { batch_percent: 25, ..policy() });
    world.run_while(
        9,
        |vm, _| if vm == "a-1" { Fate::Ill } else { Fate::Healthy },
        |world| !is_halted(world),
    );
    assert!(is_halted(&world));
    world
}

fn retry(world: &mut World) {
    let wished = world.planner.retry(&rollout_id("one"), actor());
    world.wish(wished);
}

fn evidence(world: &World) -> HaltEvidence {
    let halted = world.facts.iter().rev().find_map(|fact| match &fact.event {
        Event::RolloutHalted { evidence, .. } => Some(evidence.clone()),
        _ => None,
    });
    halted.unwrap()
}

#[test]
fn a_halt_says_who_failed_by_which_signal_and_what_they_have_in_common() {
    let mut world = World::new(topology(&[], &["a"]), (1..=20).map(|n| vm("a", n)).collect());
    world.installs = |vm| if vm == "a-3" { vec![("good", "1")] } else { vec![("good", "1"), ("evil", "2")] };
    world.start("one", policy());
    world.run_while(
        9,
        |vm, _| if vm == "a-3" { Fate::Healthy } else { Fate::Ill },
        |world| !is_halted(world),
    );
    let evidence = evidence(&world);
    assert!(evidence.failed >= 2, "{evidence:?}");
    assert!(!evidence.vms.contains(&vm_id("a-3")));
    assert_eq!(evidence.signals[0].what, "ill after its patch: ill");
    assert_eq!(evidence.signals[0].vms, evidence.failed);
    assert_eq!(evidence.in_common.len(), 2);
    assert!(evidence.in_common.iter().all(|tally| tally.failed == evidence.failed));
    let run = world.facts.iter().rev().find_map(|fact| match &fact.event {
        Event::RunHalted { evidence, .. } => Some(evidence.clone()),
        _ => None,
    });
    assert_eq!(run, Some(evidence.clone()), "the rollout's halt says what its region's run said");
    assert_eq!(world.rollout("one").evidence_of_halt, evidence);
}

#[test]
fn the_failed_are_tried_again_at_once_and_the_rest_goes_with_them() {
    let mut world = halted();
    let (asked, before) = (world.now, world.orders().len());
    retry(&mut world);
    let waiting = explain(&vm_id("a-8"), &world.planner, &world.coordinator, world.now);
    assert!(waiting.reasons.iter().any(|reason| reason.code == "RunCut"), "{waiting:?}");
    world.run(9, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(world.rollout("one").tally().healthy, 8);
    assert_eq!(world.count(|event| matches!(event, Event::RunCut { .. })), 1);
    let again: Vec<_> = world.orders().into_iter().skip(before).collect();
    assert!(again.iter().all(|(_, order)| order.vm != vm_id("a-2")), "who was well is left alone");
    let (first, order) = again[0];
    assert_eq!((order.vm.clone(), first), (vm_id("a-1"), asked), "this night, not the next");
    assert_eq!(again.len(), 7);
    let passed = world.facts.iter().find(|fact| matches!(fact.event, Event::PhasePassed { .. })).unwrap();
    let Event::PhasePassed { tally, .. } = passed.event else { panic!() };
    assert_eq!((tally.healthy, tally.failed), (8, 0), "the gate goes by how the retry ended");
    let (planner, coordinator) = world.replayed();
    assert_eq!(planner, world.planner);
    assert_eq!(coordinator.decide(world.now), world.coordinator.decide(world.now));
}

#[test]
fn who_fails_again_counts_anew_where_a_resumption_accepts_it() {
    for (tried_again, halts) in [(true, 2), (false, 1)] {
        let mut world = halted();
        let id = rollout_id("one");
        let wished =
            if tried_again { world.planner.retry(&id, actor()) } else { world.planner.resume(&id, actor()) };
        world.wish(wished);
        world.run(9, |vm, _| if vm == "a-1" { Fate::Ill } else { Fate::Healthy });
        assert_eq!(world.count(|event| matches!(event, Event::RolloutHalted { .. })), halts, "{tried_again}");
        assert_eq!(is_halted(&world), tried_again);
    }
}

#[test]
fn a_phase_whose_gate_failed_is_judged_by_the_retry() {
    let mut world = World::new(topology(&[], &["a"]), (1..=8).map(|n| vm("a", n)).collect());
    let budgets = Budgets { phase: Budgets::all(0, 0).phase, ..Budgets::all(100, 0) };
    world.start("one", Policy { budgets, ..policy() });
    world.run_while(
        9,
        |vm, _| if vm == "a-1" { Fate::Ill } else { Fate::Healthy },
        |world| !is_halted(world),
    );
    assert_eq!(world.rollout("one").phases[0].state, PhaseState::Failed);
    assert_eq!(evidence(&world).vms, [vm_id("a-1")]);
    retry(&mut world);
    world.run(9, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(world.replayed().0, world.planner);
}

#[test]
fn a_region_that_was_skipped_is_left_alone_and_its_phase_goes_by_the_others() {
    let vms = ["a", "b", "c"].into_iter().flat_map(|name| (1..=8).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[], &["a", "b", "c"]), vms);
    world.start("one", Policy { phase_shares: vec![70, 100], batch_percent: 25, ..policy() });
    world.run_while(
        9,
        |vm, _| if vm.starts_with('a') { Fate::Ill } else { Fate::Healthy },
        |world| !is_halted(world),
    );
    let skipped = world.planner.skip_region(&rollout_id("one"), &region("a"), actor());
    world.wish(skipped);
    let (now, in_a) = (world.now, |world: &World| {
        world.orders().iter().filter(|(_, order)| order.vm.as_str().starts_with('a')).count()
    });
    let before = in_a(&world);
    world.run(3, |_, _| Fate::Healthy);
    assert!(is_halted(&world), "the halt is another matter");
    assert!(!world.rollout("one").turns().find(|(_, known, _)| **known == region("a")).unwrap().2.is_held());
    let why = explain(&vm_id("a-8"), &world.planner, &world.coordinator, world.now);
    assert!(why.reasons.iter().any(|reason| reason.code == "RolloutHalted"), "{why:?}");
    let resumed = world.planner.resume(&rollout_id("one"), actor());
    world.wish(resumed);
    let why = explain(&vm_id("a-8"), &world.planner, &world.coordinator, world.now);
    let said = why.reasons.iter().find(|reason| reason.code == "RegionSkipped").unwrap();
    assert!(said.sentence.contains("tester") && said.sentence.contains("to see"), "{why:?}");
    world.run(15, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(in_a(&world), before, "no order since {now}");
    let tally = world.rollout("one").tally();
    assert_eq!((tally.healthy, tally.failed + tally.skipped), (16, 8));
    assert_eq!(world.replayed().0, world.planner);
}

#[test]
fn a_region_that_was_skipped_before_its_turn_gets_none() {
    let vms = ["a", "b"].into_iter().flat_map(|name| (1..=4).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[("a", "b")], &[]), vms);
    world.start("one", policy());
    let skipped = world.planner.skip_region(&rollout_id("one"), &region("b"), actor());
    world.wish(skipped);
    world.run(3, |_, _| Fate::Healthy);
    // A phase that proved nothing does not pass by itself.
    assert!(is_halted(&world));
    let resumed = world.planner.resume(&rollout_id("one"), actor());
    world.wish(resumed);
    world.run(9, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(
        world.count(|event| matches!(event, Event::TurnGranted { region, .. } if region.as_str() == "b")),
        0
    );
}

#[test]
fn wishes_are_facts_once_and_say_who_and_why() {
    let mut world = halted();
    let id = rollout_id("one");
    let unknown = world.planner.skip_region(&id, &region("atlantis"), actor()).unwrap_err();
    assert_eq!(unknown.code, "RegionNotInRollout");
    retry(&mut world);
    retry(&mut world);
    let skip = |world: &mut World| {
        let skipped = world.planner.skip_region(&id, &region("a"), actor());
        world.wish(skipped);
    };
    let told = |wanted: fn(&Event) -> bool, world: &World| world.count(wanted);
    assert_eq!(told(|event| matches!(event, Event::RolloutRetried { .. }), &world), 1);
    skip(&mut world);
    skip(&mut world);
    assert_eq!(
        told(|event| matches!(event, Event::RegionSkipped { actor, .. } if actor.name == "tester"), &world),
        1
    );
    world.run(9, |_, _| Fate::Healthy);
    let refused = world.planner.retry(&id, actor()).unwrap_err();
    assert!(["NothingToRetry", "RolloutStateConflict"].contains(&refused.code.as_str()), "{refused}");
    let nothing =
        World::new(topology(&[], &["a"]), vec![vm("a", 1)]).planner.retry(&id, actor()).unwrap_err();
    assert_eq!(nothing.code, "RolloutNotFound");
}

#[test]
fn the_gate_of_a_retried_region_counts_who_failed_again_and_who_was_silent() {
    let at = "2026-03-02T12:00:00Z".parse().unwrap();
    let region = region("a");
    let rollout = rollout_id("one");
    let planned = PlannedRegion { region: region.clone(), vms: 8, why: String::new() };
    let mut known = Rollout::requested(policy(), actor(), at);
    let tell = |known: &mut Rollout, event: Event| known.apply(at, Some(&region), &event);
    let settle = |known: &mut Rollout, vm: usize, well: bool| {
        let outcome = if well { Outcome::Healthy } else { Outcome::Failed { why: "ill".into() } };
        let (vm, order) = (vm_id(&format!("a-{vm}")), OrderId::new("o").unwrap());
        tell(known, Event::VmSettled { rollout: rollout.clone(), vm, order, outcome, blamed: Vec::new() });
    };
    let begin = |known: &mut Rollout, round: u32| {
        tell(known, Event::TurnGranted { rollout: rollout.clone(), phase: 0, region: region.clone(), round });
        let (region, policy) = (region.clone(), policy());
        let rollout = rollout.clone();
        tell(known, Event::RunStarted { rollout, region, phase: 0, round, policy, retries: 0 });
    };
    let end = |known: &mut Rollout, round: u32, failed: u32| {
        let tally = Tally { healthy: 6, failed, skipped: 0, deferred: 2 - failed };
        let (rollout, region) = (rollout.clone(), region.clone());
        let completed = Event::RunCompleted { rollout: rollout.clone(), round, tally, patches: Vec::new() };
        tell(known, Event::TurnEnded { rollout, phase: 0, region, round, tally, patches: Vec::new() });
        assert!(known.phases[0].ended().is_none() || round > 2, "the region's own facts are not read yet");
        tell(known, completed);
    };
    let phases = vec![PlannedPhase { regions: vec![planned] }];
    tell(&mut known, Event::RolloutPlanned { rollout: rollout.clone(), phases });
    tell(&mut known, Event::PhaseStarted { rollout: rollout.clone(), phase: 0 });
    begin(&mut known, 1);
    settle(&mut known, 1, false);
    settle(&mut known, 2, false);
    let regions = vec![region.clone()];
    tell(&mut known, Event::RolloutRetried { rollout: rollout.clone(), regions, actor: actor() });
    end(&mut known, 1, 2);
    begin(&mut known, 2);
    settle(&mut known, 1, false);
    end(&mut known, 2, 1);
    // What a later round comes to changes nothing for who was heard of, and everything for who was not.
    begin(&mut known, 3);
    settle(&mut known, 1, true);
    let counted = |known: &Rollout| known.phases[0].counted(&known.evidence).failed;
    assert_eq!(counted(&known), 2);
    settle(&mut known, 2, true);
    assert_eq!(counted(&known), 1);
}
