//! What people see of a webhook: what waits, since when and why. Kept in memory, for it is true of this process alone.

use nightshift_domain::{Partition, Time};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

#[derive(Default)]
pub(super) struct State {
    seen: Mutex<Seen>,
    /// How often a person had everything tried again.
    retried: watch::Sender<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) delivered: u64,
    pub(super) last_delivered_at: Option<Time>,
    /// Partitions whose next event was not taken.
    pub(super) waiting: BTreeMap<Partition, Waiting>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    pub(super) why: String,
    pub(super) since: Time,
    /// Absent while nothing is tried.
    pub(super) next_try: Option<Time>,
}

impl State {
    pub(super) fn taken(&self, partition: &Partition, now: Time) {
        let mut seen = self.lock();
        seen.delivered += 1;
        seen.last_delivered_at = Some(now);
        seen.waiting.remove(partition);
    }

    pub(super) fn waits(&self, partition: &Partition, why: String, now: Time, next_try: Option<Time>) {
        let mut seen = self.lock();
        let since = seen.waiting.get(partition).map_or(now, |waiting| waiting.since);
        seen.waiting.insert(partition.clone(), Waiting { why, since, next_try });
    }

    pub(super) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    pub(super) fn retry(&self) {
        self.retried.send_modify(|times| *times += 1);
    }

    /// Wakes whoever holds it at each retry from now on.
    pub(super) fn retries(&self) -> watch::Receiver<u64> {
        self.retried.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing in here can panic half-way through a change.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
