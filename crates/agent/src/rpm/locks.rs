//! Who holds the package manager. It is asked, not waited for: the wait has to end with the order's window.

use crate::back_end::BackEndError;
use crate::engine::what_runs;
use crate::programs::Programs;
use crate::record_lock;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The locks of one package manager.
#[derive(Debug)]
pub(crate) struct Locks {
    /// Files that hold the number of the process that has the lock, while it lives.
    pid_files: Vec<PathBuf>,
    /// rpm's own (`.rpm.lock`): held while anything is installed, also by what a killed package manager left running.
    database: PathBuf,
}

impl Locks {
    fn new(pid_files: Vec<PathBuf>, database: PathBuf) -> Self {
        Self { pid_files, database }
    }

    /// Those of a package manager with these files, and of rpm where this machine has its database.
    pub(crate) async fn of(programs: &Programs, pid_files: &[&str]) -> Result<Self, BackEndError> {
        let folder = super::says(programs, "%{_dbpath}").await?;
        let pid_files = pid_files.iter().map(PathBuf::from).collect();
        Ok(Self::new(pid_files, PathBuf::from(folder).join(".rpm.lock")))
    }

    /// Waits until nobody holds any.
    pub(crate) async fn free(&self) {
        while let Some(holder) = self.holder() {
            tracing::info!(holder, "waiting for another program to let go of the package manager");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Who holds one, with what runs below it, for people.
    pub(crate) fn holder(&self) -> Option<String> {
        let pid_file = self.pid_files.iter().find_map(|path| living(path));
        pid_file.or_else(|| record_lock::holder(&self.database)).map(what_runs)
    }
}

fn living(pid_file: &Path) -> Option<u32> {
    let pid = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    Path::new("/proc").join(format!("{pid}")).exists().then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_a_process_that_is_gone_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (pid_file, database) = (folder.path().join("zypp.pid"), folder.path().join(".rpm.lock"));
        let locks = Locks::new(vec![pid_file.clone()], database);
        fs::write(&pid_file, "4294967294\n").unwrap();
        assert_eq!(locks.holder(), None);
        fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
        assert!(locks.holder().unwrap().contains(&std::process::id().to_string()));
    }
}
