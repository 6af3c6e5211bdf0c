//! Who holds the package manager. It is asked, not waited for: the wait has to end with the order's window.

use crate::back_end::BackEndError;
use crate::programs::Programs;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{self, File};
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

    /// Who holds one, for people.
    pub(crate) fn holder(&self) -> Option<String> {
        let pid =
            self.pid_files.iter().find_map(|path| living(path)).or_else(|| lock_holder(&self.database))?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(format!("process {pid} ({})", name.trim()))
    }
}

fn living(pid_file: &Path) -> Option<u32> {
    let pid = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    Path::new("/proc").join(format!("{pid}")).exists().then_some(pid)
}

fn lock_holder(path: &Path) -> Option<u32> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    let held = lock.l_type != libc::F_UNLCK as libc::c_short;
    held.then(|| u32::try_from(lock.l_pid).ok()).flatten()
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
