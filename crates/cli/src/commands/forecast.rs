//! `nightshift forecast`: the calendar of a rollout before it starts, by the very minds that will decide it.

use super::simulate::fleet_events;
use super::{print, print_json, table};
use crate::arguments::{Forecast, Servers};
use crate::{exit, fleet_file, policy_file};
use anyhow::Context as _;
use chrono::{Duration, NaiveDate, Utc};
use nightshift_audit::Record;
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Rollout, Status};
use nightshift_domain::{Event, Fact, Mind as _, RegionName, RolloutId, Time, VmId};
use nightshift_simulation::big::{BadPatch, Big};
use nightshift_simulation::outcome::{PhaseOutcome, RolloutOutcome};
use nightshift_simulation::{Faults, Tape};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

/// What is to be expected if nothing goes wrong, and what a bad patch could do at most.
#[derive(Serialize)]
struct Expected {
    from: Time,
    deadline: Time,
    /// Whether every eligible VM is patched by the deadline.
    suffices: bool,
    /// Eligible VMs that are not, with the reason.
    late: BTreeMap<VmId, String>,
    /// VMs that the rollout leaves alone, with the reason.
    left_alone: BTreeMap<VmId, String>,
    phases: Vec<Phase>,
    /// VMs of each region by the day (UTC) on which they are ordered.
    calendar: BTreeMap<RegionName, BTreeMap<NaiveDate, u32>>,
    /// When each VM is ordered first.
    vms: BTreeMap<VmId, Time>,
}

#[derive(Serialize)]
struct Phase {
    number: u32,
    regions: Vec<RegionName>,
    vms: u32,
    from: Option<Time>,
    to: Option<Time>,
    /// VMs that a patch which breaks every machine of this phase and the later ones would reach before the halt.
    blast_radius: usize,
}

pub(crate) async fn run(wanted: &Forecast, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    let before = match &wanted.fleet {
        Some(fleet) => not_started(fleet, wanted)?,
        None => under_way(wanted, servers).await?,
    };
    let expected = expect(&before)?;
    if json {
        print_json(&expected)?;
    } else {
        show(&expected)?;
    }
    Ok(exit::DONE)
}

/// What the forecast begins with.
struct Before {
    from: Time,
    rollout: RolloutId,
    state: State,
}

enum State {
    NotStarted { fleet: Vec<Event>, policy: Box<Policy> },
    UnderWay { facts: Vec<Fact> },
}

fn not_started(fleet: &Path, wanted: &Forecast) -> anyhow::Result<Before> {
    let declared = fleet_file::read(fleet)?;
    let policy = wanted.policy.as_deref().map(|path| policy_file::read_for(path, &declared.topology));
    let policy = Box::new(policy.transpose()?.unwrap_or_default());
    let (fleet, rollout) = (fleet_events(&declared)?, RolloutId::new("forecast")?);
    let from = wanted.start.unwrap_or_else(Utc::now);
    Ok(Before { from, rollout, state: State::NotStarted { fleet, policy } })
}

async fn under_way(wanted: &Forecast, servers: &Servers) -> anyhow::Result<Before> {
    let records = match &wanted.log {
        Some(path) => nightshift_audit::file::read(BufReader::new(
            File::open(path).with_context(|| path.display().to_string())?,
        ))
        .with_context(|| path.display().to_string())?,
        None => crate::audit::read(servers).await?,
    };
    let fact = |Record { partition, at, event, .. }: Record| Fact { partition, at, event };
    let mut facts: Vec<Fact> = records.into_iter().map(fact).collect();
    // Within a partition the order stays; across partitions nothing is stamped before what it rests on.
    facts.sort_by_key(|fact| fact.at);
    let newest = facts.last().map(|fact| fact.at);
    let mut planner = Planner::default();
    facts.iter().for_each(|fact| planner.apply(fact));
    let open = |rollout: &Rollout| !matches!(rollout.status, Status::Completed { .. });
    let rollout = match &wanted.rollout {
        Some(name) => {
            let known = RolloutId::new(name.clone())?;
            let rollout = planner.rollouts.get(&known).with_context(|| format!("no rollout \"{name}\""))?;
            anyhow::ensure!(open(rollout), "rollout \"{name}\" is completed: nothing of it is to come");
            known
        }
        None => {
            let rollouts = planner.rollouts.iter().filter(|(_, rollout)| open(rollout));
            let newest = rollouts.max_by_key(|(_, rollout)| rollout.requested);
            let none = "no rollout is under way; --fleet FILE forecasts one that has not started";
            newest.map(|(id, _)| id.clone()).context(none)?
        }
    };
    // A log that ended long ago is looked at as of its end; a live one as of now.
    let from = match (&wanted.log, newest) {
        (Some(_), Some(newest)) => newest,
        _ => newest.map_or_else(Utc::now, |newest| newest.max(Utc::now())),
    };
    Ok(Before { from, rollout, state: State::UnderWay { facts } })
}

