//! A subscription that outlives consumers, connections and servers.
//!
//! It owns nothing but the last position it delivered. Whatever goes wrong, it makes a new consumer behind that
//! position. (The client library's own ordered consumers do not suffice: the pulling kind stalls after a restart of
//! the server, the pushing kind begins anew at the first event if it had not delivered one yet.)

use super::backoff::Backoff;
use super::connection::LOST;
use super::streams::{self, StreamError};
use super::{Inner, message};
use crate::selection::{damaged, unavailable};
use crate::{ReadError, Recorded};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::{Message, Subscriber, header};
use futures::stream::{self, BoxStream, StreamExt as _};
use nightshift_domain::Follow;
use nightshift_protocol::envelope::Hash;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The server speaks at least so often, even if nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// A consumer that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(6);
/// The server forgets a consumer to which nobody listens for so long.
const FORGET_CONSUMER: Duration = Duration::from_secs(10);

pub(super) struct Follower {
    log: Arc<Inner>,
    follow: Follow,
    delivered: u64,
    /// The event delivered last: it must still be there when the log is asked anew.
    known: Option<Hash>,
    ready: VecDeque<Recorded>,
    session: Option<Session>,
    backoff: Backoff,
    ended: bool,
}

/// One consumer, as long as it lives.
struct Session {
    messages: Subscriber,
    received: u64,
    times_connected: watch::Receiver<u64>,
}

/// What came from a consumer.
enum Incoming {
    Event(Message, u64),
    Nothing,
    /// The consumer is of no use any more.
    Lost(String),
}

impl Follower {
    pub(super) async fn start(
        log: Arc<Inner>,
        follow: Follow,
        after: u64,
    ) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError> {
        let mut backoff = Backoff::within(log.patience);
        let session = loop {
            match begin_again(&log, &follow, after, None).await {
                Err(ReadError::Unavailable { cause, .. }) if !backoff.wait().await => {
                    return Err(unavailable(&follow.partition, log.connection.explain(&cause)));
                }
                Err(ReadError::Unavailable { .. }) => {}
                Err(damaged) => return Err(damaged),
                Ok(session) => break session,
            }
        };
        let follower = Self {
            log,
            follow,
            delivered: after,
            known: None,
            ready: VecDeque::new(),
            session: Some(session),
            backoff: Backoff::endless(),
            ended: false,
        };
        let next = |mut follower: Self| async move { follower.next().await.map(|item| (item, follower)) };
        Ok(stream::unfold(follower, next).boxed())
    }

    async fn next(&mut self) -> Option<Result<Recorded, ReadError>> {
        loop {
            if let Some(recorded) = self.ready.pop_front() {
                self.delivered = recorded.position;
                self.known = Some(recorded.envelope.hash());
                return Some(Ok(recorded));
            }
            if self.ended {
                return None;
            }
            match self.advance().await {
                Ok(()) => {}
                Err(ReadError::Unavailable { partition, cause }) => {
                    tracing::warn!(%partition, cause, "the subscription is interrupted");
                    self.session = None;
                    self.backoff.wait().await;
                }
                Err(damaged) => {
                    self.ended = true;
                    return Some(Err(damaged));
                }
            }
        }
    }

    async fn advance(&mut self) -> Result<(), ReadError> {
        let Some(session) = &mut self.session else {
            self.session = Some(begin_again(&self.log, &self.follow, self.delivered, self.known).await?);
            return Ok(());
        };
        match session.receive(&self.log).await {
            Incoming::Nothing => Ok(()),
            Incoming::Lost(cause) => Err(unavailable(&self.follow.partition, cause)),
            Incoming::Event(message, position) => {
                self.backoff.reset();
                self.take(message, position).await
            }
        }
    }

    async fn take(&mut self, message: Message, position: u64) -> Result<(), ReadError> {
        let partition = &self.follow.partition;
        if position <= self.delivered {
            return Ok(());
        }
        let data = message.payload.to_vec();
        let recorded = message::event(partition, position, &message.subject, message.headers.as_ref(), data)?;
        if self.follow.kind.is_none() {
            self.ready.extend(self.log.left_out(partition, self.delivered, position).await?);
        }
        self.ready.push_back(recorded);
        Ok(())
    }
}

