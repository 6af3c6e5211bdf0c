//! Health: signals in, verdicts out (REQUIREMENTS.md B3).

use crate::id::VmId;
use crate::mind::Time;
use serde::{Deserialize, Serialize};

/// One report on a VM's health. May be lost, doubled or late; never enters the log but as a verdict's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The machine.
    pub vm: VmId,
    /// When it was received, by the receiver's clock.
    pub at: Time,
    /// The boot that it speaks of.
    pub boot_id: String,
    /// `None` if the machine is well, or what ails it.
    pub ailment: Option<String>,
}

/// How a VM was before its patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Baseline {
    /// Well: may be ordered.
    Well,
    /// Ill already: skipped (rule S10).
    Ill {
        /// What ails it.
        ailment: String,
    },
    /// No signal: powered off or cut off; deferred (REQUIREMENTS.md A6).
    Silent,
}
