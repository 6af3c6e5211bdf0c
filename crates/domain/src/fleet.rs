//! The fleet: which VMs there are, where they stand, and which of them a rollout may touch.

use crate::event::Event;
use crate::id::{AvailabilitySetId, RegionName, SubscriptionId, VmId, ZoneName};
use crate::mind::Fact;
use crate::patch::RebootSetting;
use crate::refusal::Refusal;
use crate::topology::Topology;
use crate::window::Window;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod features;
mod image;
mod kin;
mod put;
mod resource;
mod rules;

pub use features::Registration;
pub use image::Image;
pub use kin::Kin;
pub use put::Wished;
pub use resource::{LARGEST_BODY, Resource};

/// The operating system's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Os {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

/// Who patches a VM (REQUIREMENTS.md C2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchMode {
    /// Nightshift, availability first. The only mode that a rollout touches.
    AutomaticByPlatform,
    /// Windows' own automatic updates.
    AutomaticByOS,
    /// Nobody but its owner; Windows only.
    Manual,
    /// Whatever the image is configured to do; Linux only.
    ImageDefault,
}

/// Who has a VM assessed (REQUIREMENTS.md A10); beside [`PatchMode`], on which it does not depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AssessmentMode {
    /// Nightshift, once in every 24 hours, in the VM's off-peak hours.
    AutomaticByPlatform,
    /// Only as rollouts need it: every few days where they patch the VM.
    #[default]
    ImageDefault,
}

/// What a VM shares its fate with. A VM is in a zone or in an availability set, never in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Placement {
    /// In an availability zone.
    Zone(ZoneName),
    /// In an update domain of an availability set.
    AvailabilitySet {
        /// The set.
        set: AvailabilitySetId,
        /// The update domain, from 0.
        update_domain: u8,
    },
    /// In neither.
    Standalone,
}

/// A feature that a subscription must be registered for (REQUIREMENTS.md D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Feature {
    /// Automatic patching.
    InGuestAutoPatchVMPreview,
    /// On-demand assessment.
    InGuestPatchVMPreview,
}

/// A machine of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Its identity, also in its agent's certificate.
    pub id: VmId,
    /// Who owns it.
    pub subscription: SubscriptionId,
    /// The owner's grouping; means nothing to Nightshift.
    pub resource_group: String,
    /// Where it runs.
    pub region: RegionName,
    /// What it shares its fate with.
    pub placement: Placement,
    /// Its operating system.
    pub os: Os,
    /// What it was made from.
    pub image: Image,
    /// Who patches it.
    pub patch_mode: PatchMode,
    /// Its own time zone; its region's if absent (REQUIREMENTS.md F1).
    pub time_zone: Option<Tz>,
    /// Its own off-peak window; the fleet's if absent.
    pub window: Option<Window>,
    /// Windows only: `enableAutomaticUpdates`, fixed when the VM was created; true if absent (REQUIREMENTS.md C3).
    pub automatic_updates: Option<bool>,
    /// Who has it assessed.
    #[serde(default)]
    pub assessment_mode: AssessmentMode,
    /// Whether it may be rebooted for its patches (REQUIREMENTS.md A10); as each rollout's policy says if absent.
    #[serde(default)]
    pub reboot: Option<RebootSetting>,
    /// As clients of Azure Resource Manager know it; absent if it was declared otherwise.
    #[serde(default)]
    pub resource: Option<Resource>,
}

/// All that is known of the fleet, folded from partition `fleet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// What was declared of the world around it.
    pub topology: Topology,
    /// Every VM that is registered.
    pub vms: BTreeMap<VmId, Vm>,
    /// Which subscriptions are, or are about to be, registered for which features.
    #[serde(serialize_with = "features::as_list", deserialize_with = "features::from_list")]
    pub features: BTreeMap<(SubscriptionId, Feature), Registration>,
    /// Subscriptions that registered the provider Microsoft.Compute, which completes their opt-in (REQUIREMENTS.md D1).
    #[serde(default)]
    pub providers: BTreeSet<SubscriptionId>,
    kinship: kin::Kinship,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new(Topology::empty(), [], BTreeMap::new())
    }
}

impl Fleet {
    /// A fleet of these VMs.
    pub fn new(
        topology: Topology,
        vms: impl IntoIterator<Item = Vm>,
        features: BTreeMap<(SubscriptionId, Feature), Registration>,
    ) -> Self {
        let (providers, kinship) = (BTreeSet::new(), kin::Kinship::default());
        let mut fleet = Self { topology, vms: BTreeMap::new(), features, providers, kinship };
        vms.into_iter().for_each(|vm| fleet.take_in(vm));
        fleet
    }

