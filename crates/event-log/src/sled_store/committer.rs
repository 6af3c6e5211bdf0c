//! The one thread that writes: takes up the appends that wait, commits them together, makes them durable once, then
//! acknowledges each.

use super::disk::Disk;
use super::record;
use super::witness::Witness;
use crate::admission::{self, Index, Sealed};
use crate::{AppendError, Head};
use nightshift_domain::{Chain, Partition};
use sled::{Batch, Db};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// Events that share a commit at most.
const EVENTS_TOGETHER: usize = 8_192;

/// The newest durable position of each partition: readers see no further.
#[derive(Debug, Default)]
pub(super) struct Durable(Mutex<BTreeMap<Partition, watch::Sender<u64>>>);

impl Durable {
    pub(super) fn watch(&self, partition: &Partition) -> watch::Receiver<u64> {
        self.with(|newest| newest.entry(partition.clone()).or_default().subscribe())
    }

    pub(super) fn newest(&self, partition: &Partition) -> u64 {
        self.with(|newest| newest.get(partition).map_or(0, |newest| *newest.borrow()))
    }

    pub(super) fn set(&self, partition: &Partition, position: u64) {
        self.with(|newest| newest.entry(partition.clone()).or_default().send_replace(position));
    }

    /// Partitions that hold something.
    pub(super) fn partitions(&self) -> Vec<Partition> {
        let some = |(partition, newest): (&Partition, &watch::Sender<u64>)| {
            (*newest.borrow() > 0).then(|| partition.clone())
        };
        self.with(|newest| newest.iter().filter_map(some).collect())
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<Partition, watch::Sender<u64>>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Answer = Result<Vec<Head>, AppendError>;

/// An append that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) partition: Partition,
    pub(super) writes: Vec<Sealed>,
    pub(super) reply: oneshot::Sender<Answer>,
}

pub(super) struct Committer {
    pub(super) db: Db,
    pub(super) disk: Disk,
    pub(super) witness: Witness,
    pub(super) durable: Arc<Durable>,
    /// Why nothing can be written any more: after a failed write nobody knows what the disk holds.
    pub(super) broken: Option<String>,
}

impl Committer {
    /// Works until nobody can append any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut together = vec![first];
            let mut events = 0;
            while let (true, Ok(job)) = (events < EVENTS_TOGETHER, jobs.try_recv()) {
                events += job.writes.iter().map(|write| write.events.len()).sum::<usize>();
                together.push(job);
            }
            self.commit(together);
        }
    }

    pub(super) fn commit(&mut self, jobs: Vec<Job>) {
        let mut group = Group::new(&self.db, &self.durable);
        let answers: Vec<Answer> = jobs.iter().map(|job| group.take(job)).collect();
        let Group { batch, newest, events, .. } = group;
        if events > 0 && self.broken.is_none() {
            self.broken = self.write(batch, events).err();
        }
        if self.broken.is_none() {
            newest.iter().for_each(|(partition, position)| self.durable.set(partition, *position));
        }
        for (job, answer) in jobs.into_iter().zip(answers) {
            let answer = match &self.broken {
                // Even a refusal may rest on what is not durable.
                Some(cause) => Err(admission::unknown(&job.partition, cause)),
                None => answer,
            };
            // Who no longer waits will ask again.
            let _ = job.reply.send(answer);
        }
    }

    fn write(&mut self, batch: Batch, events: u64) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the log cannot be written any more");
            format!("the log could not be written ({error}): mend the disk and start again")
        };
        self.db.apply_batch(batch).map_err(|error| failed(&error))?;
        self.db.flush().map_err(|error| failed(&error))?;
        self.disk.sync().map_err(|error| failed(&error))?;
        let acknowledged = self.witness.acknowledged() + events;
        self.witness.note(acknowledged).map_err(|error| failed(&error))
    }
}

/// Appends that are committed together: each sees those before it.
struct Group<'a> {
    db: &'a Db,
    durable: &'a Durable,
    batch: Batch,
    heads: HashMap<Chain, Head>,
    ids: HashMap<String, Head>,
    newest: BTreeMap<Partition, u64>,
    events: u64,
}

impl<'a> Group<'a> {
    fn new(db: &'a Db, durable: &'a Durable) -> Self {
        Self {
            db,
            durable,
            batch: Batch::default(),
            heads: HashMap::new(),
            ids: HashMap::new(),
            newest: BTreeMap::new(),
            events: 0,
        }
    }

