//! Who holds dpkg's locks (POSIX record locks, which name their holder).

use crate::engine::what_runs;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;
use std::path::Path;

const LOCKS: [&str; 2] = ["var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock"];

/// What holds one of them, with what runs below it.
pub(super) fn holder(root: &Path) -> Option<String> {
    LOCKS.iter().find_map(|lock| holder_of(&root.join(lock))).map(what_runs)
}

fn holder_of(path: &Path) -> Option<u32> {
    let file = File::open(path).ok()?;
    // What a program that wants to write would be told.
    let mut wanted = libc::flock {
        l_type: libc::c_short::try_from(libc::F_WRLCK).ok()?,
        l_whence: libc::c_short::try_from(libc::SEEK_SET).ok()?,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut wanted)).ok()?;
    let held = i32::from(wanted.l_type) != libc::F_UNLCK;
    held.then(|| u32::try_from(wanted.l_pid).ok()).flatten()
}
