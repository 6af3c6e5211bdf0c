//! A machine: its image, its boots, and what can be done to it from outside.

use crate::repository::{AptRepository, INSTALLED};
use crate::run;
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const BOOT: &str = include_str!("boot.sh");
const INIT: &str = include_str!("init.sh");
const IMAGE: &str = include_str!("image.sh");
/// The exit code with which a machine asks for its next boot.
const REBOOT: i32 = 42;
/// How often the supervisor looks whether the machine went down.
const LOOK_EVERY: Duration = Duration::from_millis(30);
/// What a machine's agent runs to reboot it.
const REBOOT_COMMAND: [&str; 2] = ["/usr/bin/touch", "/run/nightshift-reboot"];

/// What machines begin with: every fixture package at 1.0, and no source but the repository.
#[derive(Debug, Clone)]
pub struct Image {
    upper: PathBuf,
    repository: PathBuf,
}

impl Image {
    /// Makes the image in a folder of its own: a few seconds, once for all machines.
    pub fn prepare(folder: &Path, repository: &AptRepository) -> anyhow::Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!("sandboxed machines need root: run this as root on Debian or Ubuntu");
        }
        let state = State::create(folder, "image", &[repository.root().to_owned()])?;
        let packages = INSTALLED.iter().map(|name| format!("{name}=1.0"));
        let command = ["/bin/sh", "-c", IMAGE, "image"].map(str::to_owned).into_iter();
        let command: Vec<String> = command.chain([repository.sources()]).chain(packages).collect();
        run(&mut state.command(&command)).context("the image of the sandboxed machines")?;
        Ok(Self { upper: state.folder.join("upper"), repository: repository.root().to_owned() })
    }
}

/// Where a machine lives, and what it sees of the host.
#[derive(Debug, Clone)]
struct State {
    folder: PathBuf,
    name: String,
    binds: Vec<PathBuf>,
}

/// A throw-away machine. Dropping it pulls its plug.
#[derive(Debug)]
pub struct Machine {
    state: State,
    agent: Vec<String>,
    running: Arc<Running>,
    supervisor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Running {
    boots: AtomicU32,
    stopping: AtomicBool,
    process: Mutex<Option<Child>>,
}

impl Machine {
    /// A new machine, off. `agent` is what it runs once it is on; `binds` are folders of the host that it sees.
    pub fn create(
        folder: &Path,
        name: &str,
        image: &Image,
        binds: &[PathBuf],
        agent: Vec<String>,
    ) -> anyhow::Result<Self> {
        let binds: Vec<PathBuf> = binds.iter().cloned().chain([image.repository.clone()]).collect();
        let state = State::create(folder, name, &binds)?;
        fs::remove_dir(state.folder.join("upper"))?;
        run(Command::new("cp").arg("-a").arg(&image.upper).arg(state.folder.join("upper")))?;
        Ok(Self { state, agent, running: Arc::default(), supervisor: None })
    }

    /// The command that an agent on such a machine must use to reboot it.
    pub fn reboot_command() -> Vec<String> {
        REBOOT_COMMAND.map(str::to_owned).to_vec()
    }

    /// Writes a file on the machine's disk; the machine must be off.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let file = self.disk(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, text).with_context(|| file.display().to_string())
    }

    /// Reads a file of the machine's disk as far as it differs from the host's.
    pub fn read(&self, path: &str) -> anyhow::Result<String> {
        let file = self.disk(path);
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    }

    /// Turns it on. It reboots when its agent asks for that, until it is turned off.
    pub fn power_on(&mut self) -> anyhow::Result<()> {
        self.power_off();
        self.running.stopping.store(false, Ordering::SeqCst);
        let init = ["/bin/bash", "-c", INIT, "init"].map(str::to_owned).into_iter();
        let command: Vec<String> = init.chain(self.agent.iter().cloned()).collect();
        boot(&self.state, &command, &self.running)?;
        let (state, running) = (self.state.clone(), self.running.clone());
        self.supervisor = Some(std::thread::spawn(move || supervise(&state, &command, &running)));
        Ok(())
    }

