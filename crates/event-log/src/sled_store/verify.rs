//! Reads everything once when the log is opened: nothing is built on a log that is damaged.

use super::record::{self, Assembly, Place};
use crate::selection::damaged;
use crate::{Head, ReadError};
use nightshift_domain::{Chain, Partition};
use nightshift_protocol::envelope::Hash;
use sled::Db;
use std::collections::{BTreeMap, HashMap};

/// What a sound log holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The newest position of each partition.
    pub(super) newest: BTreeMap<Partition, u64>,
    /// All events of all partitions.
    pub(super) events: u64,
}

/// Checks every event, every chain and the indexes.
pub(super) fn verify(db: &Db) -> Result<Contents, ReadError> {
    let mut contents = Contents::default();
    let mut heads: HashMap<Chain, Head> = HashMap::new();
    let mut assembly = Assembly::default();
    let mut last: Option<Place> = None;
    for entry in db.scan_prefix(record::EVENTS) {
        let at = |cause: String| match &last {
            Some(place) => damaged(&place.partition, place.position, cause),
            None => damaged(&Partition::Fleet, 0, cause),
        };
        let (key, value) = entry.map_err(|error| at(error.to_string()))?;
        let place = record::place(&key).ok_or_else(|| at("what follows is no event".into()))?;
        let partition = &place.partition;
        let newest = contents.newest.entry(partition.clone()).or_default();
        let moved_on = last.as_ref().is_some_and(|last| last.partition != *partition);
        if assembly.is_open() && (moved_on || place.position != *newest + 1) {
            return Err(at("the end of the event is missing".into()));
        }
        let here = |cause: String| damaged(partition, place.position, cause);
        if place.position != *newest + 1 {
            return Err(here(format!("the event at position {} is missing", *newest + 1)));
        }
        if let Some((recorded, hash)) = assembly.push(&place, &value).map_err(here)? {
            *newest = place.position;
            contents.events += 1;
            let chain = recorded.envelope.chain().map_err(|error| here(error.to_string()))?;
            link(&mut heads, chain, place.position, &recorded.envelope.previous_hash, hash).map_err(here)?;
        }
        last = Some(place);
    }
    if let Some(place) = last.filter(|_| assembly.is_open()) {
        return Err(damaged(&place.partition, place.position, "the end of the event is missing"));
    }
    check_heads(db, &heads)?;
    check_ids(db, contents.events)?;
    Ok(contents)
}

/// The event continues its chain.
fn link(
    heads: &mut HashMap<Chain, Head>,
    chain: Chain,
    position: u64,
    previous: &Hash,
    hash: Hash,
) -> Result<(), String> {
    let head = heads.get(&chain).copied().unwrap_or(Head::START);
    if *previous != head.hash {
        return Err(format!(
            "the event does not follow the one at position {} of chain {chain}",
            head.position
        ));
    }
    heads.insert(chain, Head { position, hash });
    Ok(())
}

fn check_heads(db: &Db, heads: &HashMap<Chain, Head>) -> Result<(), ReadError> {
    for (chain, head) in heads {
        let wrong = |cause: String| damaged(&chain.partition(), head.position, cause);
        let stored = db.get(record::head_key(chain)).map_err(|error| wrong(error.to_string()))?;
        if stored.and_then(|bytes| record::decode_head(&bytes)) != Some(*head) {
            return Err(wrong(format!("the index of chain {chain} does not match its events")));
        }
    }
    check_count(db, record::HEADS, heads.len() as u64, "chains")
}

fn check_ids(db: &Db, events: u64) -> Result<(), ReadError> {
    check_count(db, record::IDS, events, "event ids")
}

fn check_count(db: &Db, prefix: &[u8], expected: u64, what: &str) -> Result<(), ReadError> {
    let whole = |cause: String| damaged(&Partition::Fleet, 0, cause);
    let mut count = 0;
    for key in db.scan_prefix(prefix).keys() {
        key.map_err(|error| whole(error.to_string()))?;
        count += 1;
    }
    if count != expected {
        return Err(whole(format!("the index of {what} holds {count}, but the events say {expected}")));
    }
    Ok(())
}
