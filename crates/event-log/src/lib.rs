//! The append-only log: one trait, three stores (memory, sled, NATS JetStream), one conformance suite for all.

mod admission;
pub mod conformance;
mod draft;
mod memory;
mod nats;
#[doc(hidden)]
pub mod nats_server;
mod selection;
mod sled_store;
mod tail;

pub use draft::{Draft, Write};
pub use memory::MemoryLog;
pub use nats::{ConnectError, Login, NatsLog, NatsOptions, Tls};
pub use sled_store::{OpenError, SledLog};

use async_trait::async_trait;
use futures::stream::BoxStream;
use nightshift_domain::{Chain, Follow, Partition};
use nightshift_protocol::envelope::{Envelope, Hash};
use serde::{Deserialize, Serialize};

/// The newest event of a chain, as its reader knows it: the expected version of the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The event's position in its partition; 0 if the chain is empty.
    pub position: u64,
    /// The event's hash; all zero if the chain is empty.
    pub hash: Hash,
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in its partition, from 1; rises with every event, gaps are allowed only in filtered reads.
    pub position: u64,
    /// The event and its attributes.
    pub envelope: Envelope,
}

/// A part of a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In order.
    pub events: Vec<Recorded>,
    /// Everything that was asked for, up to and with this position, is in `events`: read on after it.
    pub read_to: u64,
    /// Whether nothing more was there.
    pub at_end: bool,
}

/// Why an append did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the chain first. Nothing was appended: read on and decide again.
    #[error("{chain}: expected position {expected}, found {actual}: another writer was first")]
    Conflict {
        /// The chain.
        chain: Chain,
        /// The position that the writer knew as the newest.
        expected: u64,
        /// The position of the newest event; 0 where the store does not say.
        actual: u64,
    },
    /// It is not known whether it was appended. Append the very same write again: event ids make that safe.
    #[error("{partition}: not known whether the append landed ({cause}); the same append may be tried again")]
    Unknown {
        /// The partition.
        partition: Partition,
        /// What happened.
        cause: String,
    },
    /// It was not appended and would not be if tried again.
    #[error("{partition}: the append was rejected: {cause}")]
    Rejected {
        /// The partition.
        partition: Partition,
        /// What to mend.
        cause: String,
    },
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store does not answer; it may later.
    #[error("{partition}: the log does not answer: {cause}")]
    Unavailable {
        /// The partition.
        partition: Partition,
        /// What happened.
        cause: String,
    },
    /// What the store holds is damaged: it must not be built upon.
    #[error("{partition} at position {position}: the log is damaged: {cause}")]
    Damaged {
        /// The partition.
        partition: Partition,
        /// Where.
        position: u64,
        /// What is wrong, and what to do.
        cause: String,
    },
    /// The log ends before the position after which is to be read. To whoever was there before, history was lost; of anybody
    /// else the position may be wrong.
    #[error(
        "{partition}: the log went back: it ends at position {newest}, but position {seen} was read before. Restore the log \
         from a good copy, or move it away together with the snapshots of all services"
    )]
    WentBack {
        /// The partition.
        partition: Partition,
        /// Where it ends.
        newest: u64,
        /// What the reader says it has seen.
        seen: u64,
    },
}

/// The log. An acknowledged append is durable; what is read is in order; an append that rests on an old head fails.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends all writes or none. Each write's chain must still end with its `expected` head and must lie in
    /// `partition`; no chain twice. Returns the new head of each write's chain, in the order of the writes.
    ///
    /// Trying the same writes (the same event ids) again after they landed returns the same heads. All writes together
    /// hold at most 1,000 events, and an event at most 1,000,000 bytes: more is [`AppendError::Rejected`].
    async fn append(&self, partition: &Partition, writes: Vec<Write>) -> Result<Vec<Head>, AppendError>;

    /// Up to about `limit` events after the position.
    async fn read(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError>;

    /// All events after the position: what is there, then what comes. The stream heals lost connections by itself and
    /// ends only with a [`ReadError::Damaged`] or a [`ReadError::WentBack`].
    async fn subscribe(
        &self,
        follow: &Follow,
        after: u64,
    ) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError>;

    /// The position of the partition's newest event; 0 if it has none.
    async fn newest(&self, partition: &Partition) -> Result<u64, ReadError>;

    /// The partitions that hold at least one event.
    async fn partitions(&self) -> Result<Vec<Partition>, ReadError>;
}

impl Head {
    /// The head of a chain without events.
    pub const START: Self = Self { position: 0, hash: [0; 32] };
}
