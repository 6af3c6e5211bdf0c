//! Reads a part of a partition.
//!
//! A consumer may be served by a server that lags behind or, worse, has lost an event. So what is to be read up to is
//! asked of the stream's leader, and what a consumer leaves out is asked of the leader too.

use super::Inner;
use super::backoff::Backoff;
use super::connection::LOST;
use super::streams::{self, StreamError};
use crate::selection::{damaged, unavailable, went_back};
use crate::{Page, ReadError, Recorded};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use futures::TryStreamExt as _;
use nightshift_domain::{Follow, Partition};
use std::time::Duration;

/// Events of one page at most, whatever is asked for.
const LARGEST_PAGE: usize = 5_000;
/// How long a page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(20);
/// How long a consumer may leave us without what its leader has.
const LAG: Duration = Duration::from_secs(2);
/// How long a new leader may not know what the one before it knew.
const NEW_LEADER: Duration = Duration::from_secs(5);
/// The server forgets a consumer that nobody uses for so long.
const FORGET_CONSUMER: Duration = Duration::from_secs(10);

impl Inner {
    pub(super) async fn page(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        let limit = limit.clamp(1, LARGEST_PAGE);
        let mut backoff = Backoff::within(self.patience);
        loop {
            let page = tokio::time::timeout(PAGE_WITHIN, self.page_once(follow, after, limit));
            let page = match self.connection.answer(page).await {
                Some(Ok(page)) => page,
                Some(Err(_)) => Err(unavailable(&follow.partition, "the page does not come to its end")),
                None => Err(unavailable(&follow.partition, LOST)),
            };
            match page {
                Err(ReadError::Unavailable { cause, .. }) => {
                    if !backoff.wait().await {
                        return Err(unavailable(&follow.partition, self.connection.explain(&cause)));
                    }
                }
                known => return known,
            }
        }
    }

    async fn page_once(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        let partition = &follow.partition;
        let newest = self.newest_from(partition, after).await?;
        let last_wanted = match follow.kind {
            None => newest,
            Some(_) if newest == 0 => 0,
            Some(_) => {
                let last = self.streams.last(partition, &streams::filter(follow)).await?;
                last.map_or(0, |recorded| recorded.position)
            }
        };
        if last_wanted <= after {
            return Ok(Page { events: Vec::new(), read_to: newest, at_end: true });
        }
        let stream = self.streams.stream(partition).await?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            filter_subject: streams::filter(follow),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FORGET_CONSUMER,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| unavailable(partition, error.to_string()))?;
        let events = self.fetch(follow, after, last_wanted, limit, &consumer).await;
        let name = consumer.cached_info().name.clone();
        // Only for the server's comfort: it forgets the consumer by itself a little later.
        tokio::spawn(async move { stream.delete_consumer(&name).await });
        let events = events?;
        let read_to = events.last().map_or(after, |recorded| recorded.position);
        let at_end = read_to >= last_wanted;
        Ok(Page { events, read_to: if at_end { read_to.max(newest) } else { read_to }, at_end })
    }

    async fn fetch(
        &self,
        follow: &Follow,
        after: u64,
        last_wanted: u64,
        limit: usize,
        consumer: &Consumer<pull::Config>,
    ) -> Result<Vec<Recorded>, ReadError> {
        let partition = &follow.partition;
        let failed = |error: &dyn std::fmt::Display| unavailable(partition, error.to_string());
        let mut events: Vec<Recorded> = Vec::new();
        let mut read_to = after;
        let mut lag = Backoff::within(LAG);
        while events.len() < limit && read_to < last_wanted {
            let batch = consumer.fetch().max_messages(limit - events.len()).messages().await;
            let mut batch = batch.map_err(|error| failed(&error))?;
            let before = read_to;
            while let Some(message) = batch.try_next().await.map_err(|error| failed(&error))? {
                let position = message.info().map_err(|error| failed(&error))?.stream_sequence;
                let headers = message.headers.as_ref();
                let data = message.payload.to_vec();
                let recorded = super::message::event(partition, position, &message.subject, headers, data)?;
                if follow.kind.is_none() {
                    events.extend(self.left_out(partition, read_to, position).await?);
                }
                read_to = position;
                events.push(recorded);
            }
            if read_to == before && !lag.wait().await {
                return Err(failed(&"the consumer does not deliver what the stream has"));
            }
        }
        Ok(events)
    }

    /// What lies between two events that should be neighbours, from the leader. Nothing is ever deleted, so what the
    /// leader does not have either is lost.
    pub(super) async fn left_out(
        &self,
        partition: &Partition,
        after: u64,
        before: u64,
    ) -> Result<Vec<Recorded>, ReadError> {
        let mut events = Vec::new();
        for position in after + 1..before {
            let cause = "the event is missing: restore the log from a good copy";
            let found = self.streams.at(partition, position).await?;
            events.push(found.ok_or_else(|| damaged(partition, position, cause))?);
        }
        Ok(events)
    }

    /// The newest position; an error if it lies before what was seen.
    pub(super) async fn newest_from(&self, partition: &Partition, seen: u64) -> Result<u64, ReadError> {
        let patience = if self.streams.replicated() { NEW_LEADER } else { Duration::ZERO };
        let mut backoff = Backoff::within(patience);
        loop {
            let newest = self.streams.newest(partition).await.map_err(|error| match error {
                StreamError::Later(cause) => unavailable(partition, cause),
                StreamError::Never(cause) => damaged(partition, seen, cause),
            })?;
            if newest >= seen {
                return Ok(newest);
            }
            if !backoff.wait().await {
                return Err(went_back(partition, newest, seen));
            }
        }
    }
}
