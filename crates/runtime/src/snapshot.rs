//! A mind as it was, with the positions that it had seen: a restart reads this and the tail, never the whole log.
//!
//! A snapshot is a copy of what the log says. One that is missing or cannot be read costs time, never truth.

use crate::host::Remembered;
use nightshift_domain::Chain;
use nightshift_event_log::Head;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot<M> {
    /// The mind.
    pub mind: M,
    /// When the newest fact that it has seen was recorded.
    pub newest: nightshift_domain::Time,
    /// The newest event of each chain that it has seen.
    pub heads: BTreeMap<Chain, Head>,
    /// The newest position read, by what was followed.
    pub cursors: BTreeMap<String, u64>,
    /// Commands with an idempotency key.
    #[serde(default)]
    pub(crate) commands: Remembered,
}

/// The snapshots of one service.
#[derive(Debug, Clone)]
pub struct Snapshots(sled::Db);

/// Changes with the meaning of what is kept: a snapshot of another version is not read.
const KEY: &str = "mind.v3";

impl Snapshots {
    /// Opens the folder. What is damaged is moved aside: the log has it all.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("snapshot");
        match open(&path) {
            Ok(db) => Ok(Self(db)),
            Err(error) => {
                let aside = folder.join("snapshot.damaged");
                tracing::warn!(%error, aside = %aside.display(), "the snapshot is damaged: replaying the log");
                if aside.exists() {
                    std::fs::remove_dir_all(&aside)?;
                }
                std::fs::rename(&path, &aside)?;
                Ok(Self(open(&path)?))
            }
        }
    }

    /// The newest snapshot, if there is one that can be read.
    pub fn load<M: DeserializeOwned>(&self) -> Option<Snapshot<M>> {
        let bytes = self.0.get(KEY).ok().flatten()?;
        match serde_json::from_slice(&bytes) {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                tracing::warn!(%error, "the snapshot cannot be read: replaying the log");
                None
            }
        }
    }

    /// Keeps a snapshot instead of the one before.
    pub fn save<M: Serialize>(&self, snapshot: &Snapshot<M>) -> anyhow::Result<()> {
        self.0.insert(KEY, serde_json::to_vec(snapshot)?)?;
        self.0.flush()?;
        Ok(())
    }
}

/// sled 0.34 panics where it finds a file damaged.
fn open(path: &Path) -> anyhow::Result<sled::Db> {
    let open =
        || sled::Config::new().path(path).cache_capacity(16 * 1024 * 1024).open().map_err(|e| e.to_string());
    match std::panic::catch_unwind(open) {
        Ok(opened) => opened.map_err(anyhow::Error::msg),
        Err(_) => anyhow::bail!("{} is damaged", path.display()),
    }
}
