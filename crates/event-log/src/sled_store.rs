//! The log in a folder of this machine, for one process (`nightshift up`). Built on sled 0.34, by the rules that its
//! faults ask for: `docs/adr/`, and the modules below say which and why.

mod committer;
mod disk;
mod record;
mod verify;
mod witness;

use crate::admission;
use crate::selection::{damaged, selects, unavailable, went_back};
use crate::tail::tail;
use crate::{AppendError, EventLog, Head, Page, ReadError, Recorded, Write};
use async_trait::async_trait;
use committer::{Committer, Durable, Job};
use disk::Disk;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use nightshift_domain::{Follow, Partition};
use sled::Db;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use verify::Contents;
use witness::Witness;

const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Appends that may wait; beyond that, who appends waits.
const WAITING: usize = 4_096;
/// Events that one read looks at, so that a rare kind does not make it endless.
const LOOKED_AT: usize = 20_000;

/// A log in a folder. Only one may be open at a time.
pub struct SledLog {
    store: Store,
    jobs: Option<mpsc::Sender<Job>>,
    committer: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Store {
    db: Db,
    durable: Arc<Durable>,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody has it open.
    #[error("{path}: another process has this log open: end it first, or give this one another folder")]
    InUse {
        /// The log's folder.
        path: PathBuf,
    },
    /// What it holds must not be built upon.
    #[error(
        "{path}: the log is damaged ({cause}): move the folder away, and put a good copy in its place or begin anew"
    )]
    Damaged {
        /// The log's folder.
        path: PathBuf,
        /// Where and how.
        cause: String,
    },
    /// The folder cannot be used.
    #[error("{path}: the log cannot be opened: {cause}")]
    Unusable {
        /// The log's folder.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
}

impl SledLog {
    /// Opens the log in this folder, or makes a new one, and checks all that it holds.
    ///
    /// Blocks for as long as reading everything once takes.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let unusable = |error: std::io::Error| unusable(path, &error);
        std::fs::create_dir_all(path).map_err(unusable)?;
        let (db, contents) = open_sound(path)?;
        let mut witness = Witness::open(path).map_err(unusable)?;
        if witness.acknowledged() > contents.events {
            let cause = format!(
                "it went back: it holds {} events, but {} were acknowledged",
                contents.events,
                witness.acknowledged()
            );
            return Err(OpenError::Damaged { path: path.to_owned(), cause });
        }
        // What was written but not acknowledged before the last end is there for all to see from now on.
        let disk = Disk::new(path).map_err(unusable)?;
        witness.note(contents.events).map_err(unusable)?;
        let durable = Arc::new(Durable::default());
        contents.newest.iter().for_each(|(partition, position)| durable.set(partition, *position));
        let committer = Committer { db: db.clone(), disk, witness, durable: durable.clone(), broken: None };
        let (jobs, waiting) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new().name("log-committer".into());
        let committer = thread.spawn(move || committer.run(waiting)).map_err(unusable)?;
        Ok(Self { store: Store { db, durable }, jobs: Some(jobs), committer: Some(committer) })
    }
}

impl Drop for SledLog {
    /// Waits for the appends that are under way, so that the folder is free afterwards.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(committer) = self.committer.take() {
            // It answered nobody if it panicked, and everybody knows that such an append is unknown.
            let _ = committer.join();
        }
    }
}

/// sled panics where it finds a file damaged, when it opens it or later when it reads it.
fn open_sound(path: &Path) -> Result<(Db, Contents), OpenError> {
    let damaged = |cause: String| OpenError::Damaged { path: path.to_owned(), cause };
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()));
    let db = match opened {
        Ok(Ok(db)) => db,
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
            return Err(OpenError::InUse { path: path.to_owned() });
        }
        Ok(Err(sled::Error::Io(error))) => return Err(unusable(path, &error)),
        Ok(Err(error)) => return Err(damaged(error.to_string())),
        Err(panic) => return Err(damaged(said(panic.as_ref()))),
    };
    let verified = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| verify::verify(&db)));
    match verified {
        Ok(Ok(contents)) => Ok((db, contents)),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(panic) => Err(damaged(said(panic.as_ref()))),
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), cause: error.to_string() }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("sled gave up: {}", text.unwrap_or("without a reason"))
}

impl Store {
    async fn page(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        let (store, of) = (self.clone(), follow.clone());
        let read = tokio::task::spawn_blocking(move || store.page_now(&of, after, limit.max(1)));
        match read.await {
            Ok(page) => page,
            Err(error) if error.is_panic() => {
                Err(damaged(&follow.partition, after, said(error.into_panic().as_ref())))
            }
            Err(_) => Err(unavailable(&follow.partition, "the process is ending")),
        }
    }

    fn page_now(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        let partition = &follow.partition;
        let newest = self.durable.newest(partition);
        if after > newest {
            return Err(went_back(partition, newest, after));
        }
        let prefix = record::partition_prefix(partition);
        let range = record::event_key(&prefix, after + 1)..record::event_key(&prefix, newest + 1);
        let mut page = Page { events: Vec::new(), read_to: after, at_end: false };
        let mut assembly = record::Assembly::default();
        let mut looked_at = 0;
        for entry in self.db.range(range) {
            let here = |cause: String| damaged(partition, page.read_to + 1, cause);
            let (key, value) = entry.map_err(|error| unavailable(partition, error.to_string()))?;
            let place = record::place(&key).ok_or_else(|| here("no event".into()))?;
            if place.position != page.read_to + 1 {
                return Err(here("the event is missing".into()));
            }
            let Some((recorded, _)) = assembly.push(&place, &value).map_err(here)? else { continue };
            page.read_to = recorded.position;
            looked_at += 1;
            if selects(follow, &recorded.envelope) {
                page.events.push(recorded);
            }
            if page.events.len() >= limit || looked_at >= LOOKED_AT {
                break;
            }
        }
        if looked_at == 0 && newest > after {
            return Err(damaged(partition, after + 1, "the event is missing"));
        }
        page.at_end = page.read_to >= newest;
        Ok(page)
    }
}

#[async_trait]
impl EventLog for SledLog {
    async fn append(&self, partition: &Partition, writes: Vec<Write>) -> Result<Vec<Head>, AppendError> {
        let ended = || admission::unknown(partition, "the log's writer has ended: start again");
        let writes = admission::seal(partition, &writes)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { partition: partition.clone(), writes, reply };
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    async fn read(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        self.store.page(follow, after, limit).await
    }

    async fn subscribe(
        &self,
        follow: &Follow,
        after: u64,
    ) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError> {
        let newest = self.store.durable.newest(&follow.partition);
        if after > newest {
            return Err(went_back(&follow.partition, newest, after));
        }
        let (store, of) = (self.store.clone(), follow.clone());
        let read = Box::new(move |after, limit| -> BoxFuture<'static, Result<Page, ReadError>> {
            let (store, of) = (store.clone(), of.clone());
            Box::pin(async move { store.page(&of, after, limit).await })
        });
        Ok(tail(read, self.store.durable.watch(&follow.partition), after))
    }

    async fn newest(&self, partition: &Partition) -> Result<u64, ReadError> {
        Ok(self.store.durable.newest(partition))
    }

    async fn partitions(&self) -> Result<Vec<Partition>, ReadError> {
        Ok(self.store.durable.partitions())
    }
}
