//! What becomes of a log in a folder between two openings.

use crate::common::{Log, random, read_all, west, whole};
use nightshift_event_log::conformance::{Pen, agent_event};
use nightshift_event_log::{OpenError, Recorded, SledLog};
use std::path::Path;
use std::sync::Arc;

/// Bits that are flipped, each in a copy of its own.
const FLIPS: usize = 120;

async fn fill(path: &Path, rounds: u64) -> Vec<Recorded> {
    let log: Log = Arc::new(SledLog::open(path).unwrap());
    let partition = west();
    let heads = whole(&read_all(&log, &partition).await);
    for vm in ["vm-a", "vm-b", "vm-c"] {
        let event = agent_event(vm, 0).unwrap();
        let mut pen = Pen::for_event(&log, &partition, &event);
        let chain = nightshift_domain::Chain::of(&partition, &event.aggregate());
        pen.head = heads.get(&chain).copied().unwrap_or(pen.head);
        for n in 0..rounds {
            pen.append(vec![agent_event(vm, n).unwrap(); 3]).await.unwrap();
        }
    }
    read_all(&log, &partition).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut before = Vec::new();
    for _ in 0..4 {
        let after = fill(&path, 20).await;
        assert_eq!(after.len(), before.len() + 180);
        assert!(after.starts_with(&before));
        before = after;
    }
    let log: Log = Arc::new(SledLog::open(&path).unwrap());
    assert_eq!(log.partitions().await.unwrap(), [west()]);
    assert!(read_all(&log, &west()).await == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let _first = SledLog::open(folder.path()).unwrap();
    let second = SledLog::open(folder.path()).err().unwrap();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    assert!(second.to_string().contains("another process"), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = SledLog::open(file.path()).err().unwrap();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

/// Either nothing is missing, or the log is not opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_never_loses_events_silently() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let events = fill(&path, 100).await;
    let db = std::fs::read(path.join("db")).unwrap();
    let mut refused = 0;
    for _ in 0..FLIPS {
        let mut bytes = db.clone();
        let at = random(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random(8);
        refused += usize::from(!opens_whole(&path, &bytes, &events, &format!("byte {at}")).await);
    }
    println!("{refused} of {FLIPS} flips were refused, the others changed nothing");
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_never_loses_events_silently() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let events = fill(&path, 100).await;
    let db = std::fs::read(path.join("db")).unwrap();
    let mut refused = 0;
    for cut in 1..=20 {
        let keep = db.len() * (20 - cut) / 20;
        refused += usize::from(!opens_whole(&path, &db[..keep], &events, &format!("cut to {keep}")).await);
    }
    println!("{refused} of 20 cuts were refused");
    assert!(refused >= 10);
}

/// Whether the log opens with this `db`; panics if it does and something is missing.
async fn opens_whole(path: &Path, db: &[u8], events: &[Recorded], what: &str) -> bool {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    std::fs::create_dir_all(copy.path().join("blobs")).unwrap();
    std::fs::write(copy.path().join("db"), db).unwrap();
    match SledLog::open(copy.path()) {
        Ok(log) => {
            let log: Log = Arc::new(log);
            assert!(read_all(&log, &west()).await == events, "{what}: opened, but not whole");
            true
        }
        Err(error) => {
            assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
            assert!(error.to_string().contains("move the folder away"), "{what}: {error}");
            false
        }
    }
}
