//! Remembers, outside sled, how many events were acknowledged.
//!
//! sled takes a damaged end of its file for an unfinished write and opens without it. Without a witness, acknowledged
//! events would be gone without a word. The witness is written after each commit but not made durable (that would
//! double the price of an append): after a power failure it may know less than there is, never more.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The number and its complement, twice: one slot is whole whenever the other is being written.
const SLOT: usize = 16;

#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    acknowledged: u64,
    next_slot: u64,
}

impl Witness {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("acknowledged");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < 2 * SLOT as u64 {
            file.write_all_at(&[0; 2 * SLOT], 0)?;
            file.sync_all()?;
        }
        let slots = [read(&file, 0)?, read(&file, 1)?];
        let newest = if slots[1] > slots[0] { 1 } else { 0 };
        Ok(Self { file, acknowledged: slots[newest].unwrap_or(0), next_slot: 1 - newest as u64 })
    }

    /// How many events were acknowledged at least.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Takes note of what is durable by now.
    pub(super) fn note(&mut self, events: u64) -> io::Result<()> {
        let slot = [events.to_be_bytes(), (!events).to_be_bytes()].concat();
        self.file.write_all_at(&slot, self.next_slot * SLOT as u64)?;
        self.acknowledged = events;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

fn read(file: &File, slot: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; SLOT];
    file.read_exact_at(&mut bytes, slot * SLOT as u64)?;
    let [number, complement] = [0, 8].map(|from| {
        let mut half = [0; 8];
        half.copy_from_slice(&bytes[from..from + 8]);
        u64::from_be_bytes(half)
    });
    Ok((number == !complement).then_some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut witness = Witness::open(folder.path()).unwrap();
        assert_eq!(witness.acknowledged(), 0);
        for events in [3, 7, 12] {
            witness.note(events).unwrap();
            let again = Witness::open(folder.path()).unwrap();
            assert_eq!(again.acknowledged(), events);
        }
        let torn = 1 - witness.next_slot;
        witness.file.write_all_at(&[0xff; 5], torn * SLOT as u64).unwrap();
        assert_eq!(Witness::open(folder.path()).unwrap().acknowledged(), 7);
    }
}