async fn begin_again(
    log: &Inner,
    follow: &Follow,
    after: u64,
    known: Option<Hash>,
) -> Result<Session, ReadError> {
    let begun = log.connection.answer(begin(log, follow, after, known)).await;
    begun.unwrap_or_else(|| Err(unavailable(&follow.partition, LOST)))
}

async fn begin(log: &Inner, follow: &Follow, after: u64, known: Option<Hash>) -> Result<Session, ReadError> {
    let partition = &follow.partition;
    // Seen before the consumer is made: a connection that comes after that makes the consumer doubtful.
    let mut times_connected = log.connection.times_connected.clone();
    times_connected.mark_unchanged();
    log.streams.ensure(partition).await.map_err(|error| match error {
        StreamError::Later(cause) => unavailable(partition, cause),
        StreamError::Never(cause) => damaged(partition, after, cause),
    })?;
    log.newest_from(partition, after).await?;
    if let Some(known) = known {
        let there = log.streams.at(partition, after).await?;
        if there.is_none_or(|recorded| recorded.envelope.hash() != known) {
            let cause =
                "another event is there than was read before: the log went back. Restore it from a good copy";
            return Err(damaged(partition, after, cause));
        }
    }
    let client = &log.connection.client;
    let inbox = client.new_inbox();
    let failed = |error: &dyn std::fmt::Display| unavailable(partition, error.to_string());
    let messages = client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
    let config = push::Config {
        deliver_subject: inbox,
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
        ack_policy: AckPolicy::None,
        filter_subject: streams::filter(follow),
        flow_control: true,
        idle_heartbeat: HEARTBEAT,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: FORGET_CONSUMER,
        ..push::Config::default()
    };
    let stream = log.streams.stream(partition).await?;
    stream.create_consumer(config).await.map_err(|error| failed(&error))?;
    Ok(Session { messages, received: 0, times_connected })
}

impl Session {
    async fn receive(&mut self, log: &Inner) -> Incoming {
        let message = tokio::select! {
            biased;
            _ = self.times_connected.changed() => return Incoming::Lost(LOST.into()),
            message = tokio::time::timeout(SILENCE, self.messages.next()) => message,
        };
        match message {
            Err(_) => Incoming::Lost("the consumer is silent".into()),
            Ok(None) => Incoming::Lost("the connection is closed".into()),
            Ok(Some(message)) if message.status.is_some() => self.control(log, &message).await,
            Ok(Some(message)) => self.event(log, message),
        }
    }

    fn event(&mut self, log: &Inner, message: Message) -> Incoming {
        let message = async_nats::jetstream::Message { message, context: log.streams.context().clone() };
        let (received, position) = match message.info() {
            Ok(info) => (info.consumer_sequence, info.stream_sequence),
            Err(error) => return Incoming::Lost(error.to_string()),
        };
        if received != self.received + 1 {
            return Incoming::Lost("messages were lost on the way".into());
        }
        self.received = received;
        Incoming::Event(message.message, position)
    }

    /// The server asks whether we keep up, or says that it is still there and how much it has sent.
    async fn control(&mut self, log: &Inner, message: &Message) -> Incoming {
        if message.status != Some(async_nats::StatusCode::IDLE_HEARTBEAT) {
            return Incoming::Lost(
                message.description.clone().unwrap_or_else(|| "the consumer is gone".into()),
            );
        }
        let get = |name: &str| {
            message.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string)
        };
        let stalled = get("Nats-Consumer-Stalled");
        if let Some(subject) = message.reply.as_ref().map(ToString::to_string).or(stalled) {
            return match log.connection.client.publish(subject, bytes::Bytes::new()).await {
                Ok(()) => Incoming::Nothing,
                Err(error) => Incoming::Lost(error.to_string()),
            };
        }
        let sent = get(header::NATS_LAST_CONSUMER.as_ref()).and_then(|sent| sent.parse::<u64>().ok());
        match sent {
            Some(sent) if sent != self.received => Incoming::Lost("messages were lost on the way".into()),
            _ => Incoming::Nothing,
        }
    }
}
