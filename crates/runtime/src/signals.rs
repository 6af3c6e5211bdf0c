//! Signals on machines' health: many, small, may be lost. On core NATS, or within the process.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use nightshift_domain::RegionName;
use nightshift_domain::health::Signal;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use prost::Message as _;
use std::collections::BTreeSet;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// Signals as the services send them, in protobuf: `nightshift.signals.v1.<region>.<vm>`.
const SUBJECT: &str = "nightshift.signals.v1";

/// Reports of others, in JSON: `nightshift.reports.v1.<region>` (docs/health.md). Who may publish here can report, and can
/// say nothing in an agent's name.
const REPORTS: &str = "nightshift.reports.v1";

/// How many signals a slow listener may lag behind before it loses the oldest.
const IN_PROCESS_CAPACITY: usize = 16_384;

/// Where signals are sent and heard.
#[derive(Clone)]
pub struct Signals(Kind);

#[derive(Clone)]
enum Kind {
    InProcess(broadcast::Sender<(RegionName, Signal)>),
    Nats(async_nats::Client),
}

impl Signals {
    /// Within this process.
    pub fn in_process() -> Self {
        Self(Kind::InProcess(broadcast::channel(IN_PROCESS_CAPACITY).0))
    }

    /// On core NATS.
    pub fn over_nats(client: async_nats::Client) -> Self {
        Self(Kind::Nats(client))
    }

    /// Sends a signal; it may be lost.
    pub async fn send(&self, region: &RegionName, signal: Signal) {
        match &self.0 {
            // Nobody listens yet: that is what "may be lost" means.
            Kind::InProcess(sender) => drop(sender.send((region.clone(), signal))),
            Kind::Nats(client) => {
                let subject = format!("{SUBJECT}.{region}.{}", signal.vm);
                let payload = wire::Signal::from(&signal).encode_to_vec();
                if let Err(error) = client.publish(subject, payload.into()).await {
                    tracing::debug!(%error, "a signal was lost");
                }
            }
        }
    }

    /// Every signal of these regions from now on, of all if absent. One that cannot be read is passed over with a warning.
    pub async fn listen(
        &self,
        regions: Option<&BTreeSet<RegionName>>,
    ) -> anyhow::Result<BoxStream<'static, Signal>> {
        match &self.0 {
            Kind::InProcess(sender) => {
                let signals = BroadcastStream::new(sender.subscribe()).filter_map(async |signal| signal.ok());
                let regions = regions.cloned();
                let is_of_one =
                    move |region: &RegionName| regions.as_ref().is_none_or(|r| r.contains(region));
                let signals = signals.filter_map(move |(region, signal)| {
                    std::future::ready(is_of_one(&region).then_some(signal))
                });
                Ok(signals.boxed())
            }
            Kind::Nats(client) => {
                let mut subscriptions = Vec::new();
                for subject in subjects(SUBJECT, regions, ".*") {
                    subscriptions.push(client.subscribe(subject).await?);
                }
                let messages = stream::select_all(subscriptions);
                Ok(messages.filter_map(async |message| decode(&message)).boxed())
            }
        }
    }

    /// Every report of others on these regions' VMs from now on. Within a process there is no other way than gRPC.
    pub async fn listen_to_reports(
        &self,
        regions: Option<&BTreeSet<RegionName>>,
    ) -> anyhow::Result<BoxStream<'static, api::Report>> {
        let Kind::Nats(client) = &self.0 else { return Ok(stream::pending().boxed()) };
        let mut subscriptions = Vec::new();
        for subject in subjects(REPORTS, regions, "") {
            subscriptions.push(client.subscribe(subject).await?);
        }
        Ok(stream::select_all(subscriptions).filter_map(async |message| decode_report(&message)).boxed())
    }
}

fn subjects(prefix: &str, regions: Option<&BTreeSet<RegionName>>, rest: &str) -> Vec<String> {
    match regions {
        None => vec![format!("{prefix}.*{rest}")],
        Some(regions) => regions.iter().map(|region| format!("{prefix}.{region}{rest}")).collect(),
    }
}

fn decode(message: &async_nats::Message) -> Option<Signal> {
    let decoded = wire::Signal::decode(message.payload.clone()).map_err(|error| error.to_string());
    read(message, decoded.and_then(|signal| Signal::try_from(signal).map_err(|error| error.to_string())))
}

fn decode_report(message: &async_nats::Message) -> Option<api::Report> {
    read(message, serde_json::from_slice(&message.payload).map_err(|error| error.to_string()))
}

fn read<T>(message: &async_nats::Message, decoded: Result<T, String>) -> Option<T> {
    decoded
        .inspect_err(|error| tracing::warn!(subject = %message.subject, error, "a signal could not be read"))
        .ok()
}
