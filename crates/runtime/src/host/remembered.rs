//! Which commands with an idempotency key became fact lately, so that asking again does nothing twice.

use crate::terms::Key;
use chrono::Duration;
use nightshift_domain::{Chain, Time};
use nightshift_protocol::envelope::{Command, Hash};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a key counts, by the time of the log.
const KEPT: Duration = Duration::hours(24);
/// How often those that are too old are cleared away, by the time of the log.
const CLEARED: Duration = Duration::hours(1);

/// The keys of this service, of all its instances: each stands in the log, on what its command made fact.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// By the caller's hash and the key, with a space between them.
    commands: BTreeMap<String, Known>,
    /// When the last ones were cleared away.
    cleared: Option<Time>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    request: Hash,
    newest: Time,
    made: Vec<Made>,
}

/// What a command made fact on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) chain: Chain,
    /// Where the last of its events stands in the partition; the others stand right before it.
    pub(crate) position: u64,
    pub(crate) events: u32,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    New,
    /// It did this.
    Done(Made),
    /// It was used for another request.
    Other,
}

impl Remembered {
    /// Takes note of what a command made fact.
    pub(super) fn note(&mut self, command: &Command, chain: &Chain, position: u64, at: Time) {
        let made = Made { chain: chain.clone(), position, events: command.events };
        let name = name(&command.caller, &command.key);
        let new = || Known { request: command.request, newest: at, made: Vec::new() };
        let known = self.commands.entry(name).or_insert_with(new);
        // A key that had been forgotten counts anew.
        if known.request != command.request || known.newest + KEPT < at {
            *known = new();
        }
        known.newest = known.newest.max(at);
        if !known.made.contains(&made) {
            known.made.push(made);
        }
        self.clear(at);
    }

    /// What the key did; `now` is the newest moment of the log.
    pub(super) fn find(&self, key: &Key, part: Option<&Chain>, now: Time) -> Before {
        let known = self.commands.get(&name(&key.caller, &key.key));
        let Some(known) = known.filter(|known| known.newest + KEPT >= now) else { return Before::New };
        if known.request != key.request {
            return Before::Other;
        }
        let made = known.made.iter().find(|made| part.is_none_or(|part| made.chain == *part));
        made.map_or(Before::New, |made| Before::Done(made.clone()))
    }

    fn clear(&mut self, now: Time) {
        if *self.cleared.get_or_insert(now) + CLEARED < now {
            self.cleared = Some(now);
            self.commands.retain(|_, known| known.newest + KEPT >= now);
        }
    }
}

fn name(caller: &Hash, key: &str) -> String {
    format!("{} {key}", hex::encode(caller))
}

impl Key {
    /// As it is written into the log.
    pub(super) fn command(&self, events: usize) -> Command {
        let Self { key, caller, request } = self.clone();
        Command { key, caller, request, events: u32::try_from(events).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::Partition;

    fn key(caller: u8, key: &str, request: u8) -> Key {
        Key { key: key.into(), caller: [caller; 32], request: [request; 32] }
    }

    fn at(hours: i64) -> Time {
        Time::UNIX_EPOCH + Duration::hours(hours)
    }

    #[test]
    fn a_key_counts_for_its_caller_and_its_request_for_a_day() {
        let (fleet, rollout) = (Chain::Whole(Partition::Fleet), Chain::Whole(Partition::Rollout));
        let mut remembered = Remembered::default();
        let first = key(1, "k", 1);
        remembered.note(&first.command(2), &fleet, 7, at(0));
        let made = Made { chain: fleet.clone(), position: 7, events: 2 };
        let find = |remembered: &Remembered, key: Key, now| remembered.find(&key, None, now);
        assert_eq!(find(&remembered, first.clone(), at(24)), Before::Done(made.clone()));
        assert_eq!(remembered.find(&first, Some(&fleet), at(1)), Before::Done(made));
        assert_eq!(remembered.find(&first, Some(&rollout), at(1)), Before::New);
        assert_eq!(find(&remembered, key(1, "k", 2), at(1)), Before::Other);
        assert_eq!(find(&remembered, key(2, "k", 2), at(1)), Before::New);
        assert_eq!(find(&remembered, key(1, "l", 2), at(1)), Before::New);
        assert_eq!(find(&remembered, key(1, "k", 2), at(25)), Before::New);
        // It may be used anew, and what is too old takes no room.
        remembered.note(&key(1, "k", 2).command(1), &fleet, 9, at(25));
        assert_eq!(find(&remembered, first, at(25)), Before::Other);
        remembered.note(&key(1, "m", 2).command(1), &fleet, 10, at(100));
        assert_eq!(remembered.commands.len(), 1);
    }
}
