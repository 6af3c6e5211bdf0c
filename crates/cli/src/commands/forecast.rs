//! `nightshift forecast`: the calendar of a rollout before it starts, by the very minds that will decide it.

use super::simulate::fleet_events;
use super::{print, print_json, table};
use crate::arguments::Forecast;
use crate::{exit, fleet_file, policy_file};
use chrono::{Duration, NaiveDate, Utc};
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, RegionName, RolloutId, Time, VmId};
use nightshift_simulation::big::{BadPatch, Big};
use nightshift_simulation::{Faults, Tape};
use serde::Serialize;
use std::collections::BTreeMap;
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
    blast_radius: u32,
}

pub(crate) fn run(wanted: &Forecast, json: bool) -> anyhow::Result<ExitCode> {
    let declared = fleet_file::read(&wanted.fleet)?;
    let policy = wanted.policy.as_deref().map(|path| policy_file::read_for(path, &declared.topology));
    let policy = policy.transpose()?.unwrap_or_default();
    let fleet = fleet_events(&declared)?;
    let expected = expect(&fleet, &policy, wanted.start.unwrap_or_else(Utc::now))?;
    if json {
        print_json(&expected)?;
    } else {
        show(&expected)?;
    }
    Ok(exit::DONE)
}

fn expect(fleet: &[Event], policy: &Policy, from: Time) -> anyhow::Result<Expected> {
    let id = RolloutId::new("forecast")?;
    let world = |bad_patch| -> anyhow::Result<Big> {
        let tape = Tape::counting();
        let mut world = Big::new(0, from, fleet.to_vec(), Faults::none(), tape)
            .with_bad_patch(bad_patch)
            .remembering_vms();
        world.start(&id, policy.clone())?;
        world.run(from + Duration::days(i64::from(policy.deadline_days) + 2), |_| {});
        Ok(world)
    };
    let good = world(None)?;
    let outcome = good.outcome(0);
    let rollout = good.planner().rollouts.get(&id);
    let deadline = rollout.map_or(from, nightshift_domain::rollout::Rollout::deadline);
    let planner = good.planner();
    let mut left_alone = BTreeMap::new();
    let mut late = BTreeMap::new();
    for vm in planner.fleet.vms.values() {
        if let Some(refusal) = planner.fleet.ineligible(vm) {
            left_alone.insert(vm.id.clone(), refusal.sentence);
        } else if !good.first_orders().contains_key(&vm.id) {
            let left = outcome.rollouts.iter().find_map(|rollout| rollout.left.get(&vm.id));
            let why =
                left.cloned().unwrap_or_else(|| "its turn does not come before the deadline".to_owned());
            late.insert(vm.id.clone(), why);
        }
    }
    let mut phases = Vec::new();
    for phase in outcome.rollouts.iter().flat_map(|rollout| &rollout.phases) {
        let bad = world(Some(BadPatch { percent: 100, from_phase: phase.number }))?.outcome(0);
        let reached = bad.rollouts.iter().flat_map(|rollout| &rollout.phases);
        let reached = reached.filter(|other| other.number >= phase.number).map(|other| other.ordered).sum();
        phases.push(Phase {
            number: phase.number,
            regions: phase.regions.clone(),
            vms: phase.vms,
            from: phase.started,
            to: phase.ended,
            blast_radius: reached,
        });
    }
    let vms = good.first_orders().clone();
    let calendar = outcome.calendar.clone();
    Ok(Expected { from, deadline, suffices: late.is_empty(), late, left_alone, phases, calendar, vms })
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
