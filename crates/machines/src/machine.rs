//! A machine: its image, its boots, and what can be done to it from outside.

use crate::power::Power;
use crate::repository::{AptRepository, INSTALLED};
use crate::rpm_repository::{self, RpmRepository};
use crate::run;
use crate::sandbox::{Sandbox, check};
use anyhow::{Context as _, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const INIT: &str = include_str!("init.sh");
const IMAGE: &str = include_str!("image.sh");
const RPM_IMAGE: &str = include_str!("image-rpm.sh");
/// How long a boot may take.
const BOOT_WITHIN: Duration = Duration::from_secs(20);
/// What a machine's agent runs to reboot it.
const REBOOT_COMMAND: [&str; 2] = ["/usr/bin/touch", "/run/nightshift-reboot"];
/// Kills the agent that runs, or the next one if it is just being started.
const KILL_AGENT: &str =
    "until kill -9 \"$(cat /run/nightshift-agent.pid)\"; do sleep 0.05; done 2>/dev/null";

/// What a machine is patched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// apt and dpkg.
    Apt,
    /// dnf and rpm.
    Dnf,
    /// zypper and rpm.
    Zypper,
}

/// What machines begin with: every fixture package at 1.0, and no source but the repository.
#[derive(Debug, Clone)]
pub struct Image {
    manager: Manager,
    upper: PathBuf,
    repository: PathBuf,
}

impl Image {
    /// Makes the image in a folder of its own: a few seconds, once for all machines.
    pub fn prepare(folder: &Path, repository: &AptRepository) -> anyhow::Result<Self> {
        check(&[])?;
        let packages = INSTALLED.iter().map(|name| format!("{name}=1.0"));
        let command = ["/bin/sh", "-c", IMAGE, "image"].map(str::to_owned).into_iter();
        let command = command.chain([repository.sources()]).chain(packages).collect();
        Self::make(folder, Manager::Apt, repository.root(), command)
    }

    /// The same for machines with rpm, for the given one of its package managers.
    pub fn prepare_rpm(folder: &Path, repository: &RpmRepository, manager: Manager) -> anyhow::Result<Self> {
        let (program, package) = match manager {
            Manager::Apt => anyhow::bail!("an rpm repository is not for apt"),
            Manager::Dnf => ("dnf", "dnf"),
            Manager::Zypper => ("zypper", "zypper"),
        };
        check(&[(program, package), ("rpm", "rpm")])?;
        let root = repository.root().display().to_string();
        let command = ["/bin/sh", "-c", RPM_IMAGE, "image", program, &root].map(str::to_owned).into_iter();
        let command = command.chain(rpm_repository::INSTALLED.map(str::to_owned)).collect();
        Self::make(folder, manager, repository.root(), command)
    }

    fn make(
        folder: &Path,
        manager: Manager,
        repository: &Path,
        command: Vec<String>,
    ) -> anyhow::Result<Self> {
        let sandbox = Sandbox::create(folder, "image", &[repository.to_owned()])?;
        run(&mut sandbox.command(&command)).context("the image of the sandboxed machines")?;
        Ok(Self { manager, upper: sandbox.upper(), repository: repository.to_owned() })
    }
}

/// A throw-away machine. Dropping it pulls its plug, and so does the end of the program.
#[derive(Debug)]
pub struct Machine {
    sandbox: Sandbox,
    manager: Manager,
    agent: Vec<String>,
    power: Power,
}

impl Machine {
    /// A new machine, off. `agent` is what it runs once it is on; `binds` are what it sees of the host as it is there,
    /// folders or files.
    pub fn create(
        folder: &Path,
        name: &str,
        image: &Image,
        binds: &[PathBuf],
        agent: Vec<String>,
    ) -> anyhow::Result<Self> {
        let binds: Vec<PathBuf> = binds.iter().cloned().chain([image.repository.clone()]).collect();
        let sandbox = Sandbox::create(folder, name, &binds)?;
        // A copy, a few megabytes: the kernel takes no layer that lies inside another, and / holds them all.
        fs::remove_dir_all(sandbox.upper())?;
        run(Command::new("cp").arg("-a").arg(&image.upper).arg(sandbox.upper()))?;
        Ok(Self { sandbox, manager: image.manager, agent, power: Power::default() })
    }

    /// The command that an agent on such a machine must use to reboot it.
    pub fn reboot_command() -> Vec<String> {
        REBOOT_COMMAND.map(str::to_owned).to_vec()
    }

