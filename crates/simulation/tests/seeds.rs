//! Many seeds: every safety rule holds, every rollout ends, every machine that can be reached is patched, and nobody
//! waits without a reason. `NIGHTSHIFT_SEEDS=10000` makes it many more; `NIGHTSHIFT_SEED=7` runs one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use chrono::Duration;
use nightshift_domain::policy::{Budgets, Policy, Query};
use nightshift_domain::rhythm::Rhythm;
use nightshift_domain::{Event, RolloutId, Time};
use nightshift_simulation::world::World;
use nightshift_simulation::{Faults, Outcome, random_fleet};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Seeds that ever failed, each with its test's name: they are run always.
const EVER_FAILED: &str = include_str!("seeds.txt");

fn start() -> Time {
    "2026-03-20T12:00:00Z".parse().unwrap()
}

fn id(name: &str) -> RolloutId {
    RolloutId::new(name).unwrap()
}

fn policy(rng: &mut StdRng) -> Policy {
    Policy {
        phase_shares: vec![10, 50, 100],
        bake: Duration::hours(2),
        batch_percent: [10, 25, 50, 100][rng.random_range(0..4)],
        max_in_flight: rng.random_bool(0.2).then_some(2),
        budgets: Budgets::all(rng.random_range(0..30), rng.random_range(0..2)),
        approvals: if rng.random_bool(0.2) {
            nightshift_domain::policy::Approvals::BetweenPhases
        } else {
            nightshift_domain::policy::Approvals::Never
        },
        analysis: rng.random_bool(0.3).then(Default::default),
        queries: if rng.random_bool(0.3) { queries() } else { Vec::new() },
        patches: if rng.random_bool(0.3) {
            nightshift_domain::policy::PatchChoice::Certified
        } else {
            nightshift_domain::policy::PatchChoice::Latest
        },
        ..Policy::default()
    }
}

/// One of the soaks, one of the phases' bakes.
fn queries() -> Vec<Query> {
    let text = r#"[
        {"name": "errors", "promql": "errors", "above": 0.5, "scope": "step", "failures": 20},
        {"name": "orders", "promql": "orders", "above": 0.5, "scope": "phase", "during": "bake", "failures": 3}
    ]"#;
    serde_json::from_str(text).unwrap()
}

