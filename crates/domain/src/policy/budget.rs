//! Failure budgets: how many VMs may fail before something stops.

use serde::{Deserialize, Serialize};

/// How many of a number of VMs may fail: the larger of a share and a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// A share of the VMs, in percent, rounded down.
    pub percent: u8,
    /// As many in any case, however few VMs there are.
    pub vms: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { percent: 5, vms: 0 }
    }
}

impl Budget {
    /// How many of so many VMs may fail.
    pub fn of(&self, vms: usize) -> usize {
        (vms * usize::from(self.percent) / 100).max(self.vms as usize)
    }
}

/// One budget for each whole that failures are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// An update-domain step or a batch.
    pub step: Budget,
    /// A stage: a zone, or all that is outside zones.
    pub zone: Budget,
    /// A region.
    pub region: Budget,
    /// A phase: its gate.
    pub phase: Budget,
}

impl Budgets {
    /// The same budget everywhere.
    pub fn all(percent: u8, vms: u32) -> Self {
        let budget = Budget { percent, vms };
        Self { step: budget, zone: budget, region: budget, phase: budget }
    }
}
