//! What every back end asks of the machine itself, whatever its package manager.

use crate::back_end::BackEndError;
use crate::config::Config;
use crate::programs::Programs;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine, below the folder that stands for its `/`.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    root: PathBuf,
    reboot_command: Vec<String>,
}

impl Host {
    pub(crate) fn new(config: &Config) -> Self {
        Self { root: config.root.clone(), reboot_command: config.reboot_command.clone() }
    }

    /// The folder that stands for its `/`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path on the machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Whether it is a whole machine: a root that is only a folder has no `/proc` of its own.
    pub(crate) fn is_whole(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The operating system as it names itself (`PRETTY_NAME` of os-release(5)).
    pub(crate) fn os(&self) -> String {
        self.os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned())
    }

    /// The family: `ID` and everything that `ID_LIKE` names.
    pub(crate) fn family(&self) -> Vec<String> {
        let words = [self.os_release("ID"), self.os_release("ID_LIKE")].into_iter().flatten();
        words.flat_map(|text| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>()).collect()
    }

    fn os_release(&self, key: &str) -> Option<String> {
        let text = ["/etc/os-release", "/usr/lib/os-release"]
            .into_iter()
            .flat_map(|path| [self.path(path), PathBuf::from(path)])
            .find_map(|path| fs::read_to_string(path).ok())?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    }

    /// New with every boot.
    pub(crate) fn boot_id(&self) -> Result<String, BackEndError> {
        let path = "/proc/sys/kernel/random/boot_id";
        let read = fs::read_to_string(self.path(path)).or_else(|_| fs::read_to_string(path));
        read.map(|id| id.trim().to_owned()).map_err(|error| BackEndError(format!("{path}: {error}")))
    }

    /// When the machine was booted, in seconds since 1970 (`btime` of proc_stat(5)).
    pub(crate) fn booted_at(&self) -> Result<u64, BackEndError> {
        let path = "/proc/stat";
        let text = fs::read_to_string(path).map_err(|error| BackEndError(format!("{path}: {error}")))?;
        let value = text.lines().find_map(|line| line.strip_prefix("btime "));
        let seconds = value.and_then(|value| value.trim().parse().ok());
        seconds.ok_or_else(|| BackEndError(format!("{path}: it has no `btime`")))
    }

    /// Tells the machine to reboot; returns as soon as it is told.
    pub(crate) async fn reboot(&self, programs: &Programs) -> Result<(), BackEndError> {
        let Some((program, arguments)) = self.reboot_command.split_first() else {
            return Err(BackEndError::new("`reboot_command` names no program"));
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let told = programs.run(program, &arguments, Duration::from_secs(60)).await?;
        if told.success() {
            return Ok(());
        }
        Err(BackEndError(format!("`reboot_command`: {program} failed: {}", told.err.trim())))
    }
}
