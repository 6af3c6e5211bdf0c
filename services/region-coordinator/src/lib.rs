//! region-coordinator owns the runs of its regions: stages, steps, batches, windows, orders.

mod service;

use anyhow::Context as _;
use nightshift_domain::RegionName;
use nightshift_domain::coordinator::Coordinator;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Service};
use nightshift_trust::{OrderKey, TrustedKeys};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// The service's name, with which it signs its events.
pub const NAME: &str = "region-coordinator";

/// What only this service is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The regions that this instance coordinates; all if absent. Two instances that share a region do no harm.
    pub regions: Option<BTreeSet<RegionName>>,
    /// The key that signs orders: an Ed25519 key, PKCS #8 in PEM, mode 0600. Absent: `order-key.pem` in the data folder,
    /// which is made when it is not there.
    pub order_key: Option<PathBuf>,
    /// Public keys, in PEM, that new agents are to trust beside this instance's own: before a key is replaced, the next
    /// one; while it is, the former one.
    pub also_trusted: Option<PathBuf>,
}

/// Starts the mind and offers its gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let mut tasks = JoinSet::new();
    let settings = context.settings;
    let key = order_key(settings.order_key.as_deref(), &context.data)?;
    let order_keys = trusted(&key, settings.also_trusted.as_deref())?;
    let mine = settings.regions;
    let setup = Setup {
        name: NAME,
        mind: |kept: Option<Coordinator>| kept.unwrap_or_default().of(mine),
        // An order is signed before it is a fact: who reads it from the log can check whose word it is.
        dress: Some(Box::new(move |event| key.dress(event))),
        log: context.log,
        clock: context.clock,
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown,
    };
    let host = host::start(setup, &mut tasks).await?;
    Ok(Service { routes: service::routes(host, order_keys), tasks })
}

/// A key that is configured must be there: made in its place, a new one would be trusted by nobody.
fn order_key(configured: Option<&Path>, data: &Path) -> anyhow::Result<OrderKey> {
    if let Some(path) = configured {
        return OrderKey::read(path).context("service.order_key");
    }
    fs::create_dir_all(data).with_context(|| format!("data = {}", data.display()))?;
    Ok(OrderKey::open(&data.join("order-key.pem"))?)
}

fn trusted(key: &OrderKey, also: Option<&Path>) -> anyhow::Result<String> {
    let mut keys = key.public_pem();
    if let Some(path) = also {
        let of_file = || format!("service.also_trusted = \"{}\"", path.display());
        let text = fs::read_to_string(path).with_context(of_file)?;
        TrustedKeys::parse(&text).with_context(of_file)?;
        keys.push_str(&text);
    }
    Ok(keys)
}
