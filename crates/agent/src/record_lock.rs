//! Who holds a lock on a file, without asking for it: POSIX record locks name their holder (`F_GETLK`, fcntl(2)). dpkg and
//! rpm keep their databases to themselves with them.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;
use std::path::Path;

/// The process that holds the file; `None` if none does, or the file is not there.
pub(crate) fn holder(path: &Path) -> Option<u32> {
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
