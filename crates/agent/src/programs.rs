//! Running a package manager's programs: argument vectors only, never a shell.

use crate::back_end::{BackEndError, Running};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Package managers want the administrator's programs too, wherever the agent was started from.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Nobody is there to be asked, and the output is to be read by a program.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("PATH", PATH),
    ("LC_ALL", "C.UTF-8"),
    ("LANG", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("NEEDRESTART_MODE", "l"),
    ("NEEDRESTART_SUSPEND", "1"),
    ("UCF_FORCE_CONFFOLD", "1"),
];
/// How many installs' outputs are kept for people to read: two files each.
const KEPT_LOGS: usize = 40;

/// The programs of one package manager, with the environment that each gets.
#[derive(Debug)]
pub(crate) struct Programs {
    environment: Vec<(&'static str, String)>,
    logs: PathBuf,
    started: AtomicU64,
    /// What this process started, for the exit codes; of what a process before started there is none.
    children: Mutex<BTreeMap<(u32, u64), Child>>,
}

/// What a program said.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    pub(crate) fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Programs {
    /// Programs that get this environment besides what all get. What they say while they install is kept in a folder,
    /// which is made here.
    pub(crate) fn new(logs: PathBuf, environment: Vec<(&'static str, String)>) -> Result<Self, BackEndError> {
        fs::create_dir_all(&logs)
            .map_err(|error| BackEndError(format!("`state_dir`: {}: {error}", logs.display())))?;
        Ok(Self { environment, logs, started: AtomicU64::new(0), children: Mutex::default() })
    }

    /// Runs a program that may be killed at any time: when its time is over, or when nobody waits for it any more.
    pub(crate) async fn run(
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
        Ok(Output { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Runs a program that must succeed for its answer to mean anything.
    pub(crate) async fn read(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Output, BackEndError> {
        let output = self.run(program, arguments, limit).await?;
        if output.success() {
            return Ok(output);
        }
        Err(BackEndError(format!("`{program} {}` failed: {}", shown(arguments), output.err.trim())))
    }

    /// Starts a program that must never be killed: one that installs.
    ///
    /// It gets a session of its own, so that nothing that ends the agent's ends it too, and writes to files: a pipe
    /// to an agent that is gone would kill it in the middle of a package. `setsid` of util-linux (in
    /// every distribution) does it without a line of unsafe code here; it replaces itself by the program, so that its process id
    /// is the program's, because a child that was just forked leads no process group yet.
    pub(crate) fn start(&self, program: &str, arguments: &[&str]) -> Result<Running, BackEndError> {
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
        self.children.lock().unwrap_or_else(PoisonError::into_inner).insert((pid, started), child);
        Ok(Running { pid, started, log })
    }

    /// Waits until the process has ended, whether this process started it or only found it. Its exit code, if it is
    /// known: that of a process that was only found never is.
    pub(crate) async fn ended(&self, running: &Running) -> Option<i32> {
        let mut nap = Duration::from_millis(10);
        while running.started != 0 && started_at(running.pid) == Some(running.started) {
            tokio::time::sleep(nap).await;
            nap = (nap * 2).min(Duration::from_millis(500));
        }
        let of_ours = (running.pid, running.started);
        let mut child = self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(&of_ours)?;
        child.wait().await.ok()?.code()
    }

    /// Runs a program that must not be killed to its end, and says what it said.
    pub(crate) async fn run_to_its_end(
        &self,
        program: &str,
        arguments: &[&str],
    ) -> Result<Output, BackEndError> {
        let running = self.start(program, arguments)?;
        let code = self.ended(&running).await;
        let (out, err) = written(&running);
        Ok(Output { code, out, err })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(ENVIRONMENT).envs(self.environment.iter().cloned()).stdin(Stdio::null());
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

/// An argument list as people can read it, whatever its length.
fn shown(arguments: &[&str]) -> String {
    const MOST: usize = 12;
    let dots = if arguments.len() > MOST { " …" } else { "" };
    format!("{}{dots}", arguments[..arguments.len().min(MOST)].join(" "))
}

/// What an install wrote: its output, its errors. Empty where there is nothing.
pub(crate) fn written(running: &Running) -> (String, String) {
    let read = |path: PathBuf| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (read(out_file(&running.log)).unwrap_or_default(), read(err_file(&running.log)).unwrap_or_default())
}

pub(crate) fn is_installed(program: &str) -> bool {
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

    fn programs(folder: &Path) -> Programs {
        Programs::new(folder.to_owned(), Vec::new()).unwrap()
    }

    #[tokio::test]
    async fn a_started_program_has_its_own_session_and_its_process_id_is_the_program_s() {
        let folder = tempfile::tempdir().unwrap();
        let programs = programs(folder.path());
        let running = programs.start("sleep", &["0.3"]).unwrap();
        let name = fs::read_to_string(format!("/proc/{}/comm", running.pid)).unwrap();
        assert!(["sleep", "setsid"].contains(&name.trim()), "{name}");
        assert_eq!(programs.ended(&running).await, Some(0));
        assert_eq!(started_at(running.pid), None);
    }

    #[tokio::test]
    async fn what_a_started_program_says_is_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let Output { code, out, err } =
            programs(folder.path()).run_to_its_end("ls", &["/no/such/place"]).await.unwrap();
        assert!(out.is_empty() && err.contains("/no/such/place"), "{out} {err}");
        assert_eq!(code, Some(2));
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let result = programs(folder.path()).run("sleep", &["600"], Duration::from_millis(20)).await;
        assert!(result.unwrap_err().to_string().contains("`sleep` did not end"));
    }
}
