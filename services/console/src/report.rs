//! What a rollout came to on each machine, folded from the regions' partitions: who, what versions, when, health, exceptions.

use crate::events;
use chrono::SecondsFormat;
use futures::StreamExt as _;
use nightshift_domain::event::Outcome;
use nightshift_domain::patch::PatchState;
use nightshift_domain::selection::PackageVersion;
use nightshift_domain::{Event, Fact, OrderId, Partition, RegionName, RolloutId, Time, VmId};
use nightshift_event_log::EventLog;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_protocol::events::v1 as wire;
use nightshift_protocol::words;
use nightshift_runtime::status::{damaged, unreadable};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::Status;

/// Of versions and of exceptions.
const MOST: usize = 1_000;

/// A rollout's machines.
#[derive(Default)]
pub(crate) struct Rows {
    rows: BTreeMap<(RegionName, VmId), Row>,
    orders: BTreeMap<OrderId, (RegionName, VmId)>,
}

#[derive(Default)]
struct Row {
    progress: api::VmProgress,
    why: String,
    ordered: Option<Time>,
    settled: Option<Time>,
    orders: u32,
    /// In all its orders.
    installed: Vec<PackageVersion>,
    failed: Vec<PackageVersion>,
}

/// Reads what the log says of a rollout in these regions.
pub(crate) async fn read(
    log: Arc<dyn EventLog>,
    rollout: &RolloutId,
    regions: Vec<RegionName>,
) -> Result<Rows, Status> {
    let mut rows = Rows::default();
    for region in regions {
        let partition = Partition::Region(region);
        let mut events =
            events::read(log.clone(), partition, 0, false).await.map_err(|error| unreadable(&error))?;
        while let Some(recorded) = events.next().await {
            let recorded = recorded.map_err(|error| unreadable(&error))?;
            let fact = recorded.envelope.fact().map_err(damaged)?;
            rows.apply(rollout, &fact);
        }
    }
    Ok(rows)
}

impl Rows {
    fn apply(&mut self, wanted: &RolloutId, fact: &Fact) {
        let Some(region) = fact.region() else { return };
        match &fact.event {
            Event::RunEnlisted { rollout, members } if rollout == wanted => {
                for member in members {
                    self.row(region, &member.vm).stand(api::VmProgress::Waiting, "");
                }
            }
            Event::OrderPlaced { order } if order.rollout == *wanted => {
                self.orders.insert(order.id.clone(), (region.clone(), order.vm.clone()));
                let row = self.row(region, &order.vm);
                row.stand(api::VmProgress::InFlight, "");
                row.orders += 1;
                (row.ordered, row.settled) = (Some(fact.at), None);
            }
            Event::OrderFinished { order, result, .. } => {
                let Some(row) = self.orders.get(order).and_then(|key| self.rows.get_mut(key)) else { return };
                row.stand(api::VmProgress::Soaking, "");
                for patch in &result.patches {
                    let version = PackageVersion { name: patch.name.clone(), version: patch.version.clone() };
                    match patch.state {
                        PatchState::Installed => row.installed.push(version),
                        PatchState::Failed => row.failed.push(version),
                        _ => {}
                    }
                }
            }
            Event::VmSettled { rollout, vm, outcome, .. } if rollout == wanted => {
                let row = self.row(region, vm);
                row.settled = Some(fact.at);
                match outcome {
                    Outcome::Healthy => row.stand(api::VmProgress::Healthy, ""),
                    Outcome::Failed { why } => row.stand(api::VmProgress::Failed, why),
                }
            }
            Event::VmSkipped { rollout, vm, why } if rollout == wanted => {
                self.row(region, vm).stand(api::VmProgress::Skipped, why);
            }
            Event::VmDeferred { rollout, vm, why } if rollout == wanted => {
                self.row(region, vm).stand(api::VmProgress::Deferred, why);
            }
            _ => {}
        }
    }

    fn row(&mut self, region: &RegionName, vm: &VmId) -> &mut Row {
        self.rows.entry((region.clone(), vm.clone())).or_default()
    }

    /// Every machine, by region and name.
    pub(crate) fn all(&self) -> impl Iterator<Item = api::ReportRow> {
        self.rows.iter().map(|((region, vm), row)| api::ReportRow {
            vm: vm.to_string(),
            region: region.to_string(),
            progress: row.progress.into(),
            why: row.why.clone(),
            ordered_at: row.ordered.map(timestamp),
            settled_at: row.settled.map(timestamp),
            installed: row.installed.iter().map(Into::into).collect(),
            orders: row.orders,
        })
    }

