//! How long a halt takes to reach every region, on the virtual clock, where every fact takes up to 90 seconds to reach a
//! service, services are killed, and there are two of each.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use chrono::Duration;
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::{Event, RegionName, RolloutId, Time};
use nightshift_simulation::harm::blast_radius;
use nightshift_simulation::world::World;
use nightshift_simulation::{Faults, synthetic_fleet};
use std::collections::BTreeMap;

fn start() -> Time {
    "2026-03-20T12:00:00Z".parse().unwrap()
}

/// How long a fact takes to reach a service at most, in the hostile world; and by how much clocks differ.
const LAG: Duration = Duration::seconds(90);
const SKEW: Duration = Duration::seconds(6);

#[test]
fn a_halt_reaches_every_region_within_the_time_that_a_fact_takes() {
    let (mut halts, mut to_planner, mut to_regions) = (0, Duration::zero(), Duration::zero());
    for seed in 0..12 {
        let faults = Faults { wishes: 0, fleet_changes: 0, installs: 0, install_fails: 20, ..Faults::all() };
        let mut world = World::new(seed, start(), &synthetic_fleet(120, 6).unwrap(), faults);
        let policy =
            Policy { phase_shares: vec![50, 100], budgets: Budgets::all(10, 1), ..Policy::default() };
        world.start(&RolloutId::new("one").unwrap(), policy).unwrap();
        world.run(start() + Duration::days(3));
        let mut run_halted: BTreeMap<RegionName, Time> = BTreeMap::new();
        let mut stopped: Option<Time> = None;
        let mut facts: Vec<_> = world.tape().facts().collect();
        facts.sort_by_key(|fact| fact.at);
        for fact in facts {
            match (&fact.event, fact.region()) {
                (Event::RunHalted { .. }, Some(region)) => {
                    run_halted.insert(region.clone(), fact.at);
                }
                // What failed was barred.
                (Event::RunReleased { accepted: false, .. }, Some(region)) => {
                    run_halted.remove(region);
                }
                (Event::RolloutHalted { region, .. }, _) => {
                    halts += 1;
                    let run = region.as_ref().and_then(|region| run_halted.remove(region));
                    to_planner = run.map_or(to_planner, |at| to_planner.max(fact.at - at));
                    stopped.get_or_insert(fact.at);
                }
                (Event::RolloutResumed { .. } | Event::RolloutRetried { .. }, _) => stopped = None,
                (Event::RunHeld { .. } | Event::OrderPlaced { .. }, _) => {
                    to_regions = stopped.map_or(to_regions, |at| to_regions.max(fact.at - at));
                }
                _ => {}
            }
        }
    }
    println!("{halts} halts: {to_planner} until the rollout halts, {to_regions} until every run is held");
    assert!(halts >= 6, "{halts}");
    // One fact to the planner, whose append may come second once or twice; one to each coordinator.
    assert!(to_planner <= LAG * 3 + SKEW, "{to_planner}");
    assert!(to_regions <= LAG + SKEW, "{to_regions}");
}

/// The blast radius of docs/safety.md, in small: a patch that breaks every machine gets no further than the first steps.
#[test]
fn a_bad_patch_is_halted_in_the_first_phase_and_an_analysis_finds_what_budgets_allow() {
    let radius = |percent, policy: &Policy| {
        blast_radius(7, start(), synthetic_fleet(600, 12).unwrap(), policy.clone(), percent).unwrap()
    };
    let alone = Policy { budgets: Budgets::all(70, 5), ..Policy::default() };
    let with = Policy { analysis: Some(Default::default()), ..alone.clone() };
    let all = radius(100, &Policy::default());
    assert!(all.halted && all.phase == 1 && all.patched <= 60, "{all:?}");
    let (without, with) = (radius(20, &alone), radius(20, &with));
    assert!(!without.halted && without.phase == 4 && without.harmed > 50, "{without:?}");
    assert!(with.halted && with.patched < without.patched / 2, "{with:?}");
    let harmless = radius(0, &Policy { analysis: Some(Default::default()), ..Policy::default() });
    assert!(!harmless.halted && harmless.harmed == 0 && harmless.phase == 4, "{harmless:?}");
}
