//! A month of a synthetic fleet in the fast world: wall time, peak memory, and how the cost grows with the fleet.
//!
//! `cargo bench -p nightshift-simulation --bench month -- 1000 10000 100000`; with `hostile`, in the hostile world.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark says what is wrong by panicking")]

use chrono::Duration;
use nightshift_domain::policy::Policy;
use nightshift_domain::{RolloutId, Time};
use nightshift_simulation::big::Big;
use nightshift_simulation::world::World;
use nightshift_simulation::{Faults, Tape, synthetic_fleet};
use std::time::Instant;

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 5_000] } else { sizes };
    let hostile = std::env::args().any(|word| word == "hostile");
    let start: Time = "2026-03-20T12:00:00Z".parse().unwrap();
    let mut before: Option<(usize, f64)> = None;
    for vms in sizes {
        let began = Instant::now();
        let fleet = synthetic_fleet(vms, 60).unwrap();
        let (id, end) = (RolloutId::new("month").unwrap(), start + Duration::days(30));
        let outcome = if hostile {
            let mut world = World::new(1, start, &fleet, Faults::all());
            world.start(&id, Policy::default()).unwrap();
            world.run(end);
            world.outcome(1)
        } else {
            let mut world = Big::new(1, start, fleet, Faults::none(), Tape::counting());
            world.start(&id, Policy::default()).unwrap();
            world.run(end, |_| {});
            world.outcome(1)
        };
        let seconds = began.elapsed().as_secs_f64();
        let exponent =
            before.map(|(fewer, shorter)| (seconds / shorter).ln() / (vms as f64 / fewer as f64).ln());
        before = Some((vms, seconds));
        let rollout = &outcome.rollouts[0];
        println!(
            "{{\"vms\":{vms},\"state\":\"{}\",\"healthy\":{},\"missed\":{},\"nights\":{},\"events\":{},\
             \"wall_seconds\":{seconds:.2},\"exponent\":{},\"peak_memory_bytes\":{}}}",
            rollout.state,
            rollout.healthy,
            outcome.missed.len(),
            outcome.nights(),
            outcome.events,
            exponent.map_or("null".to_owned(), |exponent| format!("{exponent:.2}")),
            peak_memory()
        );
    }
}

/// VmHWM of proc(5).
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}
