//! `nightshift simulate`: the very minds on a virtual clock.

mod harm;

use crate::arguments::Simulate;
use crate::output::{Format, print, table};
use crate::{exit, fleet_file, policy_file};
use anyhow::Context as _;
use chrono::{Duration, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, RolloutId, Time};
use nightshift_simulation::big::{BadPatch, Big};
use nightshift_simulation::world::World;
use nightshift_simulation::{Faults, Outcome, Tape, synthetic_fleet, timeline};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Up to so many VMs a world with faults is as hostile as it can be; above it, its services are of one mind.
const SMALL: usize = 10_000;
/// Above so many VMs the log is not kept, and not audited.
const AUDITED: usize = 250_000;
/// Regions of a synthetic fleet.
const REGIONS: usize = 60;
/// A synthetic fleet's rollout has as many VMs in a region as this, at least.
const VMS_PER_REGION: usize = 15;

/// What a simulation came to, for programs.
#[derive(Serialize)]
struct Summary {
    vms: usize,
    seeds: u64,
    days: i64,
    violations: usize,
    unexplained: u64,
    missed: usize,
    nights: usize,
    /// Whether the log was kept for the auditor: not of the largest fleets.
    audited: bool,
    /// Which world: `hostile`, or `fast` (one instance of each service, machines' faults only).
    world: &'static str,
    events: u64,
    wall_seconds: f64,
    peak_memory_bytes: u64,
    outcomes: Vec<Outcome>,
}

pub(crate) fn run(wanted: &Simulate, output: Format) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let faults = Faults::named(&wanted.faults).map_err(anyhow::Error::msg)?;
    let policy = wanted.policy.as_deref().map(policy_file::read).transpose()?.unwrap_or_default();
    let fleet = events(wanted)?;
    let vms = fleet.iter().filter(|event| matches!(event, Event::VmRegistered { .. })).count();
    let start = wanted.start.unwrap_or_else(Utc::now);
    if !wanted.harm.is_empty() {
        harm::run(wanted, start, &fleet, &policy, output)?;
        return Ok(exit::DONE);
    }
    let bar = progress(wanted, output);
    let outcomes = side_by_side(wanted.seed..wanted.seed + wanted.seeds, vms, |seed| {
        let outcome = one(wanted, seed, start, &fleet, &policy, faults, &bar)?;
        bar.inc(1);
        Ok(outcome)
    })?;
    bar.finish_and_clear();
    if let (Some(path), Some(first)) = (&wanted.timeline, outcomes.first()) {
        std::fs::write(path, timeline::svg(first)).with_context(|| path.display().to_string())?;
    }
    let summary = Summary {
        vms,
        seeds: wanted.seeds,
        days: wanted.days,
        violations: outcomes.iter().map(Outcome::violations).sum(),
        unexplained: outcomes.iter().map(|outcome| outcome.unexplained.count).sum(),
        missed: outcomes.iter().map(|outcome| outcome.missed.len()).sum(),
        nights: outcomes.iter().map(Outcome::nights).max().unwrap_or(0),
        audited: outcomes.iter().all(|outcome| outcome.audit.is_some()),
        world: if is_hostile(vms, wanted) { "hostile" } else { "fast" },
        events: outcomes.iter().map(|outcome| outcome.events).sum(),
        wall_seconds: began.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory(),
        outcomes,
    };
    if output.is_for_programs() {
        output.print(&summary)?;
    } else {
        print(rows(&summary))?;
        print(words(&summary))?;
    }
    let clean = summary.violations == 0 && summary.unexplained == 0;
    Ok(if clean { exit::DONE } else { ExitCode::from(exit::VIOLATED) })
}

fn is_hostile(vms: usize, wanted: &Simulate) -> bool {
    vms <= SMALL && wanted.bad_patch.is_none()
}

/// Each seed's outcome, in order; several at once where their worlds are small.
fn side_by_side<T: Send>(
    seeds: Range<u64>,
    vms: usize,
    one: impl Fn(u64) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let threads = if vms > AUDITED { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let (next, outcomes) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = one(seed);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, outcome);
        }
    };
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(work);
        });
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.into_values().collect()
}

