//! VMs that stand in for one another: of two or more of them one at least is never in flight (rules S4, S5), however
//! many left the fleet since their run was laid out.

use super::{Placement, Vm};
use crate::id::{AvailabilitySetId, RegionName, SubscriptionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kin of a region have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kin {
    /// An availability set.
    Set(AvailabilitySetId),
    /// A subscription; of machines outside zones and sets.
    Subscription(SubscriptionId),
}

impl Kin {
    /// The kin of a VM that stands there; `None` in a zone, where the other zones stand in.
    pub fn of(placement: &Placement, subscription: &SubscriptionId) -> Option<Self> {
        match placement {
            Placement::Zone(_) => None,
            Placement::AvailabilitySet { set, .. } => Some(Self::Set(set.clone())),
            Placement::Standalone => Some(Self::Subscription(subscription.clone())),
        }
    }
}

/// How many VMs of the fleet are kin, by region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kinship {
    sets: BTreeMap<RegionName, BTreeMap<AvailabilitySetId, usize>>,
    subscriptions: BTreeMap<RegionName, BTreeMap<SubscriptionId, usize>>,
}

impl Kinship {
    pub fn add(&mut self, vm: &Vm) {
        if let Some(count) = self.count(vm) {
            *count += 1;
        }
    }

    pub fn remove(&mut self, vm: &Vm) {
        if let Some(count) = self.count(vm) {
            *count = count.saturating_sub(1);
        }
    }

    pub fn size(&self, region: &RegionName, kin: &Kin) -> usize {
        let known = match kin {
            Kin::Set(set) => self.sets.get(region).and_then(|sets| sets.get(set)),
            Kin::Subscription(of) => self.subscriptions.get(region).and_then(|known| known.get(of)),
        };
        known.copied().unwrap_or_default()
    }

    fn count(&mut self, vm: &Vm) -> Option<&mut usize> {
        let region = vm.region.clone();
        match Kin::of(&vm.placement, &vm.subscription)? {
            Kin::Set(set) => Some(self.sets.entry(region).or_default().entry(set).or_default()),
            Kin::Subscription(of) => {
                Some(self.subscriptions.entry(region).or_default().entry(of).or_default())
            }
        }
    }
}
