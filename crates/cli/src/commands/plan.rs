//! `nightshift plan`: which regions go in which phase, and how each is cut into stages, steps and batches.

use super::simulate::fleet_events;
use crate::arguments::Plan;
use crate::failure::Failure;
use crate::output::{Format, print, table};
use crate::{exit, fleet_file, policy_file};
use nightshift_domain::fleet::Fleet;
use nightshift_domain::layout::{Member, stages};
use nightshift_domain::plan::plan;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Fact, Partition, RegionName, Time};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Phase {
    number: u32,
    vms: u32,
    /// Of the fleet's eligible VMs, touched when the phase ends.
    percent_touched: u32,
    regions: Vec<Region>,
}

#[derive(Serialize)]
struct Region {
    region: RegionName,
    vms: u32,
    why: String,
    stages: Vec<Stage>,
}

#[derive(Serialize)]
struct Stage {
    stage: String,
    vms: usize,
    /// Sequences of steps that run side by side.
    lanes: usize,
    steps: usize,
    /// VMs in flight at once, at most.
    at_once: usize,
}

pub(crate) fn run(wanted: &Plan, output: Format) -> anyhow::Result<ExitCode> {
    let declared = fleet_file::read(&wanted.fleet)?;
    let policy = wanted.policy.as_deref().map(|path| policy_file::read_for(path, &declared.topology));
    let policy = policy.transpose()?.unwrap_or_default();
    let mut fleet = Fleet::default();
    for event in fleet_events(&declared)? {
        fleet.apply(&Fact { partition: Partition::Fleet, at: Time::UNIX_EPOCH, event });
    }
    let phases = phases(&fleet, &policy);
    if phases.is_empty() {
        let fleet = wanted.fleet.display();
        return Err(Failure::new(exit::REFUSED, format!("{fleet}: no VM of the fleet is eligible"))
            .next(format!("nightshift forecast --fleet {fleet}   (each VM's reason)"))
            .into());
    }
    if output.is_for_programs() {
        output.print(&phases)?;
        return Ok(exit::DONE);
    }
    let mut rows = table(&["PHASE", "REGION", "VMS", "STAGES", "STEPS", "AT ONCE", "WHY"]);
    for phase in &phases {
        for region in &phase.regions {
            rows.add_row([
                phase.number.to_string(),
                region.region.to_string(),
                region.vms.to_string(),
                region.stages.len().to_string(),
                region.stages.iter().map(|stage| stage.steps).sum::<usize>().to_string(),
                region.stages.iter().map(|stage| stage.at_once).max().unwrap_or(0).to_string(),
                region.why.clone(),
            ]);
        }
    }
    print(rows)?;
    Ok(exit::DONE)
}

fn phases(fleet: &Fleet, policy: &Policy) -> Vec<Phase> {
    let planned = plan(fleet, &policy.phase_shares, &policy.canaries);
    let total: u32 = planned.iter().flat_map(|phase| &phase.regions).map(|region| region.vms).sum();
    let mut touched = 0;
    let mut phases = Vec::new();
    for (number, phase) in (1..).zip(planned) {
        let vms: u32 = phase.regions.iter().map(|region| region.vms).sum();
        touched += vms;
        let regions = phase.regions.into_iter().map(|planned| Region {
            stages: layout(fleet, &planned.region, policy),
            region: planned.region,
            vms: planned.vms,
            why: planned.why,
        });
        let percent_touched = touched * 100 / total.max(1);
        phases.push(Phase { number, vms, percent_touched, regions: regions.collect() });
    }
    phases
}

fn layout(fleet: &Fleet, region: &RegionName, policy: &Policy) -> Vec<Stage> {
    let eligible = fleet.vms.values().filter(|vm| vm.region == *region && fleet.ineligible(vm).is_none());
    let members: Vec<Member> = eligible.filter_map(|vm| Member::of(vm, fleet)).collect();
    let cut = stages(&members, policy.batch_percent);
    cut.iter()
        .map(|stage| Stage {
            stage: stage.key.to_string(),
            vms: stage.vms().count(),
            lanes: stage.lanes.len(),
            steps: stage.lanes.iter().map(Vec::len).sum(),
            at_once: stage
                .lanes
                .iter()
                .map(|lane| lane.iter().map(|step| step.at_once).max().unwrap_or(0))
                .sum(),
        })
        .collect()
}
