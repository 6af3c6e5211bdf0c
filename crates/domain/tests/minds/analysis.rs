//! Analysis: a fleet-wide outage is not blamed on the patch, and a patch's harm is not hidden by a healthy majority.

use crate::world::{Fate, World, actor, policy, rollout_id, topology, vm};
use nightshift_domain::analysis::Analysis;
use nightshift_domain::gate::{ConditionState, phase_gate};
use nightshift_domain::policy::{Budgets, OnFailure, Policy};
use nightshift_domain::rollout::{Ended, Status};
use nightshift_domain::{Event, Mind as _};

const PASSED: Status = Status::Completed { ended: Ended::Passed };

fn analysed(budgets: Budgets) -> Policy {
    Policy {
        analysis: Some(Analysis { controls: 200, ..Analysis::default() }),
        budgets,
        batch_percent: 10,
        retry_nights: 0,
        ..policy()
    }
}

fn one_region(vms: usize) -> World {
    World::new(topology(&[], &["a"]), (1..=vms).map(|n| vm("a", n)).collect())
}

fn number(vm: &str) -> u32 {
    vm.rsplit('-').next().unwrap().parse().unwrap()
}

fn is_halted(world: &World) -> bool {
    matches!(world.rollout("one").status, Status::Halted { .. })
}

fn why(world: &World) -> String {
    let Status::Halted { why, .. } = &world.rollout("one").status else { panic!("not halted") };
    why.clone()
}

#[test]
fn harm_within_every_budget_halts_where_an_analysis_is_asked_for() {
    // One in eight falls ill with the patch, nobody without it, and half of all may.
    let fate = |vm: &str, _| if number(vm).is_multiple_of(8) { Fate::Ill } else { Fate::Healthy };
    for asked in [true, false] {
        let mut world = one_region(300);
        let policy = analysed(Budgets::all(50, 0));
        let policy = if asked { policy } else { Policy { analysis: None, ..policy } };
        world.start("one", policy);
        world.run_while(9, fate, |world| !is_halted(world));
        assert_eq!(is_halted(&world), asked);
        if asked {
            assert!(why(&world).contains("more often with the patch than without"), "{}", why(&world));
            let evidence = &world.rollout("one").evidence_of_halt;
            let comparison = evidence.comparison.unwrap();
            assert!(comparison.patched_ill >= 3 && comparison.control_ill == 0, "{comparison:?}");
            assert_eq!(evidence.failed, comparison.patched_ill);
            assert!(world.orders().len() < 250, "it halts before everybody has it: {}", world.orders().len());
        } else {
            let requested = world.count(|event| matches!(event, Event::ControlsRequested { .. }));
            assert_eq!(requested, 0, "nobody is watched for nothing");
        }
    }
}

#[test]
fn a_person_who_resumes_accepts_what_was_found() {
    let fate = |vm: &str, _| if number(vm).is_multiple_of(4) { Fate::Ill } else { Fate::Healthy };
    let mut world = one_region(300);
    world.start("one", analysed(Budgets::all(50, 0)));
    world.run_while(9, fate, |world| !is_halted(world));
    let resumed = world.planner.resume(&rollout_id("one"), actor());
    world.wish(resumed);
    world.run(9, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(world.count(|event| matches!(event, Event::RolloutHalted { .. })), 1);
    let (planner, coordinator) = world.replayed();
    assert_eq!(planner, world.planner);
    assert_eq!(coordinator.decide(world.now), world.coordinator.decide(world.now));
}

#[test]
fn an_outage_halts_and_is_not_blamed_on_the_patch() {
    let mut world = one_region(200);
    // Everybody falls ill on that night, patched or not.
    world.controls_ill = |_| true;
    world.start("one", analysed(Budgets::all(30, 0)));
    let fate = |_: &str, _| Fate::Ill;
    world.run_while(3, fate, |world| !is_halted(world));
    assert!(why(&world).contains("an outage, and not the patch"), "{}", why(&world));
    assert!(world.rollout("one").barred.is_empty());
}

#[test]
fn the_gate_finds_harm_that_no_region_had_enough_of() {
    // Ten regions that go on alone, each with a little.
    let names: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let vms = names.iter().flat_map(|name| (1..=20).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[], &names), vms);
    let policy =
        Policy { phase_shares: vec![100], on_failure: OnFailure::Continue, ..analysed(Budgets::all(50, 2)) };
    world.start("one", policy);
    let fate = |vm: &str, _| if number(vm) == 1 || number(vm) == 11 { Fate::Ill } else { Fate::Healthy };
    world.run_while(9, fate, |world| !is_halted(world));
    assert!(why(&world).contains("more often with the patch than without"), "{}", why(&world));
    let rollout = world.rollout("one");
    let conditions = phase_gate(rollout, 0, &rollout.phases[0], world.now);
    let harm = conditions.iter().find(|condition| condition.reason.code == "AnalysisHarm").unwrap();
    assert_eq!(harm.state, ConditionState::Closed);
}

#[test]
fn a_gate_says_how_far_it_is() {
    let mut world = one_region(20);
    world.start(
        "one",
        Policy {
            approvals: nightshift_domain::policy::Approvals::BetweenPhases,
            ..analysed(Budgets::all(20, 0))
        },
    );
    let evening: nightshift_domain::Time = "2026-03-02T21:00:00Z".parse().unwrap();
    world.run_while(9, |_, _| Fate::Healthy, |world| world.now < evening);
    let codes = |world: &World| {
        let rollout = world.rollout("one");
        let conditions = phase_gate(rollout, 0, &rollout.phases[0], world.now);
        let code = |condition: nightshift_domain::gate::Condition| (condition.reason.code, condition.state);
        conditions.into_iter().map(code).collect::<Vec<_>>()
    };
    use ConditionState::{Met, Waits};
    let expected = |states: [ConditionState; 5], names: [&str; 5]| -> Vec<(String, ConditionState)> {
        names.into_iter().map(str::to_owned).zip(states).collect()
    };
    let names = ["RegionsEnded", "FailureBudget", "NobodyConfirmed", "AnalysisNoHarm", "PhaseBakes"];
    assert_eq!(codes(&world), expected([Waits, Met, Waits, Met, Waits], names));
    let ask = world.coordinator.ask(&rollout_id("one"), &crate::world::region("a")).unwrap();
    let run = &world.coordinator.runs[&crate::world::region("a")][&rollout_id("one")];
    let gates = run.gates(&ask);
    let wholes: Vec<&str> = gates.iter().map(|gate| gate.whole.as_str()).collect();
    assert_eq!(wholes.last(), Some(&"the region"));
    assert!(wholes.contains(&"outside zones"), "{wholes:?}");
    world.run_while(
        9,
        |_, _| Fate::Healthy,
        |world| world.count(|event| matches!(event, Event::TurnEnded { .. })) == 0,
    );
    let names = ["RegionsEnded", "FailureBudget", "Confirmed", "AnalysisNoHarm", "PhaseBakes"];
    assert_eq!(codes(&world), expected([Met, Met, Met, Met, Met], names));
}

#[test]
fn what_is_said_of_a_control_allows_no_order_of_its_own() {
    let mut world = one_region(20);
    world.controls_late = true;
    world.start("one", analysed(Budgets::all(50, 0)));
    world.run(1, |_, _| Fate::Off);
    assert!(world.count(|event| matches!(event, Event::WatchOpened { sample: None, .. })) > 0);
    assert_eq!(world.orders().len(), 0);
}
