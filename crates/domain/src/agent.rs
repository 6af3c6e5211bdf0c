//! What agents say of themselves and of their orders.

use crate::patch::{PatchOutcome, PatchState, RebootStatus};
use serde::{Deserialize, Serialize};

/// What an agent says of its machine when it connects. The VM's identity is none of it: that is in its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentIdentity {
    /// The agent's version.
    pub agent_version: String,
    /// New with every boot of the machine.
    pub boot_id: String,
    /// The operating system as it names itself (`PRETTY_NAME` of os-release(5)).
    pub os: String,
    /// The package manager in use (`apt`, `simulated`).
    pub back_end: String,
}

/// How an order ended on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallReport {
    /// Every assessed patch and what became of it; each exactly once.
    pub patches: Vec<PatchOutcome>,
    /// Where the reboot stands.
    pub reboot: RebootStatus,
    /// The boot in which the order ended.
    pub boot_id: String,
    /// Whether patches were left because the window would have been exceeded.
    pub window_exceeded: bool,
    /// What kept the whole order from its work; `None` if it ran to its end.
    pub error: Option<String>,
}

impl InstallReport {
    /// How many patches ended in this state.
    pub fn count(&self, state: PatchState) -> usize {
        self.patches.iter().filter(|p| p.state == state).count()
    }

    /// How many patches were left alone: of another classification, or with something in the way.
    pub fn skipped(&self) -> usize {
        self.count(PatchState::NotSelected) + self.count(PatchState::Excluded)
    }

    /// Installed, pending, failed and skipped together; a patch that is there twice counts once. As many as were assessed,
    /// or the account is wrong.
    pub fn accounted(&self) -> usize {
        let patches = self.patches.iter().map(|patch| (&patch.name, &patch.version));
        patches.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Why the order counts as failed; `None` if it did what was asked.
    pub fn failure(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        let failed: Vec<_> = self.patches.iter().filter(|p| p.state == PatchState::Failed).collect();
        if let Some(first) = failed.first() {
            let others =
                if failed.len() > 1 { format!(" and {} more", failed.len() - 1) } else { String::new() };
            return Some(format!("{} {} failed{others}: {}", first.name, first.version, first.detail));
        }
        (self.reboot == RebootStatus::Failed)
            .then(|| "the machine did not come back from its reboot".to_owned())
    }
}

/// One thing that a machine must have to be patched (REQUIREMENTS.md C4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Stable, for programs: `PackageManagerWorks`, `SourcesAnswer`, `DiskSpace`, `ClockAgrees`, `InitSystem`,
    /// `AgentVersion`, `NativeUpdatesOff`.
    pub code: String,
    /// How far it is met.
    pub state: RequirementState,
    /// What was found and, where something is missing, what to do; for people.
    pub sentence: String,
}

/// How far a requirement is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RequirementState {
    /// All is well.
    Met,
    /// Patching goes on, though something is not as it should be, or could not be looked at.
    AtRisk,
    /// The machine cannot be patched until somebody does something about it.
    Unmet,
}

/// Why an agent will not carry out an order: a stable code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedOrder {
    /// `Expired`, `Superseded`, `NotMine`.
    pub code: String,
    /// For people.
    pub why: String,
}
