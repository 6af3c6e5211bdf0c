//! `nightshift forecast`: the calendar of a rollout before it starts, by the very minds that will decide it.

use super::simulate::fleet_events;
use crate::arguments::{Forecast, Servers};
use crate::failure::Failure;
use crate::output::{Format, print, table};
use crate::{exit, fleet_file, log_file, policy_file};
use chrono::Utc;
use nightshift_audit::Record;
use nightshift_domain::planner::Planner;
use nightshift_domain::rollout::{Rollout, Status};
use nightshift_domain::{Fact, Mind as _, RolloutId};
use nightshift_simulation::forecast::{Before, Expectation, State, forecast};
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
        Some(path) => log_file::read(path)?,
        None => crate::audit::read(servers).await?,
    };
    let fact = |Record { partition, at, event, .. }: Record| Fact { partition, at, event };
    let mut facts: Vec<Fact> = records.into_iter().map(fact).collect();
    // Within a partition the order stays; across partitions nothing is stamped before what it rests on.
    facts.sort_by_key(|fact| fact.at);
    let newest = facts.last().map(|fact| fact.at);
    let mut planner = Planner::default();
    facts.iter().for_each(|fact| planner.apply(fact));
    let rollout = match &wanted.rollout {
        Some(name) => {
            let known = RolloutId::new(name.clone())?;
            let rollout = planner.rollouts.get(&known).ok_or_else(|| {
                Failure::new(exit::NOT_FOUND, format!("no rollout \"{name}\""))
                    .next("nightshift rollout list")
            })?;
            if !is_open(rollout) {
                let over = format!("rollout \"{name}\" is completed: nothing of it is to come");
                return Err(Failure::new(exit::REFUSED, over)
                    .next(format!("nightshift rollout show {name}"))
                    .into());
            }
            known
        }
        None => {
            let none = || {
                Failure::new(
                    exit::NOT_FOUND,
                    "no rollout is under way; --fleet FILE forecasts one that has not started",
                )
                .next("nightshift forecast --fleet FILE")
            };
            newest_of_fleet(&planner).cloned().ok_or_else(none)?
        }
    };
    // A log that ended long ago is looked at as of its end; a live one as of now.
    let from = match (&wanted.log, newest) {
        (Some(_), Some(newest)) => newest,
        _ => newest.map_or_else(Utc::now, |newest| newest.max(Utc::now())),
    };
    Ok(Before { from, rollout, state: State::UnderWay { facts } })
}

fn is_open(rollout: &Rollout) -> bool {
    !matches!(rollout.status, Status::Completed { .. })
}

/// The fleet's newest rollout that is under way; what a person has installed on one VM meanwhile is none.
fn newest_of_fleet(planner: &Planner) -> Option<&RolloutId> {
    let rollouts = planner.rollouts.iter();
    let rollouts = rollouts.filter(|(_, rollout)| is_open(rollout) && rollout.on_demand.is_none());
    rollouts.max_by_key(|(_, rollout)| rollout.requested).map(|(id, _)| id)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "all of this is tests")]
mod tests {
    use super::*;
    use nightshift_domain::VmId;
    use nightshift_domain::on_demand::OnDemand;
    use nightshift_domain::policy::Policy;
    use nightshift_domain::rollout::{Actor, Ended};

    #[test]
    fn without_a_name_it_is_the_fleets_newest_rollout_under_way_and_no_install_on_demand() {
        let began = Utc::now();
        let mut planner = Planner::default();
        let mut ask = |name: &str, minutes: i64, on_demand: Option<&str>| {
            let at = began + chrono::Duration::minutes(minutes);
            let actor = Actor { name: "olga".into(), reason: "to see".into() };
            let on_demand = on_demand.map(|vm| OnDemand { vm: VmId::new(vm).unwrap(), not_after: at });
            let rollout = Rollout::requested(Policy::default(), actor, at).on_demand(on_demand);
            planner.rollouts.insert(RolloutId::new(name).unwrap(), rollout);
            newest_of_fleet(&planner).map(ToString::to_string)
        };
        assert_eq!(ask("urgent", 0, Some("weu-web-01")), None);
        assert_eq!(ask("monthly", 1, None).as_deref(), Some("monthly"));
        assert_eq!(ask("more-urgent", 2, Some("weu-web-02")).as_deref(), Some("monthly"));
        assert_eq!(ask("next", 3, None).as_deref(), Some("next"));
        let next = planner.rollouts.get_mut(&RolloutId::new("next").unwrap()).unwrap();
        next.status = Status::Completed { ended: Ended::Passed };
        assert_eq!(newest_of_fleet(&planner).map(RolloutId::as_str), Some("monthly"));
    }
}
