//! health-monitor owns the verdicts: signals in; confirmed, failed or unknown out.

mod prometheus;
mod reports;
mod service;

use futures::StreamExt as _;
use nightshift_domain::RegionName;
use nightshift_domain::monitor::Monitor;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Host, Service, Signals};
use prometheus::Prometheus;
use reports::Reports;
use serde::Deserialize;
use std::collections::BTreeSet;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The service's name, with which it signs its events.
pub const NAME: &str = "health-monitor";

/// What only this service is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The regions whose verdicts are this instance's; all if absent. Two instances that share a region do no harm.
    pub regions: Option<BTreeSet<RegionName>>,
    /// Where Prometheus answers the policies' queries, for example `http://127.0.0.1:9090`. Without it they are never
    /// answered, and what waits for them is never confirmed.
    pub prometheus: Option<String>,
}

/// Signals that are told to the mind together.
const SIGNALS_AT_ONCE: usize = 1_024;

/// Starts the mind, listens to signals, asks Prometheus, and offers its gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let Settings { regions, prometheus } = context.settings;
    let prometheus = prometheus.as_deref().map(Prometheus::new).transpose()?;
    let mut tasks = JoinSet::new();
    let mine = regions.clone();
    let setup = Setup {
        name: NAME,
        mind: |kept: Option<Monitor>| kept.unwrap_or_default().of(mine),
        dress: None,
        log: context.log,
        clock: context.clock.clone(),
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown.clone(),
    };
    let host = host::start(setup, &mut tasks).await?;
    tasks.spawn(listen(context.signals.clone(), regions.clone(), host.clone(), context.shutdown.clone()));
    let reports = Reports::new(host.clone(), context.clock.clone(), context.signals.clone());
    tasks.spawn(reports.clone().listen(context.signals, regions, context.shutdown.clone()));
    if let Some(prometheus) = prometheus {
        tasks.spawn(prometheus.ask_for_ever(host.clone(), context.clock, context.shutdown));
    }
    Ok(Service { routes: service::routes(host, reports), tasks })
}

async fn listen(
    signals: Signals,
    regions: Option<BTreeSet<RegionName>>,
    host: Host<Monitor>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut heard = signals.listen(regions.as_ref()).await?.ready_chunks(SIGNALS_AT_ONCE);
    host.tell(|monitor, now| monitor.listen(now)).await?;
    loop {
        let together = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            together = heard.next() => together,
        };
        let Some(together) = together else { anyhow::bail!("the signals ended") };
        let hear = move |monitor: &mut Monitor, now| {
            for signal in together {
                monitor.hear(signal, now);
            }
        };
        if host.tell(hear).await.is_err() {
            return Ok(());
        }
    }
}
