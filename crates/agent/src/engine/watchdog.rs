//! An install that makes no progress: told, never killed. Whoever kills a package manager has two problems.

use super::Engine;
use crate::back_end::{Running, Said};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What is stuck, for the heartbeats; cheap to clone, every clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Stuck(Arc<Mutex<Option<String>>>);

impl Stuck {
    /// What is stuck and what runs there, for people; `None` if nothing is.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

impl Engine {
    /// Waits for an install however long it takes, and tells when it has been silent for too long.
    pub(super) async fn await_install(&self, running: &Running) -> Said {
        let mut ended = self.back_end.wait(running);
        let mut before = signs_of_life(running);
        loop {
            tokio::select! {
                said = &mut ended => {
                    self.stuck.set(None);
                    return said;
                }
                () = self.clock.sleep(self.timings.stuck()) => {
                    let now = signs_of_life(running);
                    let silent = now.is_some() && now == before;
                    let minutes = self.timings.stuck().num_minutes();
                    let what = || format!(
                        "an install has made no progress for {minutes} minutes; it is not killed; running: {}",
                        what_runs(running.pid)
                    );
                    let what = silent.then(what);
                    if let Some(what) = &what {
                        tracing::warn!(what);
                    }
                    self.stuck.set(what);
                    before = now;
                }
            }
        }
    }
}

/// What grows while an install gets on: how much it wrote, of its progress too. Not its processes: one that asks again
/// and again for something that never comes has new ones all the time. `None` if it cannot be told.
fn signs_of_life(running: &Running) -> Option<u64> {
    let size = |end: &str| fs::metadata(format!("{}.{end}", running.log)).map(|file| file.len()).ok();
    Some(size("out")? + size("err")?)
}

/// The processes below this one, each with what it runs, for people.
pub(crate) fn what_runs(pid: u32) -> String {
    let names = tree(pid).into_iter().filter_map(|pid| Some(format!("{} ({pid})", command_line(pid)?)));
    let names: Vec<String> = names.collect();
    if names.is_empty() { "nothing that can be seen".to_owned() } else { names.join(" > ") }
}

/// The process and all below it.
fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

fn command_line(pid: u32) -> Option<String> {
    let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).ok()?;
    let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let line: String = line.trim().chars().take(120).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_named_with_its_children() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60; true"]).spawn().unwrap();
        let mut said = String::new();
        while !said.contains("sleep 60 (") {
            said = what_runs(child.id());
        }
        assert!(said.starts_with("sh -c sleep 60; true ("), "{said}");
        for pid in tree(child.id()).into_iter().rev() {
            let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        child.wait().unwrap();
    }
}
