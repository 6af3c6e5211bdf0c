//! Signed webhooks: the log, carried to those who can only be called.
//!
//! Each webhook has couriers, one for each partition: an event is carried until the receiver has taken it, then the next.
//! A receiver that is slow or gone holds up nobody else. How far each is, is on the disk: after a death the console sends
//! again what it is not sure of, with the same id.

mod answer;
mod courier;
mod grpc;
mod places;
mod receiver;
mod settings;
mod state;

pub(crate) use grpc::WebhookDoor;
pub use settings::{From, Settings};

use anyhow::Context as _;
use courier::Courier;
use nightshift_domain::{Partition, WebhookName};
use nightshift_event_log::EventLog;
use nightshift_runtime::Clock;
use places::Places;
use receiver::Receiver;
use settings::Webhook;
use state::State;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the log is looked through for partitions that are new.
const LOOK: Duration = Duration::from_secs(2);

/// All webhooks, at work.
#[derive(Clone, Default)]
pub(crate) struct Webhooks(Arc<BTreeMap<WebhookName, Arc<Work>>>);

/// What the couriers of one webhook share.
struct Work {
    webhook: Webhook,
    receiver: Receiver,
    places: Places,
    state: State,
    log: Arc<dyn EventLog>,
    clock: Clock,
}

/// Checks what is configured, and starts the couriers. `folder` keeps how far they are.
pub(crate) fn start(
    settings: &[Settings],
    folder: &Path,
    log: &Arc<dyn EventLog>,
    clock: &Clock,
    shutdown: &CancellationToken,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Webhooks> {
    let mut all = BTreeMap::new();
    for webhook in settings::check(settings)? {
        let name = webhook.name.clone();
        let receiver = Receiver::of(&webhook)?;
        let places = Places::open(folder, &name, &webhook.url)?;
        let state = State::default();
        let work = Work { webhook, receiver, places, state, log: log.clone(), clock: clock.clone() };
        all.insert(name, Arc::new(work));
    }
    for work in all.values() {
        tasks.spawn(work.clone().run(shutdown.clone()));
    }
    Ok(Webhooks(Arc::new(all)))
}

impl Work {
    /// Until the service ends.
    async fn run(self: Arc<Self>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let ended = shutdown.clone().cancelled_owned();
        tokio::select! {
            () = ended => {}
            () = self.clone().employ() => {}
        }
        // The couriers have ended with it: what they know is kept.
        self.places.keep().await.with_context(|| format!("webhook \"{}\"", self.webhook.name))
    }

    /// A courier for each partition that the webhook is sent of, also for those that come later.
    async fn employ(self: Arc<Self>) {
        let mut couriers = JoinSet::new();
        let keeper = self.clone();
        couriers.spawn(async move { keeper.places.keep_as_they_come().await });
        let mut served: Vec<Partition> = Vec::new();
        loop {
            match self.wanted().await {
                Ok(wanted) => {
                    let new: Vec<_> = wanted.into_iter().filter(|wanted| !served.contains(wanted)).collect();
                    for partition in new {
                        served.push(partition.clone());
                        couriers.spawn(Courier::new(self.clone(), partition).run());
                    }
                }
                Err(error) => {
                    tracing::warn!(webhook = %self.webhook.name, error = format!("{error:#}"), "cannot begin yet");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The partitions that there are, of those that the webhook is sent of. Where the webhook begins is settled and kept
    /// before its first courier starts.
    async fn wanted(&self) -> anyhow::Result<Vec<Partition>> {
        let there = self.log.partitions().await?;
        if !self.places.have_begun() {
            let mut begin = BTreeMap::new();
            if self.webhook.from == From::Now {
                for partition in &there {
                    begin.insert(partition.clone(), self.log.newest(partition).await?);
                }
            }
            self.places.begin(begin).await?;
        }
        Ok(there.into_iter().filter(|partition| self.webhook.wants(partition)).collect())
    }
}
