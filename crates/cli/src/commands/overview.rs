//! `nightshift overview`

use crate::arguments::{Overview, Servers};
use crate::output::{Format, print, table, toned};
use crate::{clients, exit, summary, times};
use anyhow::Context as _;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// In the order of the counts: see Cell in overview.proto.
const COUNTED: [&str; 7] = ["WAITING", "IN FLIGHT", "SOAKING", "HEALTHY", "FAILED", "SKIPPED", "DEFERRED"];

pub(crate) async fn run(wanted: Overview, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let rollout = wanted.rollout.unwrap_or_default();
    let mut console = clients::overview(servers).await?;
    if wanted.watch {
        let request = api::WatchOverviewRequest { rollout, after: String::new() };
        follow(console.watch_overview(request).await?.into_inner(), output).await?;
        return Ok(exit::DONE);
    }
    let request = api::GetOverviewRequest { rollout, at: wanted.at.map(timestamp) };
    let now = console.get_overview(request).await?.into_inner();
    if output.is_for_programs() {
        output.print(&now)?;
    } else {
        show(now.overview.context("the console sent no overview")?, &now.regions)?;
    }
    Ok(exit::DONE)
}

/// Programs are given each answer as it is; people the whole again, for what did not change is not sent again.
async fn follow(
    mut changes: tonic::Streaming<api::WatchOverviewResponse>,
    output: Format,
) -> anyhow::Result<()> {
    let mut regions: BTreeMap<String, api::RegionOverview> = BTreeMap::new();
    while let Some(change) = changes.message().await? {
        if output.is_for_programs() {
            output.print_item(&change)?;
            continue;
        }
        if change.whole {
            regions.clear();
        }
        regions.extend(change.regions.into_iter().map(|region| (region.region.clone(), region)));
        let all: Vec<_> = regions.values().cloned().collect();
        show(change.overview.context("the console sent no overview")?, &all)?;
        print("")?;
    }
    Ok(())
}

fn show(overview: api::Overview, regions: &[api::RegionOverview]) -> anyhow::Result<()> {
    let state = overview.state();
    if overview.rollout.is_empty() {
        print(format_args!("no rollout yet; {} VMs", overview.vms))?;
    } else {
        let at = times::minute(overview.as_of);
        print(format_args!("rollout {}: {}   {at} UTC", overview.rollout, summary::painted(state)))?;
    }
    if !overview.why.is_empty() {
        print(format_args!("  {} {}", overview.halted_region, overview.why))?;
    }
    let mut rows = table(&[["PHASE", "REGION", "STATE"].as_slice(), &COUNTED].concat());
    for phase in &overview.phases {
        for name in &phase.regions {
            let region = regions.iter().find(|region| region.region == *name);
            let counts = region.map(|region| region.counts.clone()).unwrap_or_default();
            let turn = region.is_some_and(|region| region.turn);
            let state = if turn { "has its turn" } else { summary::phase_state(phase.state()) };
            let mut row = vec![toned(None, phase.number), toned(None, name), toned(None, state)];
            row.extend((0..COUNTED.len()).map(|place| {
                let count = counts.get(place).copied().unwrap_or(0);
                toned(summary::count_tone(COUNTED[place], count), count)
            }));
            rows.add_row(row);
        }
    }
    if !overview.phases.is_empty() {
        print(rows)?;
    }
    for phase in overview.phases.iter().filter(|phase| phase.approval_needed) {
        print(format_args!(
            "phase {} waits for a person: nightshift rollout approve {} {}",
            phase.number, overview.rollout, phase.number
        ))?;
    }
    show_installs(&overview)?;
    if let Some(next) = overview.next {
        print(format_args!("the next rollout starts {} UTC", times::minute(Some(next))))?;
    }
    Ok(())
}

/// What people have installed on single VMs beside it.
fn show_installs(overview: &api::Overview) -> anyhow::Result<()> {
    if overview.installs.is_empty() {
        return Ok(());
    }
    let mut rows = table(&["ON DEMAND", "REGION", "STATE", "BY", "BEGINS BY (UTC)", "WHY"]);
    for install in &overview.installs {
        let (progress, state) = (install.progress(), install.state());
        let by = install.actor.as_ref().map(|actor| actor.name.as_str()).unwrap_or_default();
        // What has begun has kept to it.
        let waits = progress == api::VmProgress::Waiting;
        let begins_by = if waits { times::minute(install.not_after) } else { String::new() };
        let mut row = vec![toned(None, &install.vm), toned(None, &install.region)];
        row.push(match state {
            api::RolloutState::Running => {
                toned(summary::progress_tone(progress), summary::progress(progress))
            }
            stopped => {
                let both = format!("{}, {}", summary::progress(progress), summary::state(stopped));
                toned(summary::tone(stopped), both)
            }
        });
        row.extend([toned(None, by), toned(None, begins_by), toned(None, why(install))]);
        rows.add_row(row);
    }
    print(rows)?;
    let more = (overview.all_installs as usize).saturating_sub(overview.installs.len());
    if more > 0 {
        print(format_args!("and {more} more on demand: nightshift rollout list"))?;
    }
    Ok(())
}

fn why(install: &api::InstallOverview) -> String {
    let until = install.until.map(|at| format!(", until {} UTC", times::minute(Some(at))));
    format!("{}{}", install.why, until.unwrap_or_default())
}
