//! Which regions go in which phase.

use crate::id::RegionName;
use serde::{Deserialize, Serialize};

/// One phase of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPhase {
    /// Its regions; no two of them geo-paired (rule S1, REQUIREMENTS.md B2).
    pub regions: Vec<PlannedRegion>,
}

/// One region of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRegion {
    /// The region.
    pub region: RegionName,
    /// Its eligible VMs when the plan was made.
    pub vms: u32,
    /// Why it is in this phase, for people.
    pub why: String,
}