    fn take(&mut self, job: &Job) -> Answer {
        if let Some(landed) = admission::admit(self, &job.partition, &job.writes)? {
            return Ok(landed);
        }
        Ok(job.writes.iter().map(|write| self.put(&job.partition, write)).collect())
    }

    fn put(&mut self, partition: &Partition, write: &Sealed) -> Head {
        let prefix = record::partition_prefix(partition);
        let newest = self.newest.entry(partition.clone()).or_insert_with(|| self.durable.newest(partition));
        let mut head = write.expected;
        for (envelope, hash) in &write.events {
            *newest += 1;
            head = Head { position: *newest, hash: *hash };
            for (key, piece) in record::pieces(&prefix, head.position, envelope, hash) {
                self.batch.insert(key, piece);
            }
            self.batch.insert(record::id_key(&envelope.id), record::encode_head(&head));
            self.ids.insert(envelope.id.clone(), head);
            self.events += 1;
        }
        self.batch.insert(record::head_key(&write.chain), record::encode_head(&head));
        self.heads.insert(write.chain.clone(), head);
        head
    }

    fn stored(&self, key: &[u8]) -> Result<Option<Head>, String> {
        let value = self.db.get(key).map_err(|error| error.to_string())?;
        let decode =
            |bytes: sled::IVec| record::decode_head(&bytes).ok_or("the log's index is damaged".to_owned());
        value.map(decode).transpose()
    }
}

impl Index for Group<'_> {
    fn head(&self, chain: &Chain) -> Result<Head, String> {
        match self.heads.get(chain) {
            Some(head) => Ok(*head),
            None => Ok(self.stored(&record::head_key(chain))?.unwrap_or(Head::START)),
        }
    }

    fn find(&self, id: &str) -> Result<Option<Head>, String> {
        match self.ids.get(id) {
            Some(head) => Ok(Some(*head)),
            None => self.stored(&record::id_key(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Write;
    use crate::conformance::{Pen, agent_event};
    use std::fs::File;
    use std::path::Path;

    fn committer(folder: &Path) -> Committer {
        let db = sled::Config::new().path(folder).flush_every_ms(None).open().unwrap();
        let disk = Disk::new(folder).unwrap();
        let witness = Witness::open(folder).unwrap();
        Committer { db, disk, witness, durable: Arc::default(), broken: None }
    }

    fn jobs(count: usize) -> (Vec<Job>, Vec<oneshot::Receiver<Answer>>) {
        let log: Arc<dyn crate::EventLog> = Arc::new(crate::MemoryLog::new());
        let partition: Partition = "region.west".parse().unwrap();
        let job = |number: usize| {
            let event = agent_event(&format!("vm-{number}"), 1).unwrap();
            let write: Write = Pen::for_event(&log, &partition, &event).write(vec![event; 3]);
            let (reply, answer) = oneshot::channel();
            let writes = admission::seal(&partition, &[write]).unwrap();
            (Job { partition: partition.clone(), writes, reply }, answer)
        };
        (0..count).map(job).unzip()
    }

    #[test]
    fn appends_that_wait_together_share_one_sync_and_are_answered_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut committer = committer(folder.path());
        let (jobs, answers) = jobs(10);
        committer.commit(jobs);
        assert_eq!(committer.disk.syncs, 1);
        assert_eq!(committer.durable.newest(&"region.west".parse().unwrap()), 30);
        for (mut answer, position) in answers.into_iter().zip((3..).step_by(3)) {
            assert_eq!(answer.try_recv().unwrap().unwrap()[0].position, position);
        }
        let blobs = std::fs::read_dir(folder.path().join("blobs")).unwrap();
        assert_eq!(blobs.count(), 0, "sled wrote files that are not db");
    }

    #[test]
    fn what_could_not_be_made_durable_is_neither_acknowledged_nor_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut committer = committer(folder.path());
        // A device that cannot be synced stands for a disk that fails.
        committer.disk.replace(File::open("/dev/null").unwrap());
        for _ in 0..2 {
            let (jobs, answers) = jobs(2);
            committer.commit(jobs);
            for mut answer in answers {
                let error = answer.try_recv().unwrap().unwrap_err();
                assert!(error.to_string().contains("mend the disk"), "{error}");
                assert!(matches!(error, AppendError::Unknown { .. }));
            }
        }
        assert_eq!(committer.disk.syncs, 1, "a disk that failed is not asked again");
        assert!(committer.durable.partitions().is_empty());
    }
}
