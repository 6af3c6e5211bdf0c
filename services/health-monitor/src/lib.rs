//! health-monitor owns the verdicts: signals in; confirmed, failed or unknown out.

mod service;

use futures::StreamExt as _;
use nightshift_domain::monitor::Monitor;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Host, Service, Signals};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The service's name, with which it signs its events.
pub const NAME: &str = "health-monitor";

/// What only this service is told: nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// Signals that are told to the mind together.
const SIGNALS_AT_ONCE: usize = 256;

/// Starts the mind, listens to signals, and offers its gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let mut tasks = JoinSet::new();
    let setup = Setup {
        name: NAME,
        mind: Option::<Monitor>::unwrap_or_default,
        dress: None,
        log: context.log,
        clock: context.clock,
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown.clone(),
    };
    let host = host::start(setup, &mut tasks).await?;
    tasks.spawn(listen(context.signals, host.clone(), context.shutdown));
    Ok(Service { routes: service::routes(host), tasks })
}

async fn listen(signals: Signals, host: Host<Monitor>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut heard = signals.listen().await?.ready_chunks(SIGNALS_AT_ONCE);
    host.tell(|monitor, now| monitor.listen(now)).await?;
    loop {
        let together = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            together = heard.next() => together,
        };
        let Some(together) = together else { anyhow::bail!("the signals ended") };
        let told =
            host.tell(move |monitor, _| together.into_iter().for_each(|signal| monitor.hear(signal))).await;
        if told.is_err() {
            return Ok(());
        }
    }
}
