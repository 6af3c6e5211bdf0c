//! Running fixed scripts with PowerShell. Nothing is ever written into a script: what it is to work on is a file of JSON
//! whose path is its argument.

use crate::back_end::{BackEndError, Running};
use crate::programs::{Programs, written};
use async_trait::async_trait;
use serde_json::Value;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Script {
    Machine,
    Search,
    Standings,
    Download,
    Install,
    Native,
}

impl Script {
    const ALL: [Self; 6] =
        [Self::Machine, Self::Search, Self::Standings, Self::Download, Self::Install, Self::Native];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Search => "search",
            Self::Standings => "standings",
            Self::Download => "download",
            Self::Install => "install",
            Self::Native => "native",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Machine => include_str!("scripts/machine.ps1"),
            Self::Search => include_str!("scripts/search.ps1"),
            Self::Standings => include_str!("scripts/standings.ps1"),
            Self::Download => include_str!("scripts/download.ps1"),
            Self::Install => include_str!("scripts/install.ps1"),
            Self::Native => include_str!("scripts/native.ps1"),
        }
    }
}

/// Who runs them: PowerShell, or in tests a transcript.
#[async_trait]
pub(super) trait PowerShell: fmt::Debug + Send + Sync {
    /// Runs one that may be ended at any time; its output.
    async fn ask(&self, script: Script, input: &Value, limit: Duration) -> Result<String, BackEndError>;

    /// The same, for whoever cannot wait otherwise: the agent at its start.
    fn ask_at_start(&self, script: Script, input: &Value) -> Result<String, BackEndError>;

    /// Starts one that must not be ended.
    fn start(&self, script: Script, input: &Value) -> Result<Running, BackEndError>;

    /// Waits for it; its output and its errors.
    async fn ended(&self, running: &Running) -> (String, String);

    /// Tells the machine to reboot.
    async fn reboot(&self) -> Result<(), BackEndError>;
}

/// The machine's own.
#[derive(Debug)]
pub(super) struct Own {
    programs: Programs,
    folder: PathBuf,
    inputs: AtomicU64,
}

const PROGRAM: &str = "powershell.exe";

impl Own {
    pub(super) fn new(folder: PathBuf) -> Result<Self, BackEndError> {
        let programs = Programs::new(folder.join("logs"), Vec::new())?;
        let prepare = || -> std::io::Result<()> {
            fs::create_dir_all(folder.join("inputs"))?;
            Script::ALL.iter().try_for_each(|script| {
                fs::write(folder.join(format!("{}.ps1", script.name())), script.text())
            })
        };
        prepare().map_err(|error| BackEndError(format!("`state_dir`: {}: {error}", folder.display())))?;
        Ok(Self { programs, folder, inputs: AtomicU64::new(0) })
    }

    fn arguments(&self, script: Script, input: &Value) -> Result<Vec<String>, BackEndError> {
        // A few are enough: each is read as its script begins.
        let number = self.inputs.fetch_add(1, Ordering::Relaxed) % 64;
        let path = self.folder.join("inputs").join(format!("{}-{number}.json", script.name()));
        fs::write(&path, input.to_string())
            .map_err(|error| BackEndError(format!("{}: {error}", path.display())))?;
        let script = self.folder.join(format!("{}.ps1", script.name()));
        let options = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];
        let files = [script.display().to_string(), path.display().to_string()];
        Ok(options.map(str::to_owned).into_iter().chain(files).collect())
    }
}

fn failed(script: Script, err: &str) -> BackEndError {
    let why = err.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
    BackEndError(format!("the script {} failed: {}", script.name(), why.trim()))
}

#[async_trait]
impl PowerShell for Own {
    async fn ask(&self, script: Script, input: &Value, limit: Duration) -> Result<String, BackEndError> {
        let arguments = self.arguments(script, input)?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = self.programs.run(PROGRAM, &arguments, limit).await?;
        if said.success() { Ok(said.out) } else { Err(failed(script, &said.err)) }
    }

    fn ask_at_start(&self, script: Script, input: &Value) -> Result<String, BackEndError> {
        let arguments = self.arguments(script, input)?;
        let said = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().map_err(|error| {
            BackEndError(format!("`back_end`: windows: {PROGRAM} could not be run: {error}"))
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(failed(script, &text(&said.stderr))) }
    }

    fn start(&self, script: Script, input: &Value) -> Result<Running, BackEndError> {
        let arguments = self.arguments(script, input)?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.programs.start(PROGRAM, &arguments)
    }

    async fn ended(&self, running: &Running) -> (String, String) {
        self.programs.ended(running).await;
        written(running)
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        self.programs.read("shutdown.exe", &["/r", "/t", "0"], Duration::from_secs(60)).await.map(drop)
    }
}
