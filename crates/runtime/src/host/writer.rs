//! Appends decisions: what waits together goes together, what conflicts goes alone, what is unknown is tried again
//! until it is known.

use super::reader::Reader;
use super::{Clock, Dress};
use nightshift_domain::{Chain, Decision, Fact, Partition, Time};
use nightshift_event_log::{AppendError, Draft, EventLog, Head, Write};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The most events that one append may hold (NATS: 1,000 messages in an atomic batch).
const EVENTS_PER_APPEND: usize = 1_000;
/// Between two tries of an append of which nothing is known.
const RETRY: Duration = Duration::from_millis(250);

pub(super) struct Writer {
    name: &'static str,
    dress: Option<Dress>,
    log: Arc<dyn EventLog>,
    clock: Clock,
    shutdown: CancellationToken,
}

/// A decision, with its place among those that were handed in.
type Placed = (usize, Decision);
type Results = Vec<(usize, Result<usize, AppendError>)>;

impl Writer {
    pub(super) fn new(
        name: &'static str,
        dress: Option<Dress>,
        log: Arc<dyn EventLog>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Self {
        Self { name, dress, log, clock, shutdown }
    }

    /// Appends all decisions; returns for each how many events became fact, and the facts.
    ///
    /// No fact is recorded as older than the newest that its decision may rest on (`newest`), however the services'
    /// clocks differ: across partitions, time is the only order there is.
    pub(super) async fn append(
        &self,
        reader: &mut Reader,
        decisions: Vec<Decision>,
        newest: Time,
    ) -> (Results, Vec<Fact>) {
        let at = self.clock.now().max(newest);
        let mut results = Vec::new();
        let mut facts = Vec::new();
        for (partition, group) in by_partition(self.dressed(decisions)) {
            for together in chunks(group) {
                self.append_group(reader, &partition, together, at, &mut results, &mut facts).await;
            }
        }
        (results, facts)
    }

    fn dressed(&self, mut decisions: Vec<Decision>) -> Vec<Decision> {
        if let Some(dress) = &self.dress {
            for decision in &mut decisions {
                decision.events = std::mem::take(&mut decision.events).into_iter().map(dress).collect();
            }
        }
        decisions
    }

    /// All together; if somebody else was first on one of the chains, each by itself.
    async fn append_group(
        &self,
        reader: &mut Reader,
        partition: &Partition,
        group: Vec<Placed>,
        at: Time,
        results: &mut Results,
        facts: &mut Vec<Fact>,
    ) {
        match self.append_once(reader, partition, &group, at).await {
            Ok(new) => {
                results.extend(group.iter().map(|(place, decision)| (*place, Ok(decision.events.len()))));
                facts.extend(new);
            }
            Err(AppendError::Conflict { .. }) if group.len() > 1 => {
                for alone in group {
                    let place = alone.0;
                    let appended = self.append_once(reader, partition, &[alone], at).await;
                    results.push((
                        place,
                        appended.map(|new| {
                            let count = new.len();
                            facts.extend(new);
                            count
                        }),
                    ));
                }
            }
            Err(error) => {
                let cause = error.to_string();
                let mut first = Some(error);
                results.extend(group.iter().map(|(place, _)| {
                    let again =
                        || AppendError::Rejected { partition: partition.clone(), cause: cause.clone() };
                    (*place, Err(first.take().unwrap_or_else(again)))
                }));
            }
        }
    }

    async fn append_once(
        &self,
        reader: &mut Reader,
        partition: &Partition,
        group: &[Placed],
        at: Time,
    ) -> Result<Vec<Fact>, AppendError> {
        let writes: Vec<Write> = group.iter().map(|(_, decision)| self.write(reader, decision, at)).collect();
        let heads = self.append_until_known(partition, writes).await?;
        for ((_, decision), head) in group.iter().zip(heads) {
            reader.appended(decision.chain.clone(), head);
        }
        let events = group.iter().flat_map(|(_, decision)| decision.events.iter().cloned());
        Ok(events.map(|event| Fact { partition: partition.clone(), at, event }).collect())
    }

    /// The very same writes until the log says yes or no: their ids make that safe.
    async fn append_until_known(
        &self,
        partition: &Partition,
        writes: Vec<Write>,
    ) -> Result<Vec<Head>, AppendError> {
        loop {
            match self.log.append(partition, writes.clone()).await {
                Err(error @ AppendError::Unknown { .. }) => {
                    tracing::warn!(%error, "trying again");
                    tokio::select! {
                        () = self.shutdown.cancelled() => return Err(error),
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
                known => return known,
            }
        }
    }

    fn write(&self, reader: &Reader, decision: &Decision, at: Time) -> Write {
        let draft = |event: &nightshift_domain::Event| Draft {
            id: Uuid::new_v4(),
            source: self.name,
            at,
            event: event.clone(),
            traceparent: None,
        };
        Write {
            chain: decision.chain.clone(),
            expected: reader.head(&decision.chain),
            events: decision.events.iter().map(draft).collect(),
        }
    }
}

fn by_partition(decisions: Vec<Decision>) -> BTreeMap<Partition, Vec<Placed>> {
    let mut groups: BTreeMap<Partition, Vec<Placed>> = BTreeMap::new();
    for (place, decision) in decisions.into_iter().enumerate() {
        groups.entry(decision.chain.partition()).or_default().push((place, decision));
    }
    groups
}

/// Groups that the log can take. No chain twice in one; a decision that is too long is cut, and its parts follow one
/// another.
fn chunks(group: Vec<Placed>) -> Vec<Vec<Placed>> {
    let mut chunks: Vec<Vec<Placed>> = Vec::new();
    let mut events = 0;
    let mut chains: Vec<Chain> = Vec::new();
    for (place, decision) in group {
        for part in decision.events.chunks(EVENTS_PER_APPEND) {
            let fits = events + part.len() <= EVENTS_PER_APPEND && !chains.contains(&decision.chain);
            if !fits || chunks.is_empty() {
                chunks.push(Vec::new());
                events = 0;
                chains.clear();
            }
            events += part.len();
            chains.push(decision.chain.clone());
            let part = Decision { chain: decision.chain.clone(), events: part.to_vec() };
            chunks.last_mut().into_iter().for_each(|chunk| chunk.push((place, part.clone())));
        }
    }
    chunks
}