    /// Writes a file on the machine's disk; the machine must be off.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        ensure!(!self.power.is_on(), "{}: {path} is written while the machine is off", self.sandbox.name());
        let file = self.disk(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, text).with_context(|| file.display().to_string())
    }

    /// Reads a file of the machine's disk as far as it differs from the host's, for example the agent's log at
    /// `/var/log/nightshift-agent.log`.
    pub fn read(&self, path: &str) -> anyhow::Result<String> {
        let file = self.disk(path);
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    }

    /// Takes away all fixture packages but these; for machines with apt.
    pub fn keep_only(&self, packages: &[&str]) -> anyhow::Result<()> {
        let others = INSTALLED.iter().filter(|name| !packages.contains(name));
        let command: Vec<&str> = ["dpkg", "--purge"].into_iter().chain(others.copied()).collect();
        self.must(&command)
    }

    /// Turns it on. It reboots when its agent asks for that, until it is turned off.
    pub fn power_on(&mut self) -> anyhow::Result<()> {
        let init = ["/bin/bash", "-c", INIT, "init"].map(str::to_owned).into_iter();
        self.power.on(self.sandbox.clone(), init.chain(self.agent.iter().cloned()).collect())
    }

    /// Pulls the plug: everything on it ends at once, whatever it was doing.
    pub fn power_off(&mut self) {
        self.power.off();
    }

    /// kill -9 of the agent alone; what it had started goes on, and the agent is started again.
    pub fn kill_agent(&self) -> anyhow::Result<()> {
        self.must(&["timeout", "20", "/bin/sh", "-c", KILL_AGENT])
    }

    /// kill -9 of the agent, which stays away until the next boot.
    pub fn stop_agent(&self) -> anyhow::Result<()> {
        self.must(&["touch", "/run/nightshift-agent-stopped"])?;
        // It may have ended by itself.
        self.exec(&["timeout", "1", "/bin/sh", "-c", KILL_AGENT]).map(drop)
    }

    /// Runs a command on the machine, whether it is on or off.
    pub fn exec(&self, command: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(command)?.output()?)
    }

    /// The same to be started by the caller.
    pub fn command(&self, command: &[&str]) -> anyhow::Result<Command> {
        match self.ready()? {
            Some(pid) => Ok(Sandbox::enter(pid, command)),
            None => {
                let command: Vec<String> = command.iter().map(ToString::to_string).collect();
                Ok(self.sandbox.command(&command))
            }
        }
    }

    /// The version and the state (`installed`, `half-configured`, …) of a package, by the package database; rpm knows
    /// only what is installed.
    pub fn package(&self, name: &str) -> anyhow::Result<(String, String)> {
        let command = match self.manager {
            Manager::Apt => ["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name],
            Manager::Dnf | Manager::Zypper => ["rpm", "-q", "--qf", "%{VERSION} installed", name],
        };
        let output = self.exec(&command)?;
        let text = String::from_utf8(output.stdout)?;
        let said = || format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        let (version, state) = text.split_once(' ').with_context(said)?;
        Ok((version.to_owned(), state.to_owned()))
    }

    /// What it is patched with.
    pub fn manager(&self) -> Manager {
        self.manager
    }

    /// How often it was booted.
    pub fn boots(&self) -> u32 {
        self.power.boots()
    }

    fn must(&self, command: &[&str]) -> anyhow::Result<()> {
        let output = self.exec(command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {command:?}: {}", self.sandbox.name(), said.trim());
        Ok(())
    }

    fn disk(&self, path: &str) -> PathBuf {
        self.sandbox.upper().join(path.trim_start_matches('/'))
    }

    /// The host's number of the machine's first process, once it lives in its own root: a command that enters before
    /// would run on the host. `None` if the machine is off.
    fn ready(&self) -> anyhow::Result<Option<u32>> {
        let deadline = Instant::now() + BOOT_WITHIN;
        while Instant::now() < deadline {
            if !self.power.is_on() {
                return Ok(None);
            }
            let own_root =
                |pid: &u32| fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root != *"/");
            if let Some(pid) = self.power.first_process().filter(own_root) {
                return Ok(Some(pid));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let console = fs::read_to_string(self.sandbox.console()).unwrap_or_default();
        anyhow::bail!("machine {} does not boot: {}", self.sandbox.name(), console.trim())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power.off();
    }
}