    fn take_in(&mut self, vm: Vm) {
        self.kinship.add(&vm);
        if let Some(before) = self.vms.insert(vm.id.clone(), vm) {
            self.kinship.remove(&before);
        }
    }

    /// Takes a fact of the fleet; others are passed over.
    pub fn apply(&mut self, fact: &Fact) {
        match &fact.event {
            Event::TopologyDeclared { topology } => self.topology = topology.clone(),
            Event::FeatureRequested { subscription, feature } => {
                self.features.insert((subscription.clone(), *feature), Registration::Registering);
            }
            Event::FeatureRegistered { subscription, feature } => {
                self.features.insert((subscription.clone(), *feature), Registration::Registered);
            }
            Event::FeatureUnregistered { subscription, feature } => {
                self.features.remove(&(subscription.clone(), *feature));
            }
            Event::ProviderRegistered { subscription } => {
                self.providers.insert(subscription.clone());
            }
            Event::VmRegistered { vm } | Event::VmModelChanged { vm } => self.take_in(vm.clone()),
            Event::VmRemoved { vm } => {
                let before = self.vms.remove(vm);
                before.iter().for_each(|before| self.kinship.remove(before));
            }
            _ => {}
        }
    }

    /// Facts that bring the fleet to what the operator declares; nothing if it is already so.
    pub fn declare(
        &self,
        topology: Topology,
        features: &[(SubscriptionId, Feature)],
        vms: Vec<Vm>,
    ) -> Result<Vec<Event>, Refusal> {
        for vm in &vms {
            rules::check(&topology, vm)?;
            self.vms.get(&vm.id).map_or(Ok(()), |known| rules::check_change(known, vm))?;
        }
        let mut events = Vec::new();
        if topology != self.topology {
            events.push(Event::TopologyDeclared { topology });
        }
        for (subscription, feature) in features {
            if self.registration(subscription, *feature) != Some(Registration::Registered) {
                events
                    .push(Event::FeatureRegistered { subscription: subscription.clone(), feature: *feature });
            }
        }
        let mut seen = BTreeSet::new();
        for vm in vms {
            if !seen.insert(vm.id.clone()) {
                let sentence = format!("VM \"{}\" is declared twice", vm.id);
                return Err(Refusal::new("DuplicateVm", sentence).about("vms"));
            }
            match self.vms.get(&vm.id) {
                None => events.push(Event::VmRegistered { vm }),
                Some(known) if !known.is_modelled_as(&vm) => events.push(Event::VmModelChanged { vm }),
                Some(_) => {}
            }
        }
        Ok(events)
    }

    /// The fact that a VM leaves the fleet.
    pub fn remove(&self, vm: &VmId) -> Result<Vec<Event>, Refusal> {
        if !self.vms.contains_key(vm) {
            return Err(Refusal::no_vm(vm));
        }
        Ok(vec![Event::VmRemoved { vm: vm.clone() }])
    }

    /// Why a rollout must leave this VM alone; `None` if it may patch it (REQUIREMENTS.md F2, rule S8).
    pub fn ineligible(&self, vm: &Vm) -> Option<Refusal> {
        if vm.patch_mode != PatchMode::AutomaticByPlatform {
            let sentence = format!("its mode is {:?}; only AutomaticByPlatform is patched", vm.patch_mode);
            return Some(Refusal::new("PatchModeNotAutomaticByPlatform", sentence));
        }
        if !self.topology.supports(&vm.image) {
            let Image { publisher, offer, sku } = &vm.image;
            let sentence =
                format!("its image {publisher}:{offer}:{sku} is not on the list of supported images");
            return Some(Refusal::new("ImageNotSupported", sentence));
        }
        self.feature_refusal(&vm.subscription, Feature::InGuestAutoPatchVMPreview)
    }

    /// How many VMs of the region are kin.
    pub fn kin(&self, region: &RegionName, kin: &Kin) -> usize {
        self.kinship.size(region, kin)
    }

    /// The VM's time zone: its own, or its region's. `None` if the region is not in the topology.
    pub fn time_zone(&self, vm: &Vm) -> Option<Tz> {
        vm.time_zone.or_else(|| self.topology.regions.get(&vm.region).map(|region| region.time_zone))
    }

    /// The VM's window: its own, or the fleet's.
    pub fn window(&self, vm: &Vm) -> Window {
        vm.window.unwrap_or(self.topology.window)
    }
}
