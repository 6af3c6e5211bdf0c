//! Signals on machines' health: many, small, may be lost. On core NATS, or within the process.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use nightshift_domain::RegionName;
use nightshift_domain::health::Signal;
use nightshift_protocol::events::v1 as wire;
use prost::Message as _;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// All signals: `nightshift.signals.v1.<region>.<vm>`.
const SUBJECT: &str = "nightshift.signals.v1";

/// How many signals a slow listener may lag behind before it loses the oldest.
const IN_PROCESS_CAPACITY: usize = 16_384;

/// Where signals are sent and heard.
#[derive(Clone)]
pub struct Signals(Kind);

#[derive(Clone)]
enum Kind {
    InProcess(broadcast::Sender<Signal>),
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
            Kind::InProcess(sender) => drop(sender.send(signal)),
            Kind::Nats(client) => {
                let subject = format!("{SUBJECT}.{region}.{}", signal.vm);
                let payload = wire::Signal::from(&signal).encode_to_vec();
                if let Err(error) = client.publish(subject, payload.into()).await {
                    tracing::debug!(%error, "a signal was lost");
                }
            }
        }
    }

    /// Every signal from now on. One that cannot be read is passed over with a warning.
    pub async fn listen(&self) -> anyhow::Result<BoxStream<'static, Signal>> {
        match &self.0 {
            Kind::InProcess(sender) => {
                let signals = BroadcastStream::new(sender.subscribe());
                Ok(signals.filter_map(async |signal| signal.ok()).boxed())
            }
            Kind::Nats(client) => {
                let messages = client.subscribe(format!("{SUBJECT}.>")).await?;
                Ok(messages.filter_map(async |message| decode(&message)).boxed())
            }
        }
    }
}

fn decode(message: &async_nats::Message) -> Option<Signal> {
    let decoded = wire::Signal::decode(message.payload.clone()).map_err(|error| error.to_string());
    match decoded.and_then(|signal| Signal::try_from(signal).map_err(|error| error.to_string())) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::warn!(subject = %message.subject, error, "a signal could not be read");
            None
        }
    }
}
