//! Appends decisions: what waits together goes together, what conflicts goes alone, what is unknown is tried again
//! until it is known.

use super::reader::Reader;
use super::{Clock, Dress};
use nightshift_domain::{Chain, Decision, Event, Fact, Partition, Time};
use nightshift_event_log::{AppendError, Draft, EventLog, Head, Write};
use nightshift_protocol::envelope::Command;
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

/// What is to become fact.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) decision: Decision,
    /// The command that its last event will name, if that had an idempotency key.
    pub(super) command: Option<Command>,
}

/// With its place among those that were handed in.
type Placed = (usize, Wanted);
/// For each what became fact, by its place; in parts, if it was cut.
pub(super) type Results = Vec<(usize, Result<Vec<Arc<Fact>>, AppendError>)>;

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

    /// Appends all decisions; returns for each the facts.
    ///
    /// No fact is recorded as older than the newest that its decision may rest on (`newest`), however the services'
    /// clocks differ: across partitions, time is the only order there is.
    pub(super) async fn append(&self, reader: &mut Reader, wanted: Vec<Wanted>, newest: Time) -> Results {
        let at = self.clock.now().max(newest);
        let mut results = Vec::new();
        for (partition, group) in by_partition(self.dressed(wanted)) {
            for together in chunks(group) {
                self.append_group(reader, &partition, together, at, &mut results).await;
            }
        }
        results
    }

    fn dressed(&self, mut wanted: Vec<Wanted>) -> Vec<Wanted> {
        if let Some(dress) = &self.dress {
            for Wanted { decision, .. } in &mut wanted {
                decision.events = std::mem::take(&mut decision.events).into_iter().map(dress).collect();
            }
        }
        wanted
    }

    /// All together; if somebody else was first on one of the chains, each by itself.
    async fn append_group(
        &self,
        reader: &mut Reader,
        partition: &Partition,
        group: Vec<Placed>,
        at: Time,
        results: &mut Results,
    ) {
        match self.append_once(reader, partition, &group, at).await {
            Ok(facts) => results.extend(group.iter().map(|(place, _)| *place).zip(facts.into_iter().map(Ok))),
            Err(AppendError::Conflict { .. }) if group.len() > 1 => {
                for alone in group {
                    let place = alone.0;
                    let appended = self.append_once(reader, partition, &[alone], at).await;
                    results.push((place, appended.map(|facts| facts.into_iter().flatten().collect())));
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

    /// The facts of each.
    async fn append_once(
        &self,
        reader: &mut Reader,
        partition: &Partition,
        group: &[Placed],
        at: Time,
    ) -> Result<Vec<Vec<Arc<Fact>>>, AppendError> {
        let writes: Vec<Write> = group.iter().map(|(_, wanted)| self.write(reader, wanted, at)).collect();
        let heads = self.append_until_known(partition, writes).await?;
        for ((_, Wanted { decision, command }), head) in group.iter().zip(heads) {
            reader.appended(&decision.chain, head, command.as_ref(), at);
        }
        let fact = |event: &Event| Arc::new(Fact { partition: partition.clone(), at, event: event.clone() });
        Ok(group.iter().map(|(_, wanted)| wanted.decision.events.iter().map(fact).collect()).collect())
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

    fn write(&self, reader: &Reader, wanted: &Wanted, at: Time) -> Write {
        let Wanted { decision, command } = wanted;
        let draft = |event: &Event| Draft {
            id: Uuid::new_v4(),
            source: self.name,
            at,
            event: event.clone(),
            traceparent: None,
            command: None,
        };
        let mut events: Vec<Draft> = decision.events.iter().map(draft).collect();
        if let Some(last) = events.last_mut() {
            last.command.clone_from(command);
        }
        Write { chain: decision.chain.clone(), expected: reader.head(&decision.chain), events }
    }
}

fn by_partition(wanted: Vec<Wanted>) -> BTreeMap<Partition, Vec<Placed>> {
    let mut groups: BTreeMap<Partition, Vec<Placed>> = BTreeMap::new();
    for (place, wanted) in wanted.into_iter().enumerate() {
        groups.entry(wanted.decision.chain.partition()).or_default().push((place, wanted));
    }
    groups
}

/// Groups that the log can take. No chain twice in one; a decision that is too long is cut, and its parts follow one
/// another: the last one names the command, so that one that was cut off is not taken for done.
fn chunks(group: Vec<Placed>) -> Vec<Vec<Placed>> {
    let mut chunks: Vec<Vec<Placed>> = Vec::new();
    let mut events = 0;
    let mut chains: Vec<Chain> = Vec::new();
    for (place, Wanted { decision, mut command }) in group {
        let parts = decision.events.chunks(EVENTS_PER_APPEND);
        let count = parts.len();
        for (number, part) in parts.enumerate() {
            let fits = events + part.len() <= EVENTS_PER_APPEND && !chains.contains(&decision.chain);
            if !fits || chunks.is_empty() {
                chunks.push(Vec::new());
                events = 0;
                chains.clear();
            }
            events += part.len();
            chains.push(decision.chain.clone());
            let decision = Decision { chain: decision.chain.clone(), events: part.to_vec() };
            let command = if number + 1 == count { command.take() } else { None };
            chunks.last_mut().into_iter().for_each(|chunk| {
                chunk.push((place, Wanted { decision: decision.clone(), command: command.clone() }));
            });
        }
    }
    chunks
}
