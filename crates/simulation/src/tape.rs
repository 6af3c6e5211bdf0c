//! The world's log: partitions, chains, expected versions; or, for a fleet too large to keep it, only its counts.

use nightshift_audit::Record;
use nightshift_domain::{Chain, Decision, Event, Fact, Partition, Time};
use std::collections::{BTreeMap, HashMap};

/// What was appended.
#[derive(Debug, Default)]
pub struct Tape {
    keep: bool,
    partitions: HashMap<Partition, Vec<Entry>>,
    heads: HashMap<Chain, u64>,
    newest: Option<Time>,
    /// Events appended, kept or not.
    pub events: u64,
}

/// One event, with its place in its chain (from 1).
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub fact: Fact,
    pub chain: Chain,
    pub version: u64,
}

impl Tape {
    /// An empty log that keeps its events.
    pub fn keeping() -> Self {
        Self { keep: true, ..Self::default() }
    }

    /// An empty log that only counts.
    pub fn counting() -> Self {
        Self::default()
    }

    /// Whether the events are kept.
    pub fn is_kept(&self) -> bool {
        self.keep
    }

    /// Appends a decision if nothing was appended to its chain since the version on which it rests.
    pub(crate) fn append(&mut self, decision: &Decision, expected: u64, at: Time) -> Option<Vec<Entry>> {
        let head = self.heads.get(&decision.chain).copied().unwrap_or(0);
        if head != expected {
            return None;
        }
        let partition = decision.chain.partition();
        let entries: Vec<Entry> = (head + 1..)
            .zip(&decision.events)
            .map(|(version, event)| {
                let fact = Fact { partition: partition.clone(), at, event: event.clone() };
                Entry { fact, chain: decision.chain.clone(), version }
            })
            .collect();
        self.heads.insert(decision.chain.clone(), head + entries.len() as u64);
        self.events += entries.len() as u64;
        self.newest = self.newest.max(Some(at));
        if self.keep {
            self.partitions.entry(partition).or_default().extend(entries.iter().cloned());
        }
        Some(entries)
    }

    /// Appends to the end of a chain, whatever is there: for what is no service's decision.
    pub(crate) fn push(&mut self, partition: &Partition, event: Event, at: Time) -> Vec<Entry> {
        let chain = Chain::of(partition, &event.aggregate());
        let head = self.heads.get(&chain).copied().unwrap_or(0);
        self.append(&Decision { chain, events: vec![event] }, head, at).unwrap_or_default()
    }

    /// When the newest event was recorded.
    pub(crate) fn newest(&self) -> Time {
        self.newest.unwrap_or(Time::MIN_UTC)
    }

    pub(crate) fn partition(&self, partition: &Partition) -> &[Entry] {
        self.partitions.get(partition).map_or(&[], Vec::as_slice)
    }

    /// Every fact that was kept, partition by partition.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.sorted().flat_map(|(_, entries)| entries).map(|entry| &entry.fact)
    }

    /// The log as the auditor reads it.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.sorted().flat_map(|(partition, entries)| {
            (1..).zip(entries).map(move |(position, entry)| Record {
                partition: partition.clone(),
                position,
                at: entry.fact.at,
                event: entry.fact.event.clone(),
            })
        })
    }

    fn sorted(&self) -> impl Iterator<Item = (&Partition, &Vec<Entry>)> {
        self.partitions.iter().collect::<BTreeMap<_, _>>().into_iter()
    }
}
