//! Carries one partition's events to one webhook, each until it is taken.

use super::Work;
use super::answer::Answer;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt as _;
use nightshift_domain::{Follow, Partition, Time};
use nightshift_event_log::{ReadError, Recorded};
use nightshift_protocol::convert::DecodeError;
use nightshift_protocol::json::event_json;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The first wait; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Courier {
    work: Arc<Work>,
    partition: Partition,
    retries: watch::Receiver<u64>,
}

impl Courier {
    pub(super) fn new(work: Arc<Work>, partition: Partition) -> Self {
        let retries = work.state.retries();
        Self { work, partition, retries }
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        let mut waits = self.waits();
        loop {
            match self.follow().await {
                Ok(()) => waits = self.waits(),
                Err(error) => self.wait(&mut waits, error.to_string(), None).await,
            }
        }
    }

    /// Carries what comes, until something is not taken at once and was then carried in the end. The log is read anew after
    /// that: a subscription that nobody reads fills up.
    async fn follow(&mut self) -> Result<(), ReadError> {
        let after = self.work.places.position(&self.partition);
        let mut events = self.work.log.subscribe(&Follow::all(self.partition.clone()), after).await?;
        while let Some(event) = events.next().await {
            let recorded = event?;
            let position = recorded.position;
            if self.work.webhook.wants_type(&recorded.envelope.event_type) {
                let answer = self.send(&recorded).await;
                if answer != Answer::Taken {
                    drop(events);
                    self.insist(&recorded, answer).await;
                    self.work.places.advance(&self.partition, position);
                    return Ok(());
                }
                self.work.state.taken(&self.partition, self.work.clock.now());
            }
            self.work.places.advance(&self.partition, position);
        }
        let (partition, cause) = (self.partition.clone(), "the subscription ended".into());
        Err(ReadError::Unavailable { partition, cause })
    }

    /// Sends the event again and again until it is taken.
    async fn insist(&mut self, recorded: &Recorded, mut answer: Answer) {
        let mut waits = self.waits();
        loop {
            match answer {
                Answer::Taken => break,
                Answer::Gone => self.stand_still().await,
                Answer::Again { why, pause } => self.wait(&mut waits, why, pause).await,
            }
            answer = self.send(recorded).await;
        }
        self.work.state.taken(&self.partition, self.work.clock.now());
    }

    async fn send(&self, recorded: &Recorded) -> Answer {
        if self.work.places.gone().is_some() {
            return Answer::Gone;
        }
        let now = self.work.clock.now();
        let body = match body(&self.partition, recorded) {
            Ok(body) => body,
            Err(error) => return Answer::none(format!("position {}: {error}", recorded.position)),
        };
        let answer = self.work.receiver.send(&recorded.envelope.id, body, now).await;
        if answer == Answer::Gone {
            self.work.places.stop(now);
            tracing::warn!(webhook = %self.work.webhook.name, "the receiver answered 410 Gone: nothing more is sent");
        }
        answer
    }

    /// Until it is time to try again, or a person says so.
    async fn wait(&mut self, waits: &mut ExponentialBackoff, why: String, pause: Option<Duration>) {
        let wait = waits.next().unwrap_or(self.work.webhook.longest_wait).max(pause.unwrap_or_default());
        let now = self.work.clock.now();
        let next_try = chrono::Duration::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait));
        tracing::info!(webhook = %self.work.webhook.name, partition = %self.partition, why, ?wait, "tried again later");
        self.note(why, now, next_try);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // The sender lives as long as the work that we hold.
            _ = self.retries.changed() => *waits = self.waits(),
        }
    }

    /// Until a person says that it is to be tried again.
    async fn stand_still(&mut self) {
        self.note("the receiver said that it is gone".into(), self.work.clock.now(), None);
        // A retry that came since the receiver said so has taken that back.
        while self.work.places.gone().is_some() {
            let _sender_lives = self.retries.changed().await;
        }
    }

    fn note(&self, why: String, now: Time, next_try: Option<Time>) {
        self.work.state.waits(&self.partition, why, now, next_try);
    }

    fn waits(&self) -> ExponentialBackoff {
        let longest = self.work.webhook.longest_wait;
        let waits = ExponentialBuilder::new().with_min_delay(FIRST_WAIT.min(longest)).with_max_delay(longest);
        waits.with_jitter().without_max_times().build()
    }
}

/// The event as a CloudEvents JSON document, with its place in the log as extension attributes.
fn body(partition: &Partition, recorded: &Recorded) -> Result<String, DecodeError> {
    let mut document = event_json(&recorded.envelope)?;
    document["partition"] = json!(partition.to_string());
    // A text, for numbers of CloudEvents have 32 bits.
    document["position"] = json!(recorded.position.to_string());
    Ok(document.to_string())
}
