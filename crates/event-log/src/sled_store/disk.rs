//! Makes durable what sled wrote. Its own `flush` ends with `sync_file_range`, which promises nothing when the power
//! fails: neither that the disk's cache is written nor that the file's new length is known.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Disk {
    db: File,
    folder: PathBuf,
    #[cfg(test)]
    pub(super) syncs: u64,
}

impl Disk {
    /// sled's files in the folder; makes their very existence durable.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let db = File::open(folder.join("db"))?;
        File::open(folder.join("conf"))?.sync_all()?;
        db.sync_all()?;
        File::open(folder)?.sync_all()?;
        if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
            File::open(above)?.sync_all()?;
        }
        Ok(Self {
            db,
            folder: folder.to_owned(),
            #[cfg(test)]
            syncs: 0,
        })
    }

    /// Everything that sled flushed survives a power failure when this returns.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        {
            self.syncs += 1;
        }
        self.db.sync_data()?;
        self.sync_blobs()
    }

    #[cfg(test)]
    pub(super) fn replace(&mut self, db: File) {
        self.db = db;
    }

    /// Records are cut so that sled has no reason for files besides `db`. Should it find one, the file counts too.
    fn sync_blobs(&self) -> io::Result<()> {
        let blobs = self.folder.join("blobs");
        let mut found = false;
        for entry in std::fs::read_dir(&blobs)? {
            match File::open(entry?.path()) {
                Ok(file) => file.sync_all()?,
                // sled removes them when their content moved.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            found = true;
        }
        if found { File::open(&blobs)?.sync_all() } else { Ok(()) }
    }
}
