//! Why something that was asked for is not done: a stable code for programs, a sentence for people.

use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// A refusal. The code never changes its meaning; the sentence says what was wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {sentence}")]
pub struct Refusal {
    /// The stable code, in the manner of Azure's error codes (`RolloutNotFound`).
    pub code: String,
    /// For people.
    pub sentence: String,
    /// For programs: the name of the thing that stands against it or is not there; of a request that is wrong, the path of
    /// the field. Empty if there is no one thing or field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

impl Refusal {
    /// A refusal with this code and sentence.
    pub fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { code: code.to_owned(), sentence: sentence.into(), about: String::new() }
    }

    /// The same, about this thing or field.
    pub fn about(self, about: impl Display) -> Self {
        Self { about: about.to_string(), ..self }
    }

    /// A VM that is not in the fleet.
    pub fn no_vm(vm: impl Display) -> Self {
        Self::new("VmNotFound", format!("VM \"{vm}\" is not in the fleet")).about(vm)
    }

    /// A rollout that there is not.
    pub fn no_rollout(rollout: impl Display) -> Self {
        Self::new("RolloutNotFound", format!("there is no rollout \"{rollout}\"")).about(rollout)
    }

    /// Whether the thing that was asked about does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code.ends_with("NotFound")
    }

    /// Whether the one who asks may not speak for what was asked about.
    pub fn is_denied(&self) -> bool {
        let denied = [
            "AuthorizationFailed",
            "CertificateEnded",
            "InvalidEnrolmentToken",
            "KeyNotCurrent",
            "SecondPersonNeeded",
        ];
        denied.contains(&self.code.as_str())
    }

    /// Whether the state of the thing, not the request, stands against it.
    pub fn is_conflict(&self) -> bool {
        let of_state = [
            "AgentNotEnrolled",
            "FeatureNotRegistered",
            "FeatureRegistering",
            "InstallUnderWay",
            "NoEligibleVm",
            "NothingToRetry",
            "OutsideWindow",
            "PatchModeNotAutomaticByPlatform",
            "ProviderNotRegistered",
            "RegionInUse",
            "RolloutOnDemand",
        ];
        ["Conflict", "Exists", "NotAllowed"].iter().any(|ending| self.code.ends_with(ending))
            || of_state.contains(&self.code.as_str())
    }
}
