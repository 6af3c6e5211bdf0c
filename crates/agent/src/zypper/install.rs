//! Planning, downloading and installing named versions, and putting right what an interruption left.

use super::{READING, Zypper, parse, reboot, xml};
use crate::back_end::{BackEndError, Package, PlanError, Running};
use crate::rpm::{Database, checked};
use std::time::Duration;

const DOWNLOAD: Duration = Duration::from_secs(6 * 3600);
/// Exit codes (zypper(8)) of a simulation or download that went well: a reboot, another run or a failed script are told
/// of what would be, or was, in the past.
const WELL: [i32; 5] = [0, 102, 103, 106, 107];
const NOT_TO_BE_HAD: i32 = 104;
/// Another program has the lock, also after `ZYPP_LOCK_TIMEOUT`.
pub(super) const LOCKED: i32 = 7;
/// `update` names versions; nothing that is not there is added but what is needed.
const UPDATE: [&str; 5] = ["--non-interactive", "--xmlout", "--no-refresh", "update", "--no-recommends"];

impl Zypper {
    pub(super) async fn simulate(&self, packages: &[Package]) -> Result<(), PlanError> {
        let named = named(packages).map_err(|error| PlanError::Impossible(error.to_string()))?;
        let stale = |error: BackEndError| PlanError::Stale(error.to_string());
        let arguments = with(&["--dry-run"], &named);
        let said = self.readers.run("zypper", &arguments, READING).await.map_err(stale)?;
        let (elements, _) = xml::elements(&said.out);
        let removals = parse::removals(&elements);
        if !removals.is_empty() {
            return Err(PlanError::Impossible(format!("would remove {}", removals.join(", "))));
        }
        match said.code {
            Some(code) if WELL.contains(&code) => Ok(()),
            Some(NOT_TO_BE_HAD) => {
                Err(PlanError::Stale(format!("the sources have moved on: {}", parse::problem(&elements))))
            }
            Some(LOCKED) | None => Err(PlanError::Stale(parse::problem(&elements))),
            Some(_) => Err(PlanError::Impossible(parse::problem(&elements))),
        }
    }

    pub(super) async fn fetch(&self, packages: &[Package]) -> Result<(), BackEndError> {
        let named = named(packages)?;
        let arguments = with(&["--auto-agree-with-licenses", "--download-only"], &named);
        let said = self.programs.run("zypper", &arguments, DOWNLOAD).await?;
        if said.code.is_some_and(|code| WELL.contains(&code)) {
            return Ok(());
        }
        Err(BackEndError(format!("the download failed: {}", parse::problem(&xml::elements(&said.out).0))))
    }

    pub(super) async fn start_install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        let named = named(packages)?;
        reboot::remember(self).await?;
        self.programs.start("zypper", &with(&["--auto-agree-with-licenses"], &named))
    }

    /// What was there in two versions is installed once more: the script after its install may have been killed. That no
    /// source answers now is no reason to leave everything else unpatched.
    pub(super) async fn install_again(&self, before: &Database) -> Result<(), BackEndError> {
        let newest = |(name, _): (&str, _)| {
            let version = before.newest(name)?.to_string();
            Some(Package { name: name.to_owned(), version })
        };
        let packages: Vec<Package> = before.duplicates().filter_map(newest).collect();
        let named = named(&packages)?;
        let mut arguments = vec!["--non-interactive", "--xmlout", "--no-refresh", "install", "--force"];
        arguments.extend(["--no-recommends", "--auto-agree-with-licenses"]);
        arguments.extend(named.iter().map(String::as_str));
        let said = self.programs.run_to_its_end("zypper", &arguments).await?;
        if !said.code.is_some_and(|code| WELL.contains(&code)) {
            let why = parse::problem(&xml::elements(&said.out).0);
            tracing::warn!(why, "what was interrupted could not be installed again");
        }
        Ok(())
    }
}

fn with<'a>(options: &[&'a str], named: &'a [String]) -> Vec<&'a str> {
    UPDATE.iter().chain(options).copied().chain(named.iter().map(String::as_str)).collect()
}

/// `NAME[.ARCHITECTURE]=[EPOCH:]VERSION-RELEASE`, each checked.
fn named(packages: &[Package]) -> Result<Vec<String>, BackEndError> {
    let one = |package: &Package| {
        let (_, _, evr) = checked(package)?;
        Ok(format!("{}={evr}", package.name))
    };
    packages.iter().map(one).collect()
}
