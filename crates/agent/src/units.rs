//! Units of systemd that install updates by themselves, turned off and on again as they were.

use crate::back_end::BackEndError;
use crate::durable;
use crate::programs::{Programs, is_installed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const SYSTEMCTL: Duration = Duration::from_secs(60);

/// Units, and the file that keeps what they were before.
#[derive(Debug)]
pub(crate) struct Units {
    names: &'static [&'static str],
    kept: PathBuf,
}

/// What a unit was before it was turned off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    /// As `systemctl is-enabled` says it.
    enabled: String,
    active: bool,
}

impl Units {
    pub(crate) fn new(names: &'static [&'static str], kept: PathBuf) -> Self {
        Self { names, kept }
    }

    /// Turns all off that are on. What each was is on disk before it is touched, and what was kept first stays: a unit
    /// that somebody turned on meanwhile is turned off again, and restored to what it was at the beginning.
    pub(crate) async fn disable(&self, programs: &Programs) -> Result<(), BackEndError> {
        if !is_installed("systemctl") {
            return Ok(());
        }
        for name in self.names {
            let enabled = self.state(programs, "is-enabled", name).await?;
            let Some(verb) = turned_off_by(&enabled) else { continue };
            let active = self.state(programs, "is-active", name).await? == "active";
            self.keep(name, Before { enabled, active })?;
            programs.read("systemctl", &[verb, name], SYSTEMCTL).await?;
            if active {
                programs.read("systemctl", &["stop", name], SYSTEMCTL).await?;
            }
        }
        Ok(())
    }

    /// Which of them are on, for people; `None` if none is.
    pub(crate) async fn on(&self, programs: &Programs) -> Result<Option<String>, BackEndError> {
        let mut on = Vec::new();
        if is_installed("systemctl") {
            for name in self.names {
                let enabled = self.state(programs, "is-enabled", name).await?;
                if turned_off_by(&enabled).is_some() {
                    on.push(format!("{name} is {enabled}"));
                }
            }
        }
        Ok((!on.is_empty()).then(|| on.join(", ")))
    }

    /// Makes each what it was. Asked again it does nothing.
    pub(crate) async fn restore(&self, programs: &Programs) -> Result<(), BackEndError> {
        for (name, before) in self.before()? {
            let verb = if before.enabled.starts_with("enabled") { "enable" } else { "unmask" };
            programs.read("systemctl", &[verb, &name], SYSTEMCTL).await?;
            if before.active {
                programs.read("systemctl", &["start", &name], SYSTEMCTL).await?;
            }
        }
        durable::remove(&self.kept).map_err(|error| self.failed(&error))
    }

    /// One word of systemctl, which fails where the answer is no, and says nothing of units that are not there.
    async fn state(&self, programs: &Programs, question: &str, name: &str) -> Result<String, BackEndError> {
        let said = programs.run("systemctl", &[question, name], SYSTEMCTL).await?;
        Ok(said.out.trim().to_owned())
    }

    fn keep(&self, name: &str, before: Before) -> Result<(), BackEndError> {
        let mut kept = self.before()?;
        if kept.contains_key(name) {
            return Ok(());
        }
        kept.insert(name.to_owned(), before);
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| BackEndError(error.to_string()))?;
        durable::write(&self.kept, &text, 0o644).map_err(|error| self.failed(&error))
    }

    fn before(&self) -> Result<BTreeMap<String, Before>, BackEndError> {
        match fs::read(&self.kept) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| BackEndError(format!("{}: {error}", self.kept.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &std::io::Error) -> BackEndError {
        BackEndError(format!("{}: {error}", self.kept.display()))
    }
}

/// What turns a unit off that `systemctl is-enabled` calls this; `None` if it is off, or not there.
fn turned_off_by(enabled: &str) -> Option<&'static str> {
    match enabled {
        "enabled" | "enabled-runtime" => Some("disable"),
        // Started by others (packagekit by D-Bus): only a mask keeps it off.
        "static" | "indirect" => Some("mask"),
        _ => None,
    }
}
