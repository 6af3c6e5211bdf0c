//! Windows Update, through the COM interface of the Windows Update Agent and fixed PowerShell scripts.
//!
//! None of it ever ran on Windows: the scripts are written after Microsoft's documentation, and what they answer is
//! tested with transcripts that were written by hand after it. `docs/back-ends.md` says what is left to be shown.

mod powershell;
#[cfg(test)]
mod tests;
mod wire;

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing, Trouble};
use crate::config::Config;
use crate::durable;
use async_trait::async_trait;
use nightshift_domain::patch::Assessment;
use powershell::{Own, PowerShell, Script};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use wire::{Done, Found, Identity, Machine, Policy, Standings};

const READING: Duration = Duration::from_secs(1800);
const DOWNLOAD: Duration = Duration::from_secs(6 * 3600);
/// `OperationResultCode`: succeeded, and succeeded with errors.
const SUCCEEDED: [i32; 2] = [2, 3];
const WELL: i32 = 2;
/// HRESULTs of causes that pass by themselves: another install runs; the server or the network does not answer.
const PASSING: [&str; 5] = ["0x80240016", "0x8024402C", "0x80244022", "0x80072EE2", "0x80072EFD"];
/// `NoAutoUpdate`.
const OFF: u32 = 1;

/// Windows Update of this machine.
#[derive(Debug)]
pub struct Windows {
    shell: Box<dyn PowerShell>,
    /// As it was when the agent started: it starts anew with every boot.
    machine: Machine,
    folder: PathBuf,
}

impl Windows {
    /// The machine's Windows Update, as configured.
    ///
    /// # Errors
    /// If PowerShell cannot be run, or the Windows Update service is missing or disabled.
    pub fn open(config: &Config) -> Result<Self, BackEndError> {
        let folder = config.state_folder().unwrap_or_default().join("windows");
        Self::with(Box::new(Own::new(folder.clone())?), folder)
    }

    fn with(shell: Box<dyn PowerShell>, folder: PathBuf) -> Result<Self, BackEndError> {
        let said = shell.ask_at_start(Script::Machine, &json!({}))?;
        let machine: Machine = wire::read("machine", &said).map_err(BackEndError)?;
        if matches!(machine.service.as_str(), "missing" | "Disabled") {
            return Err(BackEndError(format!(
                "the Windows Update service (wuauserv) is {}",
                machine.service
            )));
        }
        Ok(Self { shell, machine, folder })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        script: Script,
        input: &Value,
        limit: Duration,
    ) -> Result<T, BackEndError> {
        let said = self.shell.ask(script, input, limit).await?;
        wire::read(script.name(), &said).map_err(BackEndError)
    }

    async fn search(&self, online: bool) -> Result<Found, BackEndError> {
        let found: Found = self.ask(Script::Search, &json!({ "online": online }), READING).await?;
        if SUCCEEDED.contains(&found.result) {
            return Ok(found);
        }
        let why = found.warnings.first().map_or("it gave no reason", String::as_str);
        Err(BackEndError(format!("the search for updates ended with result {}: {why}", found.result)))
    }

    fn kept(&self) -> PathBuf {
        self.folder.join("native-updates.json")
    }

    fn kept_policy(&self) -> Result<Option<Policy>, BackEndError> {
        let path = self.kept();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| BackEndError(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackEndError(format!("{}: {error}", path.display()))),
        }
    }
}

/// The identities, each checked; the name is only for people.
fn identities(packages: &[Package]) -> Result<Vec<Identity>, BackEndError> {
    let one = |package: &Package| {
        let wrong = || BackEndError(format!("{:?} {:?} is no update", package.name, package.version));
        Identity::of(package).ok_or_else(wrong)
    };
    packages.iter().map(one).collect()
}

fn input(packages: &[Package]) -> Result<Value, BackEndError> {
    Ok(json!({ "updates": identities(packages)? }))
}