fn one(
    wanted: &Simulate,
    seed: u64,
    start: Time,
    fleet: &[Event],
    policy: &Policy,
    faults: Faults,
    bar: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let id = RolloutId::new("simulated")?;
    let until = start + Duration::days(wanted.days);
    let vms = fleet.len();
    if is_hostile(vms, wanted) {
        let mut world = World::new(seed, start, fleet, faults);
        world.start(&id, policy.clone())?;
        world.run(until);
        keep_log(wanted, seed, world.tape())?;
        return Ok(world.outcome(seed));
    }
    let tape = if vms <= AUDITED { Tape::keeping() } else { Tape::counting() };
    let bad_patch = wanted.bad_patch.map(|percent| BadPatch { percent, from_phase: wanted.from_phase });
    let mut world = Big::new(seed, start, fleet.to_vec(), faults, tape).with_bad_patch(bad_patch);
    world.start(&id, policy.clone())?;
    world.run(until, |now| bar.set_message(now.format("%F").to_string()));
    keep_log(wanted, seed, world.tape())?;
    Ok(world.outcome(seed))
}

fn keep_log(wanted: &Simulate, seed: u64, tape: &Tape) -> anyhow::Result<()> {
    let Some(path) = wanted.log.as_deref().filter(|_| seed == wanted.seed) else { return Ok(()) };
    anyhow::ensure!(tape.is_kept(), "--log: the log of more than {AUDITED} VMs is not kept");
    crate::log_file::write(path, &tape.records().collect::<Vec<_>>())
}

/// The fleet's facts: of the file, or a synthetic one.
pub(crate) fn fleet_events(fleet: &fleet_file::DeclaredFleet) -> anyhow::Result<Vec<Event>> {
    let empty = nightshift_domain::fleet::Fleet::default();
    Ok(empty.declare(fleet.topology.clone(), &fleet.features, fleet.vms.clone())?)
}

fn events(wanted: &Simulate) -> anyhow::Result<Vec<Event>> {
    match (&wanted.fleet, wanted.vms) {
        (Some(path), _) => fleet_events(&fleet_file::read(path)?),
        (None, vms) => {
            let regions = (vms / VMS_PER_REGION).clamp(2, REGIONS);
            synthetic_fleet(vms, regions).map_err(|error| anyhow::anyhow!("{error}"))
        }
    }
}

fn progress(wanted: &Simulate, output: Format) -> ProgressBar {
    if output.is_for_programs() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(wanted.seeds);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} seed {pos} of {len}  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn rows(summary: &Summary) -> comfy_table::Table {
    let mut rows = table(&["SEED", "PHASE", "REGIONS", "VMS", "ORDERED", "FAILED", "FROM", "TO"]);
    let outcome = summary.outcomes.first();
    let phases = outcome.into_iter().flat_map(|outcome| {
        let rollouts = outcome.rollouts.iter();
        rollouts.flat_map(|rollout| rollout.phases.iter().map(|phase| (outcome.seed, phase)))
    });
    for (seed, phase) in phases {
        let day = |at: Option<Time>| at.map(|at| at.format("%F").to_string()).unwrap_or_default();
        rows.add_row([
            seed.to_string(),
            phase.number.to_string(),
            phase.regions.len().to_string(),
            phase.vms.to_string(),
            phase.ordered.to_string(),
            phase.failed.to_string(),
            day(phase.started),
            day(phase.ended),
        ]);
    }
    rows
}

fn words(summary: &Summary) -> String {
    let mut states: Vec<&str> = summary
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.rollouts.iter().map(|rollout| rollout.state))
        .collect();
    states.sort_unstable();
    states.dedup();
    let audit =
        if summary.audited { format!("{} violations", summary.violations) } else { "not audited".into() };
    format!(
        "{} VMs, {} seeds, {} nights at most, {}: {audit}, {} unexplained, {} missed; {} events in {:.1} s",
        summary.vms,
        summary.seeds,
        summary.nights,
        states.join(", "),
        summary.unexplained,
        summary.missed,
        summary.events,
        summary.wall_seconds
    )
}

/// The process's largest resident memory so far (proc(5), VmHWM); 0 where the system does not say.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
