//! What a machine must have to be patched, looked at one by one (REQUIREMENTS.md C4).

use crate::back_end::{BackEnd, BackEndError};
use crate::welcomed::Welcomed;
use nightshift_domain::agent::{Requirement, RequirementState};
use nightshift_domain::patch::Assessment;
use nix::sys::statvfs::statvfs;
use std::path::Path;

/// What must be free where packages are fetched and unpacked.
const ENOUGH: u64 = 200 << 20;
/// What must be free where the agent keeps its journal.
const ENOUGH_FOR_JOURNAL: u64 = 10 << 20;

/// What needs no package manager to look at; nothing for what only seems to be a machine.
pub(crate) fn of_machine(
    back_end: &dyn BackEnd,
    state_dir: Option<&Path>,
    welcomed: &Welcomed,
) -> Vec<Requirement> {
    let Some(root) = back_end.root() else { return Vec::new() };
    vec![disk_space(root, state_dir), welcomed.clock(), init_system(root), welcomed.version()]
}

/// What the sources and the package manager say.
pub(crate) fn of_package_manager(
    back_end: &dyn BackEnd,
    warnings: &[String],
    assessed: Result<&Assessment, &BackEndError>,
) -> Vec<Requirement> {
    if back_end.root().is_none() {
        return Vec::new();
    }
    vec![package_manager(back_end.name(), assessed), sources(warnings)]
}

/// The first that keeps the machine from being patched.
pub(crate) fn first_unmet(requirements: &[Requirement]) -> Option<&Requirement> {
    requirements.iter().find(|requirement| requirement.state == RequirementState::Unmet)
}

pub(crate) fn requirement(code: &str, state: RequirementState, sentence: impl Into<String>) -> Requirement {
    Requirement { code: code.to_owned(), state, sentence: sentence.into() }
}

pub(crate) fn native_updates_off(on: Result<Option<String>, BackEndError>) -> Requirement {
    let code = "NativeUpdatesOff";
    match on {
        Ok(None) => requirement(code, RequirementState::Met, "native automatic updates are off"),
        Ok(Some(what)) => {
            let why = format!("native automatic updates are on ({what}): the first order turns them off");
            requirement(code, RequirementState::AtRisk, why)
        }
        Err(error) => requirement(code, RequirementState::AtRisk, error.to_string()),
    }
}

fn package_manager(name: &str, assessed: Result<&Assessment, &BackEndError>) -> Requirement {
    let code = "PackageManagerWorks";
    match assessed {
        Ok(_) => requirement(code, RequirementState::Met, format!("{name} answers")),
        Err(error) => requirement(code, RequirementState::Unmet, format!("{name} does not answer: {error}")),
    }
}

fn sources(warnings: &[String]) -> Requirement {
    let code = "SourcesAnswer";
    match warnings.first() {
        None => requirement(code, RequirementState::Met, "every package source answers"),
        Some(first) => {
            let why = format!("{} complaints, what was known before serves on: {first}", warnings.len());
            requirement(code, RequirementState::AtRisk, why)
        }
    }
}

fn disk_space(root: &Path, state_dir: Option<&Path>) -> Requirement {
    let code = "DiskSpace";
    let places = [(root.join("var"), ENOUGH)]
        .into_iter()
        .chain(state_dir.map(|folder| (folder.to_owned(), ENOUGH_FOR_JOURNAL)));
    for (place, enough) in places {
        // A folder that is not there yet lies on its parent's disk.
        let existing = place.ancestors().find(|folder| folder.exists()).unwrap_or(root);
        let free = match statvfs(existing) {
            Ok(disk) => disk.blocks_available().saturating_mul(disk.fragment_size()),
            Err(error) => {
                return requirement(code, RequirementState::AtRisk, format!("{}: {error}", place.display()));
            }
        };
        if free < enough {
            let why = format!(
                "{} has {} MiB left, {} are needed: make room",
                place.display(),
                free >> 20,
                enough >> 20
            );
            return requirement(code, RequirementState::Unmet, why);
        }
    }
    requirement(code, RequirementState::Met, "there is room for packages and for the journal")
}

/// systemd, by the folder that sd_booted(3) looks for.
fn init_system(root: &Path) -> Requirement {
    if root.join("run/systemd/system").is_dir() {
        return requirement("InitSystem", RequirementState::Met, "systemd runs the machine");
    }
    let why = "systemd does not run this machine: whatever starts the agent must not end what it started with it, and \
               must start it again";
    requirement("InitSystem", RequirementState::AtRisk, why)
}
