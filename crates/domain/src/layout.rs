//! How a region's VMs are cut into stages and steps.

use crate::id::{AvailabilitySetId, SubscriptionId, VmId, ZoneName};
use crate::fleet::Placement;
use crate::window::Window;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A VM of a run, with all that the run needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The machine.
    pub vm: VmId,
    /// Who owns it.
    pub subscription: SubscriptionId,
    /// What it shares its fate with.
    pub placement: Placement,
    /// Its off-peak window …
    pub window: Window,
    /// … in this time zone.
    pub time_zone: Tz,
}

/// A part of a region that is patched by itself: one zone, or all that is in no zone (rule S3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StageKey {
    /// Availability sets and machines in neither.
    Zoneless,
    /// One zone.
    Zone(ZoneName),
}

/// Which VMs of a stage are ordered together. Steps of one lane follow one another; lanes run side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepKey {
    /// One update domain of an availability set (rule S4).
    UpdateDomain {
        /// The set.
        set: AvailabilitySetId,
        /// The update domain.
        update_domain: u8,
    },
    /// A batch of the machines in neither (rule S5), from 1.
    Batch(u32),
    /// A batch within a zone, from 1.
    ZoneBatch {
        /// The zone.
        zone: ZoneName,
        /// Its number.
        batch: u32,
    },
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageKey::Zoneless => f.write_str("outside zones"),
            StageKey::Zone(zone) => write!(f, "zone {zone}"),
        }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepKey::UpdateDomain { set, update_domain } => write!(f, "{set}/update domain {update_domain}"),
            StepKey::Batch(batch) => write!(f, "batch {batch}"),
            StepKey::ZoneBatch { zone, batch } => write!(f, "zone {zone}/batch {batch}"),
        }
    }
}
