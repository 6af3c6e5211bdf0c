//! Reports by others: load balancers, hypervisors, monitoring. By gRPC or over NATS, they become signals like any other.

use futures::StreamExt as _;
use nightshift_domain::health::{Signal, Source};
use nightshift_domain::monitor::Monitor;
use nightshift_domain::{RegionName, SourceName, Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use nightshift_runtime::{Clock, CommandError, Host, Signals};
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// Characters of an ailment.
const LONGEST: usize = 500;
/// A report that claims to be newer than that is refused.
const SKEW: chrono::Duration = chrono::Duration::minutes(1);

#[derive(Clone)]
pub(crate) struct Reports {
    host: Host<Monitor>,
    clock: Clock,
    signals: Signals,
}

impl Reports {
    pub(crate) fn new(host: Host<Monitor>, clock: Clock, signals: Signals) -> Self {
        Self { host, clock, signals }
    }

    /// Passes reports on to the monitors of their regions, which may be other instances; gives what was wrong with the
    /// others, by their places.
    pub(crate) async fn take(
        &self,
        reports: Vec<api::Report>,
    ) -> Result<Vec<api::RefusedReport>, CommandError> {
        let now = self.clock.now();
        let read: Vec<Result<Signal, String>> = reports.into_iter().map(|report| read(report, now)).collect();
        let vms: Vec<Option<VmId>> =
            read.iter().map(|read| read.as_ref().ok().map(|signal| signal.vm.clone())).collect();
        let find = move |monitor: &Monitor, _| -> Vec<Option<RegionName>> {
            vms.iter().map(|vm| monitor.region_of(vm.as_ref()?).cloned()).collect()
        };
        let regions = self.host.look(find).await?;
        let mut refused = Vec::new();
        for ((place, read), region) in (0..).zip(read).zip(regions) {
            match (read, region) {
                (Ok(signal), Some(region)) => self.signals.send(&region, signal).await,
                (Ok(signal), None) => {
                    let why = format!("vm: \"{}\" is not in the fleet", signal.vm);
                    refused.push(api::RefusedReport { place, why });
                }
                (Err(why), _) => refused.push(api::RefusedReport { place, why }),
            }
        }
        Ok(refused)
    }

    /// Hears what is reported over NATS.
    pub(crate) async fn listen(
        self,
        signals: Signals,
        regions: Option<BTreeSet<RegionName>>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut heard = signals.listen_to_reports(regions.as_ref()).await?;
        loop {
            let report = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                report = heard.next() => report,
            };
            let Some(report) = report else { anyhow::bail!("the reports ended") };
            match read(report, self.clock.now()) {
                Ok(signal) => {
                    let hear = move |monitor: &mut Monitor, now| {
                        monitor.hear(signal, now);
                    };
                    if self.host.tell(hear).await.is_err() {
                        return Ok(());
                    }
                }
                Err(why) => tracing::warn!(why, "a report was passed over"),
            }
        }
    }
}

fn read(report: api::Report, now: Time) -> Result<Signal, String> {
    let vm = VmId::new(report.vm).map_err(|error| format!("vm: {error}"))?;
    let source = SourceName::new(report.source).map_err(|error| format!("source: {error}"))?;
    let at = match report.at {
        None => now,
        at => time(at, "at").map_err(|error| error.to_string())?,
    };
    if at > now + SKEW {
        return Err(format!("at: {at} is in the future; it is {now}"));
    }
    let ailment = report.ailment.map(|ailment| ailment.chars().take(LONGEST).collect::<String>());
    if ailment.as_ref().is_some_and(String::is_empty) {
        return Err("ailment: \"\": say what ails it, or leave it out if the VM is well".into());
    }
    Ok(Signal::of(Source::Report(source), vm, at, ailment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_protocol::convert::timestamp;

    #[test]
    fn a_report_is_a_signal_or_is_told_what_is_wrong_with_it() {
        let now: Time = "2026-01-13T22:00:00Z".parse().unwrap();
        let good = api::Report { vm: "vm-1".into(), source: "lb".into(), at: None, ailment: None };
        assert_eq!(read(good.clone(), now).unwrap().at, now);
        let future = Some(timestamp(now + chrono::Duration::minutes(2)));
        let cases = [
            (api::Report { vm: "VM".into(), ..good.clone() }, "VM \"VM\""),
            (api::Report { source: String::new(), ..good.clone() }, "source \"\""),
            (api::Report { at: future, ..good.clone() }, "in the future"),
            (api::Report { ailment: Some(String::new()), ..good }, "ailment"),
        ];
        for (report, clue) in cases {
            let error = read(report, now).unwrap_err();
            assert!(error.contains(clue), "{error}");
        }
    }
}