    /// Pulls the plug: everything on it ends at once, whatever it was doing.
    pub fn power_off(&mut self) {
        self.running.stopping.store(true, Ordering::SeqCst);
        if let Some(mut process) = self.running.process().take() {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
        if let Some(supervisor) = self.supervisor.take() {
            drop(supervisor.join());
        }
    }

    /// kill -9 of the agent alone; what it had started goes on.
    pub fn kill_agent(&self) -> anyhow::Result<()> {
        let kill = "kill -9 \"$(cat /run/nightshift-agent.pid)\"";
        let output = self.exec(&["/bin/sh", "-c", kill])?;
        if output.status.success() { Ok(()) } else { bail!("{}", String::from_utf8_lossy(&output.stderr)) }
    }

    /// Runs a command on the machine, whether it is on or off.
    pub fn exec(&self, command: &[&str]) -> anyhow::Result<Output> {
        match self.ready()? {
            Some(pid) => {
                let mut enter = Command::new("nsenter");
                enter.args([
                    "--target",
                    &pid.to_string(),
                    "--mount",
                    "--pid",
                    "--uts",
                    "--ipc",
                    "--root",
                    "--wd",
                ]);
                Ok(enter.arg("--").args(command).output()?)
            }
            None => {
                let command: Vec<String> = command.iter().map(ToString::to_string).collect();
                Ok(self.state.command(&command).output()?)
            }
        }
    }

    /// The version and the state (`installed`, `half-configured`, …) of a package, by the package database.
    pub fn package(&self, name: &str) -> anyhow::Result<(String, String)> {
        let output = self.exec(&["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name])?;
        let text = String::from_utf8(output.stdout)?;
        let said = || format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        let (version, state) = text.split_once(' ').with_context(said)?;
        Ok((version.to_owned(), state.to_owned()))
    }

    /// How often it was booted.
    pub fn boots(&self) -> u32 {
        self.running.boots.load(Ordering::SeqCst)
    }

    fn disk(&self, path: &str) -> PathBuf {
        self.state.folder.join("upper").join(path.trim_start_matches('/'))
    }

    /// The host's number of the machine's first process, once it lives in its own root: a command that enters before
    /// would run on the host. `None` if the machine is off.
    fn ready(&self) -> anyhow::Result<Option<u32>> {
        for _ in 0..500 {
            if self.running.process().is_none() {
                return Ok(None);
            }
            let own_root =
                |pid: &u32| fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root != *"/");
            if let Some(pid) = self.first_process().filter(own_root) {
                return Ok(Some(pid));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("machine {} did not boot; is its disk in order?", self.state.name)
    }

    fn first_process(&self) -> Option<u32> {
        let unshare = self.running.process().as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
    }
}

impl State {
    fn create(folder: &Path, name: &str, binds: &[PathBuf]) -> anyhow::Result<Self> {
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(folder.join(part)).with_context(|| folder.display().to_string())?;
        }
        Ok(Self { folder: folder.canonicalize()?, name: name.to_owned(), binds: binds.to_vec() })
    }

    /// Boots the machine with this as its first process.
    fn command(&self, command: &[String]) -> Command {
        let binds = self.binds.iter().map(|bind| bind.display().to_string()).collect::<Vec<_>>().join("\n");
        let mut boot = Command::new("unshare");
        boot.args([
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child=KILL",
            "--propagation",
            "private",
        ]);
        boot.args(["/bin/bash", "-c", BOOT, "boot"])
            .arg(&self.folder)
            .arg(&self.name)
            .arg(binds)
            .args(command);
        boot.stdin(Stdio::null());
        boot
    }
}

impl Running {
    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        // A process handle is whole whoever panicked while holding it.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn boot(state: &State, command: &[String], running: &Running) -> anyhow::Result<()> {
    let child =
        state.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("unshare")?;
    *running.process() = Some(child);
    running.boots.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

fn supervise(state: &State, command: &[String], running: &Running) {
    while !running.stopping.load(Ordering::SeqCst) {
        std::thread::sleep(LOOK_EVERY);
        let ended = running.process().as_mut().and_then(|child| child.try_wait().ok().flatten());
        let Some(status) = ended else { continue };
        let reboots = status.code() == Some(REBOOT) && !running.stopping.load(Ordering::SeqCst);
        if !reboots || boot(state, command, running).is_err() {
            return;
        }
    }
}
