//! Patches: what a machine lacks, and what an order made of it.

use crate::selection::PackageVersion;
use serde::{Deserialize, Serialize};

/// How urgent a patch is. A rollout installs Critical and Security, never Other (REQUIREMENTS.md A1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Classification {
    /// A security patch that its vendor calls critical.
    Critical,
    /// Any other security patch.
    Security,
    /// Everything else, definition updates among it.
    Other,
}

/// Whether a machine may be rebooted for its patches (REQUIREMENTS.md A7, A10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RebootSetting {
    /// Where a patch requires it, and only then.
    #[default]
    IfRequired,
    /// Never; a required reboot is reported as pending.
    Never,
    /// Once, in any case.
    Always,
}

/// A patch that a machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// The package.
    pub name: String,
    /// The version that would be installed.
    pub version: String,
    /// How urgent it is.
    pub classification: Classification,
    /// Why it cannot be installed as things are (held, phased, would remove another); `None` if it can.
    pub obstacle: Option<String>,
}

/// What a machine lacks, by its own package manager and its own sources (REQUIREMENTS.md A8).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assessment {
    /// Everything that could be newer.
    pub patches: Vec<Patch>,
    /// Whether the machine waits for a reboot.
    pub reboot_pending: bool,
    /// What was not as it should be (a source that did not answer), for people; empty if all was well.
    pub warnings: Vec<String>,
}

impl Assessment {
    /// Patches that a rollout would install or try to: `criticalAndSecurityPatchCount` of the instance view (D5).
    pub fn critical_and_security(&self) -> usize {
        self.patches.iter().filter(|p| p.classification != Classification::Other).count()
    }

    /// The rest: `otherPatchCount`.
    pub fn other(&self) -> usize {
        self.patches.len() - self.critical_and_security()
    }
}

/// What became of one patch under an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PatchState {
    /// The package database has the target version, fully installed.
    Installed,
    /// Tried, and not so.
    Failed,
    /// Selected, but not tried, or the cause will pass (window over, network): next window (REQUIREMENTS.md A9).
    Pending,
    /// Not of a classification that was asked for.
    NotSelected,
    /// Of one, but held, phased, or not installable without removing another.
    Excluded,
}

/// One patch and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchOutcome {
    /// The package.
    pub name: String,
    /// The version that was assessed, and is installed if the state says so.
    pub version: String,
    /// How urgent it was.
    pub classification: Classification,
    /// What became of it.
    pub state: PatchState,
    /// Why, where the state does not say it all; may be empty.
    pub detail: String,
}

/// A version that may have failed a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// The version.
    pub patch: PackageVersion,
    /// Whether its own installation failed; if not, the VM fell ill or silent after it was installed among others.
    pub direct: bool,
}

/// What became of one package version over a number of VMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchTally {
    /// The version.
    pub patch: PackageVersion,
    /// VMs that installed it and were confirmed healthy.
    pub healthy: u32,
    /// VMs that failed, with this version to blame.
    pub failed: u32,
}

/// Where a reboot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RebootStatus {
    /// Nothing asked for one.
    NotNeeded,
    /// One is needed, and was not allowed or did not fit into the window.
    Required,
    /// The machine went down and came back under a new boot id.
    Completed,
    /// The machine was told to reboot and did not.
    Failed,
}
