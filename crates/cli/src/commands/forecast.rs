//! `nightshift forecast`: the calendar of a rollout before it starts, by the very minds that will decide it.

use super::simulate::fleet_events;
use crate::arguments::{Forecast, Servers};
use crate::failure::Failure;
use crate::output::{Format, print, table};
use crate::{exit, fleet_file, policy_file};
use anyhow::Context as _;
use chrono::Utc;
use nightshift_audit::Record;
use nightshift_domain::planner::Planner;
use nightshift_domain::rollout::{Rollout, Status};
use nightshift_domain::{Fact, Mind as _, RolloutId};
use nightshift_simulation::forecast::{Before, Expectation, State, forecast};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

pub(crate) async fn run(wanted: &Forecast, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let before = match &wanted.fleet {
        Some(fleet) => not_started(fleet, wanted)?,
        None => under_way(wanted, servers).await?,
    };
    let expected = forecast(&before)?;
    if output.is_for_programs() {
        output.print(&expected)?;
    } else {
        show(&expected)?;
    }
    Ok(exit::DONE)
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
            let rollout = planner.rollouts.get(&known).ok_or_else(|| {
                Failure::new(exit::NOT_FOUND, format!("no rollout \"{name}\""))
                    .next("nightshift rollout list")
            })?;
            if !open(rollout) {
                let over = format!("rollout \"{name}\" is completed: nothing of it is to come");
                return Err(Failure::new(exit::REFUSED, over)
                    .next(format!("nightshift rollout show {name}"))
                    .into());
            }
            known
        }
        None => {
            let rollouts = planner.rollouts.iter();
            let rollouts = rollouts.filter(|(_, rollout)| open(rollout) && rollout.on_demand.is_none());
            let newest = rollouts.max_by_key(|(_, rollout)| rollout.requested);
            let none = || {
                Failure::new(
                    exit::NOT_FOUND,
                    "no rollout is under way; --fleet FILE forecasts one that has not started",
                )
                .next("nightshift forecast --fleet FILE")
            };
            newest.map(|(id, _)| id.clone()).ok_or_else(none)?
        }
    };
    // A log that ended long ago is looked at as of its end; a live one as of now.
    let from = match (&wanted.log, newest) {
        (Some(_), Some(newest)) => newest,
        _ => newest.map_or_else(Utc::now, |newest| newest.max(Utc::now())),
    };
    Ok(Before { from, rollout, state: State::UnderWay { facts } })
}

fn show(expected: &Expectation) -> anyhow::Result<()> {
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
