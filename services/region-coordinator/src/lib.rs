//! region-coordinator owns the runs of its regions: stages, steps, batches, windows, orders.

mod service;

use nightshift_domain::RegionName;
use nightshift_domain::coordinator::Coordinator;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Service};
use serde::Deserialize;
use std::collections::BTreeSet;
use tokio::task::JoinSet;

/// The service's name, with which it signs its events.
pub const NAME: &str = "region-coordinator";

/// What only this service is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The regions that this instance coordinates; all if absent. Two instances that share a region do no harm.
    pub regions: Option<BTreeSet<RegionName>>,
}

/// Starts the mind and offers its gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let mut tasks = JoinSet::new();
    let mine = context.settings.regions;
    let setup = Setup {
        name: NAME,
        mind: |kept: Option<Coordinator>| kept.unwrap_or_default().of(mine),
        log: context.log,
        clock: context.clock,
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown,
    };
    let host = host::start(setup, &mut tasks).await?;
    Ok(Service { routes: service::routes(host), tasks })
}
