//! A machine's power: its boots, one after the other, until it is turned off.

use crate::sandbox::Sandbox;
use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::fs::File;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// The exit code with which a machine asks for its next boot.
const REBOOT: i32 = 42;
/// How often it is looked whether the machine went down.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(crate) struct Power {
    state: Arc<State>,
    supervisor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    boots: AtomicU32,
    off: AtomicBool,
    process: Mutex<Option<Child>>,
}

impl Power {
    /// Boots the machine, and again whenever it asks for that.
    pub(crate) fn on(&mut self, sandbox: Sandbox, command: Vec<String>) -> anyhow::Result<()> {
        self.off();
        self.state.off.store(false, Ordering::SeqCst);
        let state = self.state.clone();
        let (tell, told) = mpsc::channel();
        // All boots come from this thread: a machine ends with the thread that booted it.
        self.supervisor = Some(std::thread::spawn(move || {
            let first = state.boot(&sandbox, &command);
            let is_on = first.is_ok();
            // Whoever turned it on waits for this.
            drop(tell.send(first));
            if is_on {
                state.supervise(&sandbox, &command);
            }
        }));
        told.recv().context("the machine's supervisor ended")?
    }

    /// Pulls the plug. When this returns, nothing of the machine runs any more.
    pub(crate) fn off(&mut self) {
        self.state.off.store(true, Ordering::SeqCst);
        let Some(supervisor) = self.supervisor.take() else { return };
        while !supervisor.is_finished() {
            self.state.kill();
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(supervisor.join());
    }

    pub(crate) fn boots(&self) -> u32 {
        self.state.boots.load(Ordering::SeqCst)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.state.process().is_some()
    }

    /// The host's number of the machine's first process, once there is one.
    pub(crate) fn first_process(&self) -> Option<u32> {
        self.state.process().as_ref().and_then(first_child)
    }
}

impl State {
    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        // A process handle is whole whoever panicked while holding it.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boot(&self, sandbox: &Sandbox, command: &[String]) -> anyhow::Result<()> {
        let console = File::options().create(true).append(true).open(sandbox.console())?;
        let mut boot = sandbox.command(command);
        let child = boot.stdout(Stdio::null()).stderr(console).spawn().context("setpriv")?;
        *self.process() = Some(child);
        self.boots.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn supervise(&self, sandbox: &Sandbox, command: &[String]) {
        loop {
            std::thread::sleep(LOOK_EVERY);
            let Some(status) = self.ended() else { continue };
            let asked = status.code() == Some(REBOOT) && !self.off.load(Ordering::SeqCst);
            if !asked || self.boot(sandbox, command).is_err() {
                *self.process() = None;
                return;
            }
        }
    }

    /// How the boot ended, if it has.
    fn ended(&self) -> Option<ExitStatus> {
        self.process().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// The kernel ends a first process only after all others of its namespace, and `unshare` waits for it: once that
    /// is over, all is.
    fn kill(&self) {
        // Locked, so that nobody reaps the process meanwhile and its number stays its own.
        let process = self.process();
        let first = process.as_ref().and_then(first_child).and_then(|pid| pid.try_into().ok());
        if let Some(pid) = first {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn first_child(unshare: &Child) -> Option<u32> {
    let pid = unshare.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