#[async_trait]
impl BackEnd for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn os(&self) -> String {
        self.machine.os.clone()
    }

    fn boot_id(&self) -> Result<String, BackEndError> {
        Ok(self.machine.boot.clone())
    }

    /// Windows finishes or undoes by itself what was interrupted.
    async fn repair(&self) -> Result<(), BackEndError> {
        Ok(())
    }

    /// By policy, the administrator's own way. What the policy was is on disk before it is changed.
    async fn disable_native_updates(&self) -> Result<(), BackEndError> {
        let now: Policy = self.ask(Script::Native, &json!({ "set": null }), READING).await?;
        if now.before == Some(OFF) {
            return Ok(());
        }
        if self.kept_policy()?.is_none() {
            let text = serde_json::to_vec(&now).map_err(|error| BackEndError(error.to_string()))?;
            durable::write(&self.kept(), &text, 0o644)
                .map_err(|error| BackEndError(format!("{}: {error}", self.kept().display())))?;
        }
        self.ask::<Policy>(Script::Native, &json!({ "set": { "value": OFF } }), READING).await.map(drop)
    }

    async fn restore_native_updates(&self) -> Result<(), BackEndError> {
        let Some(kept) = self.kept_policy()? else { return Ok(()) };
        let input = json!({ "set": { "value": kept.before } });
        self.ask::<Policy>(Script::Native, &input, READING).await?;
        durable::remove(&self.kept())
            .map_err(|error| BackEndError(format!("{}: {error}", self.kept().display())))
    }

    async fn refresh(&self) -> Vec<String> {
        match self.search(true).await {
            Ok(found) => found.warnings,
            Err(error) => vec![error.to_string()],
        }
    }

    async fn assess(&self) -> Result<Assessment, BackEndError> {
        let found = self.search(false).await?;
        let (patches, mut warnings) = wire::patches(&found.updates);
        warnings.extend(found.warnings);
        Ok(Assessment { patches, reboot_pending: self.reboot_required().await?, warnings })
    }

    /// Windows Update has no simulation: what does not go together it says when it installs.
    async fn plan(&self, packages: &[Package]) -> Result<(), PlanError> {
        identities(packages).map(drop).map_err(|error| PlanError::Impossible(error.to_string()))
    }

    async fn download(&self, packages: &[Package]) -> Result<(), BackEndError> {
        let done: Done = self.ask(Script::Download, &input(packages)?, DOWNLOAD).await?;
        let failed = done.updates.iter().find(|update| update.result != WELL);
        match (done.missing.first(), failed) {
            (Some(missing), _) => Err(BackEndError(format!("{missing} is offered no more"))),
            (None, Some(one)) => Err(BackEndError(format!(
                "the download of {} ended with result {} ({})",
                one.identity.version(),
                one.result,
                one.hresult
            ))),
            (None, None) => Ok(()),
        }
    }

    async fn install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        self.shell.start(Script::Install, &input(packages)?)
    }

    async fn wait(&self, running: &Running) -> Said {
        let (out, err) = self.shell.ended(running).await;
        let done: Done = match wire::read("install", &out) {
            Ok(done) => done,
            Err(sentence) => {
                let sentence = err.lines().next().map_or(sentence, str::to_owned);
                let passing = PASSING.iter().any(|code| sentence.contains(code));
                return Said { trouble: Some(Trouble { sentence, passing }), ..Said::default() };
            }
        };
        // The install knows identities; whoever asks knows names, so that the sentence tells of the whole.
        let failed = done.updates.iter().find(|update| update.result != WELL).map(|one| {
            let (version, result, hresult) = (one.identity.version(), one.result, one.hresult.as_str());
            let sentence = format!("{version} ended with result {result} ({hresult})");
            Trouble { sentence, passing: PASSING.contains(&hresult) }
        });
        let gone = || {
            let sentence = format!("{} is offered no more", done.missing.first()?);
            Some(Trouble { sentence, passing: true })
        };
        let whole = || {
            let sentence = format!("the install ended with result {}", done.result);
            (!SUCCEEDED.contains(&done.result)).then_some(Trouble { sentence, passing: false })
        };
        let trouble = failed.or_else(gone).or_else(whole);
        Said { trouble, ..Said::default() }
    }

    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError> {
        let said: Standings = self.ask(Script::Standings, &input(packages)?, READING).await?;
        let by_version: BTreeMap<String, String> =
            said.updates.into_iter().map(|one| (one.identity.version(), one.standing)).collect();
        let standing = |package: &Package| match by_version.get(&package.version).map(String::as_str) {
            Some("installed") => Standing::Installed,
            other => Standing::Not(other.unwrap_or("not told").to_owned()),
        };
        Ok(packages.iter().map(|package| (package.name.clone(), standing(package))).collect())
    }

    async fn reboot_required(&self) -> Result<bool, BackEndError> {
        let machine: Machine = self.ask(Script::Machine, &json!({}), READING).await?;
        Ok(machine.reboot_required)
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        self.shell.reboot().await
    }
}
