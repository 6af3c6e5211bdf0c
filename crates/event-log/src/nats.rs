//! The log on NATS JetStream: a stream per partition, a subject per aggregate.
//!
//! JetStream keeps the order and refuses an append whose expected position is old. Everything else it leaves to its
//! client, and these modules do it: find out what became of an append whose answer was lost, notice history that is
//! missing or went back, and go on after a server was lost.
//!
//! A service needs these permissions (`*` is a partition's stream, [`streams::name`]): to publish its own subjects
//! under `nightshift.v1.`, `$JS.FC.>`, and under `$JS.API.`: `STREAM.INFO.*`, `STREAM.CREATE.*` (not if somebody else
//! makes the streams), `STREAM.LIST`, `STREAM.MSG.GET.*`, `CONSUMER.CREATE.*`, `CONSUMER.MSG.NEXT.*.*`,
//! `CONSUMER.DELETE.*.*`; to subscribe its inbox. The conformance tests run with just these.

mod append;
mod backoff;
mod connection;
mod follower;
mod message;
mod page;
mod publish;
mod streams;

pub use connection::{ConnectError, Login, NatsOptions, Tls};

use crate::{AppendError, EventLog, Head, Page, ReadError, Recorded, Write, admission};
use async_trait::async_trait;
use backoff::Backoff;
use connection::Connection;
use follower::Follower;
use futures::stream::BoxStream;
use nightshift_domain::{Follow, Partition};
use std::sync::Arc;
use std::time::Duration;
use streams::Streams;
use tokio::sync::Semaphore;

/// Atomic batches under way at once; the server takes 50 for a stream.
const BATCHES: usize = 16;

/// A log on NATS JetStream. Clones share one connection.
#[derive(Clone)]
pub struct NatsLog(Arc<Inner>);

struct Inner {
    connection: Connection,
    streams: Streams,
    batches: Semaphore,
    patience: Duration,
}

impl NatsLog {
    /// Connects; waits for a server for as long as the options say.
    pub async fn connect(options: NatsOptions) -> Result<Self, ConnectError> {
        let connection = Connection::open(&options).await?;
        let streams = Streams::new(&connection, options.replicas);
        let batches = Semaphore::new(BATCHES);
        Ok(Self(Arc::new(Inner { connection, streams, batches, patience: options.patience })))
    }

    /// The connection, for signals that are no events.
    pub fn client(&self) -> async_nats::Client {
        self.0.connection.client.clone()
    }
}

#[async_trait]
impl EventLog for NatsLog {
    async fn append(&self, partition: &Partition, writes: Vec<Write>) -> Result<Vec<Head>, AppendError> {
        let writes = admission::seal(partition, &writes)?;
        self.0.append(partition, &writes).await
    }

    async fn read(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        self.0.page(follow, after, limit).await
    }

    async fn subscribe(
        &self,
        follow: &Follow,
        after: u64,
    ) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError> {
        Follower::start(self.0.clone(), follow.clone(), after).await
    }

    async fn newest(&self, partition: &Partition) -> Result<u64, ReadError> {
        let mut backoff = Backoff::within(self.0.patience);
        loop {
            match self.0.newest_from(partition, 0).await {
                Err(ReadError::Unavailable { .. }) if backoff.wait().await => {}
                known => return known,
            }
        }
    }

    async fn partitions(&self) -> Result<Vec<Partition>, ReadError> {
        let mut backoff = Backoff::within(self.0.patience);
        loop {
            match self.0.streams.with_events().await {
                Err(_) if backoff.wait().await => {}
                known => return known,
            }
        }
    }
}