fn world(before: &Before, bad_patch: Option<BadPatch>) -> anyhow::Result<Big> {
    let mut world = match &before.state {
        State::NotStarted { fleet, policy } => {
            let tape = Tape::counting();
            let world = Big::new(0, before.from, fleet.clone(), Faults::none(), tape);
            let mut world = world.remembering_vms().with_bad_patch(bad_patch);
            world.start(&before.rollout, (**policy).clone())?;
            world
        }
        State::UnderWay { facts } => {
            Big::continuing(0, before.from, facts).remembering_vms().with_bad_patch(bad_patch)
        }
    };
    let rollout = world.planner().rollouts.get(&before.rollout);
    let until = rollout.map_or(before.from, Rollout::deadline) + Duration::days(2);
    world.run(until, |_| {});
    Ok(world)
}

fn expect(before: &Before) -> anyhow::Result<Expected> {
    let good = world(before, None)?;
    let outcome = of_rollout(&good, before)?;
    let planner = good.planner();
    let rollout = planner.rollouts.get(&before.rollout);
    let deadline = rollout.map_or(before.from, Rollout::deadline);
    let began = match &before.state {
        State::NotStarted { .. } => BTreeMap::new(),
        State::UnderWay { facts } => ordered_so_far(facts, &before.rollout),
    };
    let none = BTreeSet::new();
    let ordered = |region: &RegionName| began.get(region).unwrap_or(&none);
    let mut left_alone = BTreeMap::new();
    let mut late = BTreeMap::new();
    for vm in planner.fleet.vms.values() {
        if let Some(refusal) = planner.fleet.ineligible(vm) {
            left_alone.insert(vm.id.clone(), refusal.sentence);
        } else if !good.first_orders().contains_key(&vm.id) && !ordered(&vm.region).contains(&vm.id) {
            let left = outcome.left.get(&vm.id).cloned();
            let why = left.unwrap_or_else(|| "its turn does not come before the deadline".to_owned());
            late.insert(vm.id.clone(), why);
        }
    }
    let mut phases = Vec::new();
    for phase in outcome.phases {
        let so_far = |phase: &PhaseOutcome| -> usize {
            phase.regions.iter().map(|region| ordered(region).len()).sum()
        };
        // What is patched already is patched: a bad patch reaches those that come after this moment.
        let bad = BadPatch { percent: 100, from_phase: phase.number };
        let reached = of_rollout(&world(before, Some(bad))?, before)?.phases;
        let reached = reached.iter().filter(|other| other.number >= phase.number);
        let reached = reached.map(|phase| (phase.ordered as usize).saturating_sub(so_far(phase))).sum();
        phases.push(Phase {
            number: phase.number,
            regions: phase.regions,
            vms: phase.vms,
            from: phase.started,
            to: phase.ended,
            blast_radius: reached,
        });
    }
    let vms = good.first_orders().clone();
    let calendar = good.outcome(0).calendar;
    let from = before.from;
    Ok(Expected { from, deadline, suffices: late.is_empty(), late, left_alone, phases, calendar, vms })
}

fn of_rollout(world: &Big, before: &Before) -> anyhow::Result<RolloutOutcome> {
    let mut rollouts = world.outcome(0).rollouts.into_iter();
    let found = rollouts.find(|rollout| rollout.rollout == before.rollout);
    found.with_context(|| format!("rollout \"{}\" is not known", before.rollout))
}

/// VMs of each region that the rollout ordered already.
fn ordered_so_far(facts: &[Fact], rollout: &RolloutId) -> BTreeMap<RegionName, BTreeSet<VmId>> {
    let mut vms: BTreeMap<RegionName, BTreeSet<VmId>> = BTreeMap::new();
    for fact in facts {
        if let (Some(region), Event::OrderPlaced { order }) = (fact.region(), &fact.event)
            && order.rollout == *rollout
        {
            vms.entry(region.clone()).or_default().insert(order.vm.clone());
        }
    }
    vms
}

fn show(expected: &Expected) -> anyhow::Result<()> {
    let mut rows = table(&["PHASE", "REGION", "NIGHT", "VMS", "BAD PATCH REACHES AT MOST"]);
    for phase in &expected.phases {
        for region in &phase.regions {
            for (day, count) in expected.calendar.get(region).into_iter().flatten() {
                rows.add_row([
                    phase.number.to_string(),
                    region.to_string(),
                    day.to_string(),
                    count.to_string(),
                    phase.blast_radius.to_string(),
                ]);
            }
        }
    }
    print(rows)?;
    let last = expected.phases.iter().filter_map(|phase| phase.to).max();
    let last = last.map(|at| at.format("%F").to_string()).unwrap_or_default();
    let deadline = expected.deadline.format("%F");
    print(match expected.late.len() {
        0 => format!("every eligible VM is patched by {last}; the deadline is {deadline}"),
        late => format!("{late} VMs are not patched by the deadline, {deadline}:"),
    })?;
    for (vm, why) in &expected.late {
        print(format_args!("  {vm}: {why}"))?;
    }
    print(format_args!("{} VMs are left alone", expected.left_alone.len()))
}
