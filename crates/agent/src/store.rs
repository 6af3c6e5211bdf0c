//! Where the agent keeps what it must not forget: small documents under names, on disk or in memory.
//!
//! A real machine's are files, each written so that a power cut leaves the old one or the new one. A simulated
//! machine's are in memory: hundreds of them in one process would wear out the disk for nothing.

use crate::durable;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The documents; cheap to clone, every clone is the same store.
#[derive(Clone)]
pub struct Store {
    kind: Kind,
    watcher: Option<Watcher>,
}

/// Hears of every change before and after it is made. Tests count them, and die at each.
pub type Watcher = Arc<dyn Fn(&str, Moment) + Send + Sync>;

/// When a watcher hears of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is changed yet.
    Before,
    /// The change survives a power cut.
    After,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

#[derive(Debug, Clone)]
enum Kind {
    Disk(PathBuf),
    Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>),
}

/// A document that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {cause}")]
pub struct StoreError {
    place: String,
    cause: String,
}

impl StoreError {
    /// What is wrong with the document of this name.
    pub fn new(place: impl Into<String>, cause: impl ToString) -> Self {
        Self { place: place.into(), cause: cause.to_string() }
    }
}

/// Whether only the agent's own user may read a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Readable for everyone who may enter the folder.
    Open,
    /// A key: mode 0600.
    Secret,
}

impl Store {
    /// In this folder, which is made if it is not there.
    pub fn on_disk(folder: &Path) -> Result<Self, StoreError> {
        let store = Self { kind: Kind::Disk(folder.to_owned()), watcher: None };
        for part in ["", "orders", "spool", "identity"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(|error| StoreError::new(path.display().to_string(), error))?;
        }
        Ok(store)
    }

    /// In this process only.
    pub fn in_memory() -> Self {
        Self { kind: Kind::Memory(Arc::default()), watcher: None }
    }

    /// The folder; `None` if it is all in memory.
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Disk(folder) => Some(folder),
            Kind::Memory(_) => None,
        }
    }

    /// The same documents, watched.
    pub fn watched(self, watcher: Watcher) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// Keeps a document; when this returns it survives a power cut.
    pub fn put(&self, name: &str, bytes: &[u8], secrecy: Secrecy) -> Result<(), StoreError> {
        self.tell(name, Moment::Before);
        self.write(name, bytes, secrecy)?;
        self.tell(name, Moment::After);
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8], secrecy: Secrecy) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Disk(folder) => {
                let mode = if secrecy == Secrecy::Secret { 0o600 } else { 0o644 };
                let path = folder.join(name);
                durable::write(&path, bytes, mode).map_err(|error| failed(&path, error))
            }
            Kind::Memory(documents) => {
                lock(documents).insert(name.to_owned(), bytes.to_owned());
                Ok(())
            }
        }
    }

    /// The document of this name, if there is one.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.kind {
            Kind::Disk(folder) => match fs::read(folder.join(name)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(&folder.join(name), error)),
            },
            Kind::Memory(documents) => Ok(lock(documents).get(name).cloned()),
        }
    }

    /// Forgets a document.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.tell(name, Moment::Before);
        self.take_away(name)?;
        self.tell(name, Moment::After);
        Ok(())
    }

    fn tell(&self, name: &str, moment: Moment) {
        if let Some(watcher) = &self.watcher {
            watcher(name, moment);
        }
    }

    fn take_away(&self, name: &str) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Disk(folder) => {
                let path = folder.join(name);
                durable::remove(&path).map_err(|error| failed(&path, error))
            }
            Kind::Memory(documents) => {
                lock(documents).remove(name);
                Ok(())
            }
        }
    }

    /// The names of the documents in one part of the store, in their order. What a power cut left half-written is
    /// none of them.
    pub fn list(&self, part: &str) -> Result<Vec<String>, StoreError> {
        let mut names = match &self.kind {
            Kind::Disk(folder) => files(&folder.join(part))?,
            Kind::Memory(documents) => {
                let prefix = format!("{part}/");
                let documents = lock(documents);
                documents.keys().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect()
            }
        };
        names.retain(|name| name.ends_with(".json"));
        names.sort();
        Ok(names.into_iter().map(|name| format!("{part}/{name}")).collect())
    }
}

fn files(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_, _>>().map_err(|error| failed(folder, error))?;
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

fn failed(path: &Path, error: io::Error) -> StoreError {
    StoreError::new(path.display().to_string(), error)
}

fn lock(documents: &Mutex<BTreeMap<String, Vec<u8>>>) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    // The map is whole at every moment, whoever panicked while holding it.
    documents.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn both_kinds_keep_list_and_forget() {
        let folder = tempfile::tempdir().unwrap();
        for store in [Store::in_memory(), Store::on_disk(folder.path()).unwrap()] {
            assert_eq!(store.get("orders/a.json").unwrap(), None);
            store.put("orders/b.json", b"2", Secrecy::Open).unwrap();
            store.put("orders/a.json", b"1", Secrecy::Open).unwrap();
            assert_eq!(store.list("orders").unwrap(), ["orders/a.json", "orders/b.json"]);
            assert_eq!(store.get("orders/a.json").unwrap().unwrap(), b"1");
            store.remove("orders/a.json").unwrap();
            store.remove("orders/a.json").unwrap();
            assert_eq!(store.list("orders").unwrap(), ["orders/b.json"]);
        }
    }

    #[test]
    fn what_a_power_cut_left_half_written_is_not_seen_and_the_old_document_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::on_disk(folder.path()).unwrap();
        store.put("orders/a.json", b"old", Secrecy::Open).unwrap();
        fs::write(folder.path().join("orders/.a.json.part"), b"ne").unwrap();
        assert_eq!(store.list("orders").unwrap(), ["orders/a.json"]);
        assert_eq!(store.get("orders/a.json").unwrap().unwrap(), b"old");
        store.put("orders/a.json", b"new", Secrecy::Open).unwrap();
        assert_eq!(store.get("orders/a.json").unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_secret_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::on_disk(folder.path()).unwrap();
        store.put("identity/key.pem", b"k", Secrecy::Secret).unwrap();
        let mode = fs::metadata(folder.path().join("identity/key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