    /// What was installed, and on how many machines it is well: most machines first.
    pub(crate) fn versions(&self) -> Vec<wire::PatchTally> {
        let mut sums: BTreeMap<&PackageVersion, (u32, u32)> = BTreeMap::new();
        for row in self.rows.values() {
            let is_well = row.progress == api::VmProgress::Healthy;
            for version in &row.installed {
                let (healthy, failed) = sums.entry(version).or_default();
                *if is_well { healthy } else { failed } += 1;
            }
            row.failed.iter().for_each(|version| sums.entry(version).or_default().1 += 1);
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(version, (healthy, failed))| (std::cmp::Reverse(healthy + failed), *version));
        let tally = |(version, (healthy, failed)): (&PackageVersion, (u32, u32))| wire::PatchTally {
            patch: Some(version.into()),
            healthy,
            failed,
        };
        sums.into_iter().take(MOST).map(tally).collect()
    }

    /// Machines that did not end healthy, and how many they are.
    pub(crate) fn exceptions(&self) -> (Vec<api::ReportRow>, u32) {
        let is_one = |row: &api::ReportRow| {
            use api::VmProgress::{Deferred, Failed, Skipped};
            matches!(row.progress(), Failed | Skipped | Deferred)
        };
        let all: Vec<api::ReportRow> = self.all().filter(is_one).collect();
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        (all.into_iter().take(MOST).collect(), count)
    }

    /// What a region came to, and from when to when.
    pub(crate) fn region(&self, name: &RegionName, phase: u32) -> api::RegionReport {
        let mut report = api::RegionReport { region: name.to_string(), phase, ..Default::default() };
        let mut tally = wire::Tally::default();
        let (mut first, mut last) = (None::<Time>, None::<Time>);
        for (_, row) in self.rows.iter().filter(|((region, _), _)| region == name) {
            match row.progress {
                api::VmProgress::Healthy => tally.healthy += 1,
                api::VmProgress::Failed => tally.failed += 1,
                api::VmProgress::Skipped => tally.skipped += 1,
                api::VmProgress::Deferred => tally.deferred += 1,
                _ => {}
            }
            first = [first, row.ordered].into_iter().flatten().min();
            last = last.max(row.settled);
        }
        report.tally = Some(tally);
        (report.first_order, report.last_settled) = (first.map(timestamp), last.map(timestamp));
        report
    }

    /// As a table for spreadsheets (RFC 4180).
    pub(crate) fn csv(&self) -> String {
        let mut text = "region,vm,state,why,orders,ordered_at,settled_at,installed\r\n".to_owned();
        let at = |time: Option<Time>| {
            time.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
        };
        for ((region, vm), row) in &self.rows {
            let installed: Vec<String> =
                row.installed.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
            let fields = [
                region.to_string(),
                vm.to_string(),
                words::progress(row.progress).unwrap_or_default().to_owned(),
                row.why.clone(),
                row.orders.to_string(),
                at(row.ordered),
                at(row.settled),
                installed.join("; "),
            ];
            text.push_str(&fields.map(|field| quoted(&field)).join(","));
            text.push_str("\r\n");
        }
        text
    }
}

impl Row {
    fn stand(&mut self, progress: api::VmProgress, why: &str) {
        self.progress = progress;
        why.clone_into(&mut self.why);
    }
}

/// A spreadsheet takes a text that begins like a formula for one (OWASP, "CSV Injection"): an apostrophe before it stops that.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if field.contains(['"', ',', '\n', '\r']) || !guard.is_empty() {
        format!("\"{guard}{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;

    #[test]
    fn what_one_machine_came_to_is_a_row_and_others_are_not_in_it() {
        let (rollout, region) = (RolloutId::new("r").unwrap(), RegionName::new("here").unwrap());
        let vm = |name: &str| VmId::new(name).unwrap();
        let skipped = |rollout: &str, name: &str| Event::VmSkipped {
            rollout: RolloutId::new(rollout).unwrap(),
            vm: vm(name),
            why: "it was ill, \"very\"".into(),
        };
        let mut rows = Rows::default();
        for event in [skipped("r", "one"), skipped("other", "two")] {
            let at = "2026-01-13T21:00:00Z".parse().unwrap();
            rows.apply(&rollout, &Fact { partition: Partition::Region(region.clone()), at, event });
        }
        assert_eq!(
            rows.csv(),
            "region,vm,state,why,orders,ordered_at,settled_at,installed\r\n\
             here,one,skipped,\"it was ill, \"\"very\"\"\",0,,,\r\n"
        );
        assert_eq!(rows.exceptions().1, 1);
        assert_eq!(rows.region(&region, 1).tally.unwrap().skipped, 1);
    }

    #[test]
    fn no_text_becomes_a_formula() {
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
