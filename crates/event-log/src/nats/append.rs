//! Appends until it is known whether the events stand in the log.
//!
//! A time-out is no failure: the message may be stored, or may still be on its way and be stored later. And an answer
//! "wrong head" may mean that our own first try landed. So whatever is not a clear yes is looked up: what stands after
//! the expected head decides. Nothing can land twice, for each try expects the same head.

use super::Inner;
use super::backoff::Backoff;
use super::connection::LOST;
use super::publish::Answer;
use super::streams::StreamError;
use crate::admission::{Sealed, id_taken, rejected, unknown};
use crate::selection::damaged;
use crate::{AppendError, Head, ReadError, Recorded};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use nightshift_domain::{Chain, Follow, Partition};

/// Lookups under way at once.
const LOOKUPS: usize = 32;

/// What came of one try.
enum Tried {
    Landed(Vec<Head>),
    /// To be tried again, or to be returned if there is no time for it.
    NotKnown(AppendError),
}

/// What stands where our events should stand.
enum Standing {
    Landed(Vec<Head>),
    /// Ours are not there and can never be.
    Lost(AppendError),
    /// Not even the expected head is there.
    Behind(AppendError),
    /// Nobody's are there: ours may still come.
    Open,
}

impl Inner {
    /// Appends all or nothing.
    pub(super) async fn append(
        &self,
        partition: &Partition,
        writes: &[Sealed],
    ) -> Result<Vec<Head>, AppendError> {
        let mut backoff = Backoff::within(self.patience);
        loop {
            let error = match self.try_once(partition, writes).await? {
                Tried::Landed(heads) => return Ok(heads),
                Tried::NotKnown(error) => error,
            };
            tracing::debug!(%error, "looking and trying again");
            if !backoff.wait().await {
                return Err(error);
            }
        }
    }

    /// An error is final.
    async fn try_once(&self, partition: &Partition, writes: &[Sealed]) -> Result<Tried, AppendError> {
        let not_known = |cause: String| Ok(Tried::NotKnown(unknown(partition, cause)));
        match self.connection.answer(self.streams.ensure(partition)).await {
            Some(Ok(())) => {}
            Some(Err(StreamError::Never(cause))) => return Err(rejected(partition, cause)),
            Some(Err(StreamError::Later(cause))) => return not_known(self.connection.explain(&cause)),
            None => return not_known(LOST.into()),
        }
        let cause = match self.publish(partition, writes).await {
            Answer::Stored(last) => return Ok(Tried::Landed(heads_up_to(last, writes))),
            Answer::Never(cause) => return Err(rejected(partition, cause)),
            Answer::Known(position) => match known_elsewhere(partition, writes, position) {
                Some(error) => return Err(error),
                None => "the server knows the event's id".to_owned(),
            },
            Answer::NotThere(cause) => {
                self.streams.doubt(partition);
                cause
            }
            Answer::Look(cause) => cause,
        };
        match self.connection.answer(self.look(partition, writes)).await {
            Some(Ok(Standing::Landed(heads))) => Ok(Tried::Landed(heads)),
            Some(Ok(Standing::Lost(error))) => Err(error),
            // A new leader may not know yet what the one before it knew.
            Some(Ok(Standing::Behind(error))) if self.streams.replicated() => Ok(Tried::NotKnown(error)),
            Some(Ok(Standing::Behind(error))) => Err(error),
            Some(Ok(Standing::Open)) => not_known(cause),
            Some(Err(ReadError::Unavailable { cause: why, .. })) => not_known(format!("{cause}; {why}")),
            Some(Err(damaged)) => Err(rejected(partition, damaged.to_string())),
            None => not_known(LOST.into()),
        }
    }

