//! Running apt's and dpkg's programs.

use crate::back_end::{BackEndError, Running};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// dpkg wants the administrator's programs too, wherever the agent was started from.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Nobody is there to be asked, and the output is to be read by a program.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("PATH", PATH),
    ("LC_ALL", "C.UTF-8"),
    ("LANG", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("NEEDRESTART_MODE", "l"),
    ("NEEDRESTART_SUSPEND", "1"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("UCF_FORCE_CONFFOLD", "1"),
];
/// How many installs' outputs are kept for people to read: two files each.
const KEPT_LOGS: usize = 40;

/// The programs, with the environment that each gets.
#[derive(Debug)]
pub(super) struct Tools {
    apt_config: Option<PathBuf>,
    logs: PathBuf,
    started: AtomicU64,
}

/// What a program said.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) out: String,
    pub(super) err: String,
}

impl Tools {
    pub(super) fn new(apt_config: Option<PathBuf>, logs: PathBuf) -> Self {
        Self { apt_config, logs, started: AtomicU64::new(0) }
    }

    /// Runs a program that may be killed at any time: when its time is over, or when nobody waits for it any more.
    pub(super) async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Output, BackEndError> {
        let mut command = self.command(program);
        command.args(arguments).kill_on_drop(true);
        let output = tokio::time::timeout(limit, command.output()).await;
        let output = output
            .map_err(|_| BackEndError(format!("`{program}` did not end within {} s", limit.as_secs())))?
            .map_err(|error| BackEndError(format!("`{program}` could not be run: {error}")))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Output { success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Runs a program that must succeed for its answer to mean anything.
    pub(super) async fn read(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Output, BackEndError> {
        let output = self.run(program, arguments, limit).await?;
        if output.success {
            return Ok(output);
        }
        Err(BackEndError(format!("`{program} {}` failed: {}", arguments.join(" "), output.err.trim())))
    }

    /// Starts a program that must never be killed: dpkg, whatever calls it.
    ///
    /// It gets a session of its own, so that nothing that ends the agent's ends it too, and writes to files: a pipe
    /// to an agent that is gone would kill dpkg in the middle of a package. `setsid` of util-linux (essential in
    /// Debian) does it without a line of unsafe code here; it replaces itself by the program, so that its process id
    /// is the program's, because a child that was just forked leads no process group yet.
    pub(super) fn start(&self, program: &str, arguments: &[&str]) -> Result<Running, BackEndError> {
        let failed = |error| BackEndError(format!("`{program}` could not be started: {error}"));
        self.forget_old_logs();
        let log = self.new_log(program);
        let (out, err) = (File::create(out_file(&log)), File::create(err_file(&log)));
        let (out, err) = (out.map_err(failed)?, err.map_err(failed)?);
        let mut command = self.command("setsid");
        let child = command.arg(program).args(arguments).stdout(out).stderr(err).spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        // A program that is over already has no start any more; then nobody waits for it.
        let started = started_at(pid).unwrap_or_default();
        Ok(Running { pid, started, log })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(ENVIRONMENT).stdin(Stdio::null());
        if let Some(path) = &self.apt_config {
            command.env("APT_CONFIG", path);
        }
        command
    }

    fn new_log(&self, program: &str) -> String {
        let count = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count:03}-{program}", chrono::Utc::now().format("%Y%m%dT%H%M%S%.6f"));
        self.logs.join(name).display().to_string()
    }

    fn forget_old_logs(&self) {
        let Ok(entries) = fs::read_dir(&self.logs) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let surplus = paths.len().saturating_sub(KEPT_LOGS);
        // An old log that cannot be removed is no reason not to install.
        paths.iter().take(surplus).for_each(|path| drop(fs::remove_file(path)));
    }
}

/// Waits until the process has ended: the same way for one that this process started and one that it found.
pub(super) async fn ended(running: &Running) {
    let mut nap = Duration::from_millis(10);
    while running.started != 0 && started_at(running.pid) == Some(running.started) {
        tokio::time::sleep(nap).await;
        nap = (nap * 2).min(Duration::from_millis(500));
    }
}

/// What an install wrote: its output, its errors. Empty where there is nothing.
pub(super) fn written(running: &Running) -> (String, String) {
    let read = |path: PathBuf| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (read(out_file(&running.log)).unwrap_or_default(), read(err_file(&running.log)).unwrap_or_default())
}

pub(super) fn is_installed(program: &str) -> bool {
    std::env::split_paths(OsStr::new(PATH)).any(|folder| folder.join(program).is_file())
}

/// When the process started, in the kernel's ticks; `None` if it has ended, even if nobody took note of it yet.
fn started_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name, in parentheses, may contain anything: what counts begins after its end (proc_pid_stat(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let is_over = matches!(state, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| !is_over)
}

fn out_file(log: &str) -> PathBuf {
    PathBuf::from(format!("{log}.out"))
}

fn err_file(log: &str) -> PathBuf {
    PathBuf::from(format!("{log}.err"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(folder: &Path) -> Tools {
        Tools::new(None, folder.to_owned())
    }

    #[tokio::test]
    async fn a_started_program_has_its_own_session_and_its_process_id_is_the_program_s() {
        let folder = tempfile::tempdir().unwrap();
        let running = tools(folder.path()).start("sleep", &["0.3"]).unwrap();
        let name = fs::read_to_string(format!("/proc/{}/comm", running.pid)).unwrap();
        assert!(["sleep", "setsid"].contains(&name.trim()), "{name}");
        ended(&running).await;
        assert_eq!(started_at(running.pid), None);
    }

    #[tokio::test]
    async fn what_a_started_program_says_is_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let running = tools(folder.path()).start("ls", &["/no/such/place"]).unwrap();
        ended(&running).await;
        let (out, err) = written(&running);
        assert!(out.is_empty() && err.contains("/no/such/place"), "{out} {err}");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let result = tools(folder.path()).run("sleep", &["600"], Duration::from_millis(20)).await;
        assert!(result.unwrap_err().to_string().contains("`sleep` did not end"));
    }
}
