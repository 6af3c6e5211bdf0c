//! How far a webhook is in each partition, on the disk. The file is written whole, beside the old one, and takes its place
//! when it is safe: after a death or a power cut there is one of the two.

use anyhow::Context as _;
use nightshift_domain::{Partition, Time, WebhookName};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Before a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct Places {
    path: PathBuf,
    url: String,
    known: Mutex<Known>,
    changed: Notify,
    /// One write at a time, so that an older one never takes a newer one's place.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Whether it is settled where the webhook begins: a partition without a position begins with its first event.
    begun: bool,
    positions: BTreeMap<Partition, u64>,
    gone: Option<Gone>,
}

/// The receiver wants no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Gone {
    /// Where it said so: at another address it may be found again.
    url: String,
    pub(super) at: Time,
}

impl Places {
    pub(super) fn open(folder: &Path, name: &WebhookName, url: &Url) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.json"));
        let what = || path.display().to_string();
        fs::create_dir_all(folder).with_context(what)?;
        let mut known: Known = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("{}: restore it, or remove it and the webhook begins as its `from` says", what())
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Known::default(),
            Err(error) => return Err(error).with_context(what),
        };
        let url = url.to_string();
        known.gone = known.gone.filter(|gone| gone.url == url);
        Ok(Self { path, url, known: Mutex::new(known), changed: Notify::new(), writing: Default::default() })
    }

    pub(super) fn have_begun(&self) -> bool {
        self.known().begun
    }

    /// Settles where the webhook begins, and keeps that: what is appended from now on it will get, whatever happens.
    pub(super) async fn begin(&self, positions: BTreeMap<Partition, u64>) -> io::Result<()> {
        {
            let mut known = self.known();
            known.begun = true;
            known.positions = positions;
        }
        let kept = self.keep().await;
        self.known().begun = kept.is_ok();
        kept
    }

    pub(super) fn position(&self, partition: &Partition) -> u64 {
        self.known().positions.get(partition).copied().unwrap_or(0)
    }

    /// Everything up to this position was taken.
    pub(super) fn advance(&self, partition: &Partition, position: u64) {
        self.known().positions.insert(partition.clone(), position);
        self.changed.notify_one();
    }

    pub(super) fn gone(&self) -> Option<Gone> {
        self.known().gone.clone()
    }

    pub(super) fn stop(&self, at: Time) {
        self.known().gone = Some(Gone { url: self.url.clone(), at });
        self.changed.notify_one();
    }

    pub(super) fn go_on(&self) {
        self.known().gone = None;
        self.changed.notify_one();
    }

    /// Keeps what changes, for ever. What changes while a file is written goes into the next one.
    pub(super) async fn keep_as_they_come(&self) {
        loop {
            self.changed.notified().await;
            if let Err(error) = self.keep().await {
                tracing::error!(path = %self.path.display(), %error, "cannot be written: after a restart events come again");
                tokio::time::sleep(RETRY).await;
                self.changed.notify_one();
            }
        }
    }

    /// Returns once what is known now is on the disk.
    pub(super) async fn keep(&self) -> io::Result<()> {
        let _alone = self.writing.lock().await;
        let (path, known) = (self.path.clone(), self.known().clone());
        let write = tokio::task::spawn_blocking(move || write(&path, &known));
        write.await.map_err(io::Error::other)?
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in here can panic half-way through a change.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(path: &Path, known: &Known) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(known)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, url: &str) -> Places {
        Places::open(folder, &WebhookName::new("a").unwrap(), &url.parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_was_kept_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let places = open(folder.path(), "https://a.example/");
        assert!(!places.have_begun());
        places.begin([(Partition::Fleet, 7)].into()).await.unwrap();
        places.advance(&Partition::Rollout, 3);
        places.stop("2026-11-28T10:00:00Z".parse().unwrap());
        places.keep().await.unwrap();
        let again = open(folder.path(), "https://a.example/");
        assert!(again.have_begun() && again.gone().is_some());
        assert_eq!([Partition::Fleet, Partition::Rollout].map(|one| again.position(&one)), [7, 3]);
        // Whoever is gone from one address may be found at another.
        assert!(open(folder.path(), "https://b.example/").gone().is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
    }

    #[tokio::test]
    async fn where_it_begins_is_not_settled_before_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let places = open(folder.path(), "https://a.example/");
        let kept = folder.path().join("a.json");
        fs::create_dir(&kept).unwrap();
        places.begin([(Partition::Fleet, 7)].into()).await.unwrap_err();
        assert!(!places.have_begun());
        fs::remove_dir(&kept).unwrap();
        places.begin([(Partition::Fleet, 9)].into()).await.unwrap();
        assert_eq!(open(folder.path(), "https://a.example/").position(&Partition::Fleet), 9);
    }

    #[test]
    fn a_damaged_file_is_no_new_beginning() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.json"), "{\"begun\": tr").unwrap();
        let name = WebhookName::new("a").unwrap();
        let opened = Places::open(folder.path(), &name, &"https://a.example/".parse().unwrap());
        let error = opened.err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("a.json: restore it"), "{error}");
    }
}