    async fn look(&self, partition: &Partition, writes: &[Sealed]) -> Result<Standing, ReadError> {
        let looks: Vec<_> = writes.iter().map(|write| self.look_at_chain(partition, write)).collect();
        let looked: Vec<Looked> = stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        for (index, (write, looked)) in writes.iter().zip(looked).enumerate() {
            let lost = |actual| {
                let (chain, expected) = (write.chain.clone(), write.expected.position);
                AppendError::Conflict { chain, expected, actual }
            };
            match looked {
                Looked::Nothing => {}
                Looked::Behind(newest) => return Ok(Standing::Behind(lost(newest))),
                Looked::Event { first, newest } => {
                    let ours = |write: &Sealed| {
                        write.events.iter().any(|(envelope, _)| envelope.id == first.envelope.id)
                    };
                    if !writes.iter().any(ours) {
                        return Ok(Standing::Lost(lost(newest)));
                    }
                    let before: usize = writes[..index].iter().map(|write| write.events.len()).sum();
                    return self.look_at_heads(partition, writes, &first, before).await;
                }
            }
        }
        Ok(Standing::Open)
    }

    async fn look_at_chain(&self, partition: &Partition, write: &Sealed) -> Result<Looked, ReadError> {
        let expected = write.expected.position;
        let (subject, whole) = match &write.chain {
            Chain::Whole(partition) => (super::streams::filter(&Follow::all(partition.clone())), true),
            Chain::Of(..) => {
                let subject = write.events.first().map(|(envelope, _)| envelope.subject.clone());
                (subject.unwrap_or_default(), false)
            }
        };
        let newest = self.streams.last(partition, &subject).await?.map_or(0, |recorded| recorded.position);
        if newest == expected {
            return Ok(Looked::Nothing);
        }
        if newest < expected {
            return Ok(Looked::Behind(newest));
        }
        let first = if whole {
            self.streams.at(partition, expected + 1).await?
        } else {
            self.streams.next(partition, expected + 1, &subject).await?
        };
        let first = first.ok_or_else(|| damaged(partition, expected + 1, "the event is missing"))?;
        Ok(Looked::Event { first: Box::new(first), newest })
    }

    /// An event of ours stands after an expected head. A head's hash covers all that its write holds, so looking at
    /// the last event of each write is enough.
    async fn look_at_heads(
        &self,
        partition: &Partition,
        writes: &[Sealed],
        first: &Recorded,
        before: usize,
    ) -> Result<Standing, ReadError> {
        let taken = || Ok(Standing::Lost(id_taken(partition, &first.envelope.id, first.position)));
        let Some(start) = first.position.checked_sub(before as u64 + 1) else { return taken() };
        let heads = heads_after(start, writes);
        let looks: Vec<_> = heads.iter().map(|head| self.streams.at(partition, head.position)).collect();
        let stored: Vec<Option<Recorded>> = stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        let same = |(head, stored): (&Head, &Option<Recorded>)| {
            stored.as_ref().is_some_and(|stored| stored.envelope.hash() == head.hash)
        };
        if heads.iter().zip(&stored).all(same) { Ok(Standing::Landed(heads)) } else { taken() }
    }
}

enum Looked {
    /// The expected head is the newest.
    Nothing,
    /// The log ends before the expected head.
    Behind(u64),
    /// The event after the expected head, and where the chain ends.
    Event { first: Box<Recorded>, newest: u64 },
}

/// The server knows the id from an event that does not stand after the expected head.
fn known_elsewhere(partition: &Partition, writes: &[Sealed], position: u64) -> Option<AppendError> {
    let write = writes.first()?;
    let (envelope, _) = write.events.first()?;
    (position <= write.expected.position).then(|| id_taken(partition, &envelope.id, position))
}

/// The heads of writes whose last event stands here. They stand in one piece.
fn heads_up_to(last: u64, writes: &[Sealed]) -> Vec<Head> {
    let count: usize = writes.iter().map(|write| write.events.len()).sum();
    heads_after(last.saturating_sub(count as u64), writes)
}

fn heads_after(start: u64, writes: &[Sealed]) -> Vec<Head> {
    let mut position = start;
    let head = |write: &Sealed| {
        position += write.events.len() as u64;
        let hash = write.events.last().map_or(write.expected.hash, |(_, hash)| *hash);
        Head { position, hash }
    };
    writes.iter().map(head).collect()
}
