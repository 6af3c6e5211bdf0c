//! The log as a file, and as what is none.

use crate::installation::Installation;
use serde_json::Value;
use std::os::unix::fs::FileTypeExt as _;
use std::process::Command;

#[test]
fn the_log_is_exported_to_whatever_takes_it() {
    let installation = Installation::start();
    let folder = installation.folder.path();
    let to_out = installation.said(&["events", "export", "-", "--json"]);
    let log = to_out.out.clone();
    assert!(to_out.code == 0 && to_out.err.contains("events") && log.lines().count() > 100, "{to_out:?}");
    assert!(
        log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["at"].is_string()))
    );
    assert!(!folder.join("-").exists());

    let fifo = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut running = installation.command(&["events", "export", "fifo"]).spawn().unwrap();
    let read = std::fs::read_to_string(&fifo).unwrap();
    assert!(running.wait().unwrap().success() && read == log);
    assert!(std::fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
}
