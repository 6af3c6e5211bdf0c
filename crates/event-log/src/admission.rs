//! What every store asks of an append before it takes it: that it makes sense, and that it rests on the newest head.

use crate::{AppendError, Head, Write};
use nightshift_domain::{Chain, Partition};
use nightshift_protocol::envelope::{Envelope, Hash};
use std::collections::BTreeSet;

/// Events that one append may hold: JetStream's limit of an atomic batch.
pub(crate) const EVENTS_AT_ONCE: usize = 1_000;
/// Bytes that one event may have: JetStream's usual limit of a message (1 MiB), less room for its headers.
pub(crate) const LARGEST_EVENT: usize = 1_000_000;

/// A write, ready for the store.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) chain: Chain,
    pub(crate) expected: Head,
    pub(crate) events: Vec<(Envelope, Hash)>,
}

/// Looks at the writes by themselves, and gives each event its place in its line of hashes.
pub(crate) fn seal(partition: &Partition, writes: &[Write]) -> Result<Vec<Sealed>, AppendError> {
    match fault(partition, writes) {
        Some(cause) => Err(rejected(partition, cause)),
        None => writes.iter().map(|write| seal_one(partition, write)).collect(),
    }
}

fn seal_one(partition: &Partition, write: &Write) -> Result<Sealed, AppendError> {
    let events = write.envelopes();
    if let Some((large, _)) = events.iter().find(|(envelope, _)| envelope.data.len() > LARGEST_EVENT) {
        let (id, size) = (&large.id, large.data.len());
        return Err(rejected(
            partition,
            format!("event {id} has {size} bytes, but an event may have {LARGEST_EVENT}: split it"),
        ));
    }
    Ok(Sealed { chain: write.chain.clone(), expected: write.expected, events })
}

/// What is wrong with the writes, whatever the log holds.
fn fault(partition: &Partition, writes: &[Write]) -> Option<String> {
    if writes.is_empty() {
        return Some("there is nothing to append".into());
    }
    let count: usize = writes.iter().map(|write| write.events.len()).sum();
    if count > EVENTS_AT_ONCE {
        return Some(format!(
            "{count} events, but at most {EVENTS_AT_ONCE} can be appended at once: split them"
        ));
    }
    let mut chains = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for write in writes {
        let chain = &write.chain;
        if chain.partition() != *partition {
            return Some(format!("chain {chain} does not lie in partition {partition}"));
        }
        if matches!(chain, Chain::Whole(Partition::Region(_))) {
            return Some(format!("{chain}: a region's partition is no chain, each of its aggregates is one"));
        }
        if !chains.insert(chain) {
            return Some(format!("chain {chain} occurs twice: put its events into one write"));
        }
        if write.events.is_empty() {
            return Some(format!("the write to chain {chain} holds no event"));
        }
        for draft in &write.events {
            let belongs = Chain::of(partition, &draft.event.aggregate());
            if belongs != *chain {
                return Some(format!("event {} belongs to chain {belongs}, not to {chain}", draft.id));
            }
            if !ids.insert(draft.id) {
                return Some(format!("event id {} occurs twice", draft.id));
            }
        }
    }
    None
}

/// What a store knows, as far as it decides about an append. An error says why the store cannot say.
pub(crate) trait Index {
    /// The newest event of a chain; [`Head::START`] if there is none.
    fn head(&self, chain: &Chain) -> Result<Head, String>;
    /// Position and hash of the event with this id.
    fn find(&self, id: &str) -> Result<Option<Head>, String>;
}

/// The heads, if the writes landed already; `None` if they are to be appended now.
pub(crate) fn admit(
    index: &impl Index,
    partition: &Partition,
    writes: &[Sealed],
) -> Result<Option<Vec<Head>>, AppendError> {
    let mut known = None;
    let mut new = 0;
    for (envelope, hash) in writes.iter().flat_map(|write| &write.events) {
        match index.find(&envelope.id).map_err(|cause| unknown(partition, cause))? {
            // The hash covers the event and all before it: the same hash is the same event in the same place.
            Some(there) if there.hash == *hash => known = Some((&envelope.id, there)),
            Some(there) => return Err(id_taken(partition, &envelope.id, there.position)),
            None => new += 1,
        }
    }
    match known {
        Some((id, there)) if new > 0 => Err(id_taken(partition, id, there.position)),
        Some(_) => landed(index, writes).map(Some).map_err(|cause| unknown(partition, cause)),
        None => writes.iter().try_for_each(|write| admit_one(index, partition, write)).map(|()| None),
    }
}

fn landed(index: &impl Index, writes: &[Sealed]) -> Result<Vec<Head>, String> {
    let last = |write: &Sealed| match write.events.last() {
        Some((envelope, _)) => index.find(&envelope.id).map(|there| there.unwrap_or(Head::START)),
        None => Ok(write.expected),
    };
    writes.iter().map(last).collect()
}

fn admit_one(index: &impl Index, partition: &Partition, write: &Sealed) -> Result<(), AppendError> {
    let head = index.head(&write.chain).map_err(|cause| unknown(partition, cause))?;
    let (expected, actual) = (write.expected.position, head.position);
    if expected != actual {
        return Err(AppendError::Conflict { chain: write.chain.clone(), expected, actual });
    }
    if write.expected.hash != head.hash {
        let cause = format!(
            "the newest event of {} is at position {actual} as expected, but with another hash: \
             the log is not the one that the writer read",
            write.chain
        );
        return Err(rejected(partition, cause));
    }
    Ok(())
}

/// The event's id stands in the log already, but not as part of this very write.
pub(crate) fn id_taken(partition: &Partition, id: &str, position: u64) -> AppendError {
    rejected(
        partition,
        format!(
            "event id {id} is already in the log (position {position}) as part of another write: give new events new ids"
        ),
    )
}

pub(crate) fn rejected(partition: &Partition, cause: impl Into<String>) -> AppendError {
    AppendError::Rejected { partition: partition.clone(), cause: cause.into() }
}

pub(crate) fn unknown(partition: &Partition, cause: impl Into<String>) -> AppendError {
    AppendError::Unknown { partition: partition.clone(), cause: cause.into() }
}
