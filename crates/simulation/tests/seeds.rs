//! Many seeds: every safety rule holds, every rollout ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use chrono::Duration;
use nightshift_audit::{Record, Report, audit};
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::Status;
use nightshift_domain::{Event, RolloutId, Time};
use nightshift_simulation::{Faults, World, random_fleet};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const SEEDS: u64 = 150;

fn start() -> Time {
    "2026-03-20T12:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy { phase_shares: vec![10, 50, 100], bake: Duration::hours(2), ..Policy::default() }
}

fn world(seed: u64, faults: Faults) -> World {
    let mut rng = StdRng::seed_from_u64(seed);
    let fleet = random_fleet(&mut rng, 4).unwrap();
    World::new(seed, start(), fleet, faults)
}

fn report(world: &World) -> Report {
    audit(world.log().iter().map(|record| Record {
        partition: record.fact.partition.clone(),
        position: record.position,
        at: record.fact.at,
        event: record.fact.event.clone(),
    }))
}

fn monthly() -> RolloutId {
    RolloutId::new("2026-03").unwrap()
}

#[test]
fn without_faults_every_rollout_completes_and_every_reachable_vm_is_healthy() {
    for seed in 0..SEEDS {
        let mut world = world(seed, Faults::default());
        if world.start(&monthly(), policy()).is_err() {
            continue; // A random fleet may have no eligible VM.
        }
        let status = world.run(&monthly(), start() + Duration::days(60));
        assert_eq!(status, Some(Status::Completed { cancelled: false }), "seed {seed}");
        let report = report(&world);
        assert!(report.violations.is_empty(), "seed {seed}: {report}");
        let enlisted: usize = count(&world, |event| match event {
            Event::RunEnlisted { members, .. } => members.len(),
            _ => 0,
        });
        let confirmed = count(&world, |event| usize::from(matches!(event, Event::HealthConfirmed { .. })));
        assert_eq!(confirmed, enlisted, "seed {seed}");
    }
}

#[test]
fn under_faults_every_rule_holds_and_every_rollout_comes_to_rest() {
    let faults =
        Faults { powered_off: 10, ill: 5, install_fails: 5, bad_patch: 5, vanishes: 5, service_killed: 10 };
    for seed in 0..SEEDS {
        let mut world = world(seed, faults);
        if world.start(&monthly(), policy()).is_err() {
            continue;
        }
        let until = start() + Duration::days(120);
        loop {
            match world.run(&monthly(), until) {
                Some(Status::Completed { .. }) => break,
                Some(Status::Halted { .. }) => world.resume(&monthly()).unwrap(),
                other => panic!("seed {seed}: {other:?} at {}", world.now()),
            }
        }
        let report = report(&world);
        assert!(report.violations.is_empty(), "seed {seed}: {report}");
    }
}

#[test]
fn a_patch_that_breaks_every_machine_stops_in_the_first_phase() {
    for seed in 0..SEEDS {
        let mut world = world(seed, Faults { bad_patch: 100, ..Faults::default() });
        if world.start(&monthly(), policy()).is_err() {
            continue;
        }
        let status = world.run(&monthly(), start() + Duration::days(60));
        assert!(matches!(status, Some(Status::Halted { .. })), "seed {seed}: {status:?}");
        let phases = count(&world, |event| usize::from(matches!(event, Event::PhaseStarted { .. })));
        assert_eq!(phases, 1, "seed {seed}");
        let report = report(&world);
        assert!(report.violations.is_empty(), "seed {seed}: {report}");
    }
}

#[test]
fn one_seed_is_one_history() {
    let history = || {
        let mut world = world(7, Faults { service_killed: 10, vanishes: 10, ..Faults::default() });
        world.start(&monthly(), policy()).unwrap();
        world.run(&monthly(), start() + Duration::days(60));
        world.log().to_vec()
    };
    assert_eq!(history(), history());
}

fn count(world: &World, of: impl Fn(&Event) -> usize) -> usize {
    world.log().iter().map(|record| of(&record.fact.event)).sum()
}