fn seeds(test: &str, few: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(one) = number("NIGHTSHIFT_SEED") {
        return vec![one];
    }
    let known = EVER_FAILED.lines().filter_map(|line| line.strip_prefix(test)?.trim().parse().ok());
    // Fresh ones every time: what is printed when one fails repeats it.
    let base = number("NIGHTSHIFT_FIRST_SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 40));
    let count = number("NIGHTSHIFT_SEEDS").unwrap_or(few);
    println!("NIGHTSHIFT_FIRST_SEED={base}");
    known.chain(base..base + count).collect()
}

fn month(seed: u64, faults: Faults) -> Option<Outcome> {
    let mut rng = StdRng::seed_from_u64(seed);
    let fleet = random_fleet(&mut rng, 4).unwrap();
    let mut world = World::new(seed, start(), &fleet, faults);
    // A random fleet may have no eligible VM.
    world.start(&id("2026-03"), policy(&mut rng)).ok()?;
    if rng.random_bool(0.3) {
        world.start(&id("urgent"), policy(&mut rng)).ok()?;
    }
    world.run(start() + Duration::days(45));
    Some(world.outcome(seed))
}

fn check(seed: u64, outcome: &Outcome) {
    let report = outcome.audit.as_ref().unwrap();
    assert!(report.violations.is_empty(), "NIGHTSHIFT_SEED={seed}: {report}");
    assert_eq!(outcome.unexplained.count, 0, "NIGHTSHIFT_SEED={seed}: {:#?}", outcome.unexplained.first);
    assert!(
        outcome.missed.is_empty(),
        "NIGHTSHIFT_SEED={seed}: {:?} {:#?}",
        outcome.missed,
        outcome.rollouts
    );
    for rollout in outcome.rollouts.iter().chain(&outcome.installs) {
        let ended = ["passed", "expired", "cancelled"].contains(&rollout.state);
        assert!(ended, "NIGHTSHIFT_SEED={seed}: {} is {}", rollout.rollout, rollout.state);
        let backwards =
            rollout.phases.iter().find(|phase| phase.ended.is_some_and(|end| Some(end) < phase.started));
        assert!(
            backwards.is_none(),
            "NIGHTSHIFT_SEED={seed}: {} ends before it begins: {backwards:?}",
            rollout.rollout
        );
    }
}

#[test]
fn without_faults_every_rollout_passes_and_every_vm_is_healthy() {
    for seed in seeds("without_faults", 100) {
        let Some(outcome) = month(seed, Faults::none()) else { continue };
        check(seed, &outcome);
        for rollout in &outcome.rollouts {
            let (failed, left) = (rollout.failed, rollout.deferred + rollout.skipped);
            assert_eq!(
                (rollout.state, failed, left),
                ("passed", 0, 0),
                "NIGHTSHIFT_SEED={seed} {rollout:#?}"
            );
        }
    }
}

#[test]
fn under_all_faults_every_rule_holds_and_every_rollout_ends() {
    for seed in seeds("all_faults", 300) {
        if let Some(outcome) = month(seed, Faults::all()) {
            check(seed, &outcome);
        }
    }
}

/// Nothing that services, clocks, signals, networks and power cuts of some nights do keeps a machine from its patches.
#[test]
fn whatever_the_services_go_through_every_machine_that_comes_back_is_patched() {
    let faults = Faults {
        off_at_first: 20,
        lost_signals: 15,
        longest_lag: 90,
        crashes: 3,
        unknown_appends: 3,
        skew: 3,
        instances: 2,
        repeats: 20,
        ..Faults::none()
    };
    for seed in seeds("services", 100) {
        if let Some(outcome) = month(seed, faults) {
            check(seed, &outcome);
        }
    }
}

#[test]
fn two_months_by_the_rhythm_alone() {
    for seed in seeds("rhythm", 15) {
        let mut rng = StdRng::seed_from_u64(seed);
        let fleet = random_fleet(&mut rng, 4).unwrap();
        let mut world =
            World::new(seed, start(), &fleet, Faults { instances: 2, longest_lag: 60, ..Faults::none() });
        world.declare_rhythm(Rhythm { policy: policy(&mut rng), ..Rhythm::default() }).unwrap();
        world.run(start() + Duration::days(70));
        let outcome = world.outcome(seed);
        let report = outcome.audit.as_ref().unwrap();
        assert!(report.violations.is_empty(), "NIGHTSHIFT_SEED={seed}: {report}");
        let eligible =
            world.truth().0.fleet.vms.values().any(|vm| world.truth().0.fleet.ineligible(vm).is_none());
        let names: Vec<&str> = outcome.rollouts.iter().map(|rollout| rollout.rollout.as_str()).collect();
        let expected: &[&str] = if eligible { &["monthly-2026-04", "monthly-2026-05"] } else { &[] };
        assert_eq!(names, expected, "NIGHTSHIFT_SEED={seed}");
        let requested =
            world.tape().facts().filter(|fact| matches!(fact.event, Event::RolloutRequested { .. }));
        assert_eq!(requested.count(), expected.len(), "NIGHTSHIFT_SEED={seed}: each month once");
    }
}

#[test]
fn a_seed_is_one_history() {
    let log = || {
        let fleet = random_fleet(&mut StdRng::seed_from_u64(5), 4).unwrap();
        let mut world = World::new(5, start(), &fleet, Faults::all());
        world.start(&id("2026-03"), Policy::default()).unwrap();
        world.run(start() + Duration::days(20));
        world.tape().facts().cloned().collect::<Vec<_>>()
    };
    let first = log();
    assert!(first.len() > 100);
    assert!(first == log());
}
