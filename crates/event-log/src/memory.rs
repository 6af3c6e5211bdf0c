//! The log in memory: for tests and for the simulator. Forgets everything when it is dropped.

use crate::admission::{self, Index, Sealed};
use crate::selection::{selects, went_back};
use crate::tail::tail;
use crate::{AppendError, EventLog, Head, Page, ReadError, Recorded, Write};
use async_trait::async_trait;
use futures::stream::BoxStream;
use nightshift_domain::{Chain, Follow, Partition};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A log that lives as long as its process. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<Partition, Records>,
    heads: BTreeMap<Chain, Head>,
    ids: HashMap<String, Head>,
}

#[derive(Debug, Default)]
struct Records {
    events: Vec<Recorded>,
    newest: watch::Sender<u64>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        let state = self.state();
        let events = state.partitions.get(&follow.partition).map_or(&[][..], |records| &records.events);
        let newest = events.len() as u64;
        if after > newest {
            return Err(went_back(&follow.partition, newest, after));
        }
        let rest = events.get(after as usize..).unwrap_or_default();
        let chosen = rest.iter().filter(|recorded| selects(follow, &recorded.envelope));
        let events: Vec<Recorded> = chosen.take(limit.max(1)).cloned().collect();
        let read_to = match events.last() {
            Some(last) if events.len() >= limit.max(1) => last.position,
            _ => newest,
        };
        Ok(Page { events, read_to, at_end: read_to == newest })
    }
}

impl Index for State {
    fn head(&self, chain: &Chain) -> Result<Head, String> {
        Ok(self.heads.get(chain).copied().unwrap_or(Head::START))
    }

    fn find(&self, id: &str) -> Result<Option<Head>, String> {
        Ok(self.ids.get(id).copied())
    }
}

impl State {
    fn take(&mut self, partition: &Partition, writes: Vec<Sealed>) -> Vec<Head> {
        let records = self.partitions.entry(partition.clone()).or_default();
        let mut heads = Vec::new();
        for write in writes {
            let mut head = write.expected;
            for (envelope, hash) in write.events {
                head = Head { position: records.events.len() as u64 + 1, hash };
                self.ids.insert(envelope.id.clone(), head);
                records.events.push(Recorded { position: head.position, envelope });
            }
            self.heads.insert(write.chain, head);
            heads.push(head);
        }
        records.newest.send_replace(records.events.len() as u64);
        heads
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, partition: &Partition, writes: Vec<Write>) -> Result<Vec<Head>, AppendError> {
        let writes = admission::seal(partition, &writes)?;
        let mut state = self.state();
        match admission::admit(&*state, partition, &writes)? {
            Some(landed) => Ok(landed),
            None => Ok(state.take(partition, writes)),
        }
    }

    async fn read(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        self.page(follow, after, limit)
    }

    async fn subscribe(
        &self,
        follow: &Follow,
        after: u64,
    ) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError> {
        self.page(follow, after, 1)?;
        let newest = self.state().partitions.entry(follow.partition.clone()).or_default().newest.subscribe();
        let (log, follow) = (self.clone(), follow.clone());
        let read = Box::new(move |after, limit| -> futures::future::BoxFuture<'static, _> {
            Box::pin(std::future::ready(log.page(&follow, after, limit)))
        });
        Ok(tail(read, newest, after))
    }

    async fn newest(&self, partition: &Partition) -> Result<u64, ReadError> {
        Ok(self.state().partitions.get(partition).map_or(0, |records| records.events.len() as u64))
    }

    async fn partitions(&self) -> Result<Vec<Partition>, ReadError> {
        let state = self.state();
        let holds_some = |(_, records): &(&Partition, &Records)| !records.events.is_empty();
        Ok(state.partitions.iter().filter(holds_some).map(|(partition, _)| partition.clone()).collect())
    }
}
