//! What every mind is: state from facts, decisions from state and the time.

use crate::event::{Chain, Event, Partition};
use crate::id::RegionName;
use chrono::{DateTime, Utc};

/// A moment. Minds never ask for it: it is always an argument.
pub type Time = DateTime<Utc>;

/// An event as the log holds it, as far as a mind may know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Where it is recorded: of a region's fact, the region.
    pub partition: Partition,
    /// When the writer decided it.
    pub at: Time,
    /// What happened.
    pub event: Event,
}

impl Fact {
    /// The region in whose partition the fact is; `None` for the fleet's and the rollouts'.
    pub fn region(&self) -> Option<&RegionName> {
        match &self.partition {
            Partition::Region(region) => Some(region),
            _ => None,
        }
    }
}

/// Facts to append together to one chain: all of them or none, and only if nothing was appended to the chain since.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The chain whose newest event the decision rests on.
    pub chain: Chain,
    /// What is to become fact, in this order; never empty.
    pub events: Vec<Event>,
}

/// What a mind wants to read: a whole partition, or one kind of aggregate in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Follow {
    /// The partition to read.
    pub partition: Partition,
    /// Only aggregates of this kind (`run`, `agent`, …); all of them if absent.
    pub kind: Option<&'static str>,
}

impl Follow {
    /// The whole partition.
    pub fn all(partition: Partition) -> Self {
        Self { partition, kind: None }
    }

    /// One kind of aggregate of the partition.
    pub fn kind(partition: Partition, kind: &'static str) -> Self {
        Self { partition, kind: Some(kind) }
    }
}

/// One account of facts and the decisions that follow from it.
///
/// A mind sees each chain's facts in order and exactly once; facts of different chains in any order.
pub trait Mind {
    /// Takes a fact into the account. Never fails and never decides: a fact that means nothing here is passed over.
    fn apply(&mut self, fact: &Fact);

    /// What should become fact now. Applying the answer and asking again must come to rest: the answer to a state
    /// in which nothing is to be done is empty.
    fn decide(&self, now: Time) -> Vec<Decision>;

    /// When the clock alone could change the answer of [`Mind::decide`]; `None` if only a fact can.
    fn next_wake(&self, now: Time) -> Option<Time>;

    /// What this mind needs to read. May grow with the facts (a new region brings a new partition).
    fn follows(&self) -> Vec<Follow>;
}
