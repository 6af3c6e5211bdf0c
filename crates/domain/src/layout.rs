//! How a region's VMs are cut into stages and steps.

use crate::fleet::{Fleet, Kin, Placement, Vm};
use crate::id::{AvailabilitySetId, SubscriptionId, VmId, ZoneName};
use crate::window::Window;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

impl Member {
    /// What a run needs to know of this VM; `None` if its region is not in the topology.
    pub fn of(vm: &Vm, fleet: &Fleet) -> Option<Self> {
        Some(Self {
            vm: vm.id.clone(),
            subscription: vm.subscription.clone(),
            placement: vm.placement.clone(),
            window: fleet.window(vm),
            time_zone: fleet.time_zone(vm)?,
        })
    }

    /// Who stands in for it.
    pub fn kin(&self) -> Option<Kin> {
        Kin::of(&self.placement, &self.subscription)
    }

    /// Whether the VM is still so.
    pub fn is(&self, vm: &Vm, fleet: &Fleet) -> bool {
        self.subscription == vm.subscription
            && self.placement == vm.placement
            && self.window == fleet.window(vm)
            && Some(self.time_zone) == fleet.time_zone(vm)
    }
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

/// A part of a region with its lanes, which run side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Which part.
    pub key: StageKey,
    /// Each a sequence of steps.
    pub lanes: Vec<Vec<Step>>,
}

/// VMs that are ordered together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which step.
    pub key: StepKey,
    /// Its VMs.
    pub vms: Vec<VmId>,
    /// How many of them may be in flight at once.
    pub at_once: usize,
}

/// Inside an update domain at most this share of the availability set at a time (REQUIREMENTS.md B8).
const SET_PERCENT_AT_ONCE: usize = 20;

/// Cuts a region's members into stages (the smallest first, ties by name), lanes and steps.
pub fn stages<'a>(members: impl IntoIterator<Item = &'a Member>, batch_percent: u8) -> Vec<Stage> {
    let mut zones: BTreeMap<ZoneName, Vec<&Member>> = BTreeMap::new();
    let mut sets: BTreeMap<AvailabilitySetId, Vec<(u8, &Member)>> = BTreeMap::new();
    let mut standalone = Vec::new();
    for member in members {
        match &member.placement {
            Placement::Zone(zone) => zones.entry(zone.clone()).or_default().push(member),
            Placement::AvailabilitySet { set, update_domain } => {
                sets.entry(set.clone()).or_default().push((*update_domain, member));
            }
            Placement::Standalone => standalone.push(member),
        }
    }
    let zone_stages = zones.into_iter().map(|(zone, members)| {
        let key = |batch| StepKey::ZoneBatch { zone: zone.clone(), batch };
        Stage { lanes: vec![batches(&members, batch_percent, key)], key: StageKey::Zone(zone.clone()) }
    });
    let mut stages: Vec<Stage> = zone_stages.collect();
    let mut zoneless: Vec<Vec<Step>> =
        sets.into_iter().map(|(set, members)| set_lane(&set, members)).collect();
    if !standalone.is_empty() {
        zoneless.push(batches(&standalone, batch_percent, StepKey::Batch));
    }
    if !zoneless.is_empty() {
        stages.push(Stage { key: StageKey::Zoneless, lanes: zoneless });
    }
    stages.sort_by_key(|stage| (stage.vms().count(), stage.key.clone()));
    stages
}

impl Stage {
    /// Every VM of the stage.
    pub fn vms(&self) -> impl Iterator<Item = &VmId> {
        self.lanes.iter().flatten().flat_map(|step| &step.vms)
    }
}

fn set_lane(set: &AvailabilitySetId, members: Vec<(u8, &Member)>) -> Vec<Step> {
    let at_once = (members.len() * SET_PERCENT_AT_ONCE / 100).max(1);
    let mut domains: BTreeMap<u8, Vec<VmId>> = BTreeMap::new();
    for (update_domain, member) in members {
        domains.entry(update_domain).or_default().push(member.vm.clone());
    }
    let step = |(update_domain, vms)| {
        let key = StepKey::UpdateDomain { set: set.clone(), update_domain };
        Step { key, vms, at_once }
    };
    domains.into_iter().map(step).collect()
}

/// Batches of which none holds more than the share of any one subscription's members (rule S5): at least one VM, and
/// of two or more never all.
fn batches(members: &[&Member], percent: u8, key: impl Fn(u32) -> StepKey) -> Vec<Step> {
    let mut queues: BTreeMap<&SubscriptionId, Vec<&VmId>> = BTreeMap::new();
    for member in members {
        queues.entry(&member.subscription).or_default().push(&member.vm);
    }
    let mut batches: BTreeMap<u32, Vec<VmId>> = BTreeMap::new();
    for queue in queues.values() {
        let share = share(queue.len(), percent);
        for (number, slice) in (1..).zip(queue.chunks(share)) {
            batches.entry(number).or_default().extend(slice.iter().map(|vm| (*vm).clone()));
        }
    }
    batches.into_iter().map(|(number, vms)| Step { key: key(number), at_once: vms.len(), vms }).collect()
}

/// How many of so many VMs of one subscription outside zones and sets may be in flight at once: at least one, and of two
/// or more never all (rule S5).
pub(crate) fn share(vms: usize, percent: u8) -> usize {
    (vms * usize::from(percent) / 100).clamp(1, vms.saturating_sub(1).max(1))
}
