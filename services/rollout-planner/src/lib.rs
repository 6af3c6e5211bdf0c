//! rollout-planner owns the fleet and the rollouts: phases, turns, gates.

mod service;

use nightshift_domain::planner::Planner;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Service};
use serde::Deserialize;
use tokio::task::JoinSet;

/// The service's name, with which it signs its events.
pub const NAME: &str = "rollout-planner";

/// What only this service is told: nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// Starts the mind and offers its gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let mut tasks = JoinSet::new();
    let setup = Setup {
        name: NAME,
        mind: Option::<Planner>::unwrap_or_default,
        dress: None,
        log: context.log,
        clock: context.clock,
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown,
    };
    let host = host::start(setup, &mut tasks).await?;
    Ok(Service { routes: service::routes(host), tasks })
}
