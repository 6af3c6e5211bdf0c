//! `nightshift rollout timeline`, `report` and `machines`: what was.

use crate::arguments::Servers;
use crate::color::Tone;
use crate::output::{Format, print, table, toned};
use crate::summary::{self, count_tone, progress, progress_tone};
use crate::{clients, times};
use nightshift_protocol::api::v1 as api;

/// Regions over nights.
pub(super) async fn timeline(
    servers: &Servers,
    rollout: Option<String>,
    output: Format,
) -> anyhow::Result<()> {
    let request = api::GetTimelineRequest { rollout: rollout.unwrap_or_default() };
    let timeline = clients::lookback(servers).await?.get_timeline(request).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&timeline);
    }
    print(format_args!(
        "rollout {} from {} to {} UTC",
        timeline.rollout,
        times::minute(timeline.from),
        times::minute(timeline.to)
    ))?;
    let mut rows = table(&["PHASE", "REGION", "ROUND", "TURN FROM", "TO", "ORDERED", "HEALTHY", "FAILED"]);
    for region in &timeline.regions {
        for turn in &region.turns {
            let within = |slot: &&api::Slot| is_within(slot, turn);
            let sum =
                |count: fn(&api::Slot) -> u32| region.slots.iter().filter(within).map(count).sum::<u32>();
            let (healthy, failed) = (sum(|slot| slot.healthy), sum(|slot| slot.failed));
            rows.add_row([
                toned(None, region.phase),
                toned(None, &region.region),
                toned(None, turn.round),
                toned(None, times::minute(turn.from)),
                toned(None, turn.to.map_or_else(|| "held".to_owned(), |to| times::minute(Some(to)))),
                toned(None, sum(|slot| slot.ordered)),
                toned(count_tone("HEALTHY", healthy), healthy),
                toned(count_tone("FAILED", failed), failed),
            ]);
        }
    }
    print(rows)?;
    for mark in &timeline.marks {
        print(format_args!("{}  {:<18} {}", times::minute(mark.at), mark.what, mark.sentence))?;
    }
    Ok(())
}

/// Whether an hour lies in a turn; the hour in which a turn began is its first.
fn is_within(slot: &api::Slot, turn: &api::TurnSpan) -> bool {
    let seconds = |at: Option<pbjson_types::Timestamp>| at.map(|at| at.seconds);
    let Some(hour) = seconds(slot.hour) else { return false };
    let from = seconds(turn.from).is_none_or(|from| hour + 3_600 > from);
    from && seconds(turn.to).is_none_or(|to| hour < to)
}

/// A rollout for those who were not there.
pub(super) async fn report(servers: &Servers, rollout: Option<String>, output: Format) -> anyhow::Result<()> {
    let request = api::GetReportRequest { rollout: rollout.unwrap_or_default() };
    let report = clients::lookback(servers).await?.get_report(request).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&report);
    }
    let overview = report.overview.clone().unwrap_or_default();
    let why = if overview.why.is_empty() { String::new() } else { format!(", because {}", overview.why) };
    print(format_args!("rollout {}: {}{why}", overview.rollout, summary::painted(overview.state())))?;
    for deed in &overview.deeds {
        let actor = deed.actor.clone().unwrap_or_default();
        let about = if deed.about.is_empty() { String::new() } else { format!(" {}", deed.about) };
        print(format_args!(
            "  {}  {}{about} by {}: {}",
            times::minute(deed.at),
            deed.what,
            actor.name,
            actor.reason
        ))?;
    }
    let counted = ["HEALTHY", "FAILED", "SKIPPED", "DEFERRED"];
    let head = [["PHASE", "REGION"].as_slice(), &counted, &["FIRST ORDER", "LAST SETTLED"]].concat();
    let mut rows = table(&head);
    for region in &report.regions {
        let tally = region.tally.unwrap_or_default();
        let counts = [tally.healthy, tally.failed, tally.skipped, tally.deferred];
        let mut row = vec![toned(None, region.phase), toned(None, &region.region)];
        row.extend(
            counted.iter().zip(counts).map(|(heading, count)| toned(count_tone(heading, count), count)),
        );
        row.push(toned(None, times::minute(region.first_order)));
        row.push(toned(None, times::minute(region.last_settled)));
        rows.add_row(row);
    }
    print(format_args!("\n{rows}"))?;
    if !report.versions.is_empty() {
        let mut rows = table(&["INSTALLED", "VERSION", "HEALTHY", "FAILED"]);
        for version in &report.versions {
            let patch = version.patch.clone().unwrap_or_default();
            rows.add_row([
                toned(None, patch.name),
                toned(None, patch.version),
                toned(None, version.healthy),
                toned(count_tone("FAILED", version.failed), version.failed),
            ]);
        }
        print(format_args!("\n{rows}"))?;
    }
    for row in &report.exceptions {
        let standing = progress(row.progress());
        print(format_args!("{:<20} {:<16} {standing}: {}", row.vm, row.region, row.why))?;
    }
    let more = (report.all_exceptions as usize).saturating_sub(report.exceptions.len());
    if more > 0 {
        print(format_args!("and {more} more: nightshift rollout machines {}", overview.rollout))?;
    }
    Ok(())
}

/// Every machine of a rollout; of a large one, row by row as they come.
pub(super) async fn machines(
    servers: &Servers,
    rollout: Option<String>,
    output: Format,
) -> anyhow::Result<()> {
    let request = api::ListReportRowsRequest { rollout: rollout.unwrap_or_default() };
    let mut machines = clients::lookback(servers).await?.list_report_rows(request).await?.into_inner();
    let mut rows = table(&["VM", "REGION", "PROGRESS", "ORDERS", "SETTLED", "INSTALLED", "WHY"]);
    while let Some(machine) = machines.message().await? {
        let Some(row) = machine.row else { continue };
        if output.is_for_programs() {
            output.print_item(&row)?;
            continue;
        }
        let standing = row.progress();
        rows.add_row([
            toned(None, row.vm),
            toned(None, row.region),
            toned(progress_tone(standing), progress(standing)),
            toned(None, row.orders),
            toned(None, times::minute(row.settled_at)),
            toned(None, row.installed.len()),
            toned((standing == api::VmProgress::Failed).then_some(Tone::Bad), row.why),
        ]);
    }
    if output.is_for_programs() { Ok(()) } else { print(rows) }
}
