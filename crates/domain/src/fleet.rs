//! The fleet: which VMs there are, where they stand, and which of them a rollout may touch.

use crate::event::Event;
use crate::id::{AvailabilitySetId, RegionName, SubscriptionId, VmId, ZoneName};
use crate::mind::Fact;
use crate::refusal::Refusal;
use crate::topology::Topology;
use crate::window::Window;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

/// The image a VM was made from (REQUIREMENTS.md C1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// For example `Canonical`.
    pub publisher: String,
    /// For example `UbuntuServer`.
    pub offer: String,
    /// For example `18.04-LTS`.
    pub sku: String,
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
}

/// Images that can be patched, each with the prefix that its SKU must have (REQUIREMENTS.md C1; the entries below
/// the first line are of today's reference). Publisher and offer compare without case, as in Azure.
const SUPPORTED_IMAGES: &[(&str, &str, &[&str])] = &[
    ("Canonical", "UbuntuServer", &["18.04-LTS"]),
    ("RedHat", "RHEL", &["7."]),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        &[
            "2012-R2-Datacenter",
            "2016-Datacenter",
            "2016-Datacenter-Server-Core",
            "2019-Datacenter",
            "2019-Datacenter-Core",
        ],
    ),
    ("Canonical", "0001-com-ubuntu-server-jammy", &["22_04-lts"]),
    ("Debian", "debian-12", &["12"]),
];

impl Image {
    /// Whether Nightshift patches machines made from this image.
    pub fn is_supported(&self) -> bool {
        SUPPORTED_IMAGES.iter().any(|(publisher, offer, skus)| {
            self.publisher.eq_ignore_ascii_case(publisher)
                && self.offer.eq_ignore_ascii_case(offer)
                && skus.iter().any(|sku| {
                    // A SKU that ends with a dot stands for a whole major version (`7.x`).
                    if sku.ends_with('.') {
                        self.sku.starts_with(sku)
                    } else {
                        self.sku.eq_ignore_ascii_case(sku)
                    }
                })
        })
    }
}

/// All that is known of the fleet, folded from partition `fleet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// What was declared of the world around it.
    pub topology: Topology,
    /// Every VM that is registered.
    pub vms: BTreeMap<VmId, Vm>,
    /// Which subscriptions are registered for which features.
    pub features: BTreeSet<(SubscriptionId, Feature)>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { topology: Topology::empty(), vms: BTreeMap::new(), features: BTreeSet::new() }
    }
}

impl Fleet {
    /// Takes a fact of the fleet; others are passed over.
    pub fn apply(&mut self, fact: &Fact) {
        match &fact.event {
            Event::TopologyDeclared { topology } => self.topology = topology.clone(),
            Event::FeatureRegistered { subscription, feature } => {
                self.features.insert((subscription.clone(), *feature));
            }
            Event::VmRegistered { vm } | Event::VmModelChanged { vm } => {
                self.vms.insert(vm.id.clone(), vm.clone());
            }
            Event::VmRemoved { vm } => {
                self.vms.remove(vm);
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
        vms.iter().try_for_each(|vm| check_vm(&topology, vm))?;
        let mut events = Vec::new();
        if topology != self.topology {
            events.push(Event::TopologyDeclared { topology });
        }
        for (subscription, feature) in features {
            if !self.features.contains(&(subscription.clone(), *feature)) {
                events
                    .push(Event::FeatureRegistered { subscription: subscription.clone(), feature: *feature });
            }
        }
        let mut seen = BTreeSet::new();
        for vm in vms {
            if !seen.insert(vm.id.clone()) {
                return Err(Refusal::new("DuplicateVm", format!("VM \"{}\" is declared twice", vm.id)));
            }
            match self.vms.get(&vm.id) {
                None => events.push(Event::VmRegistered { vm }),
                Some(known) if *known != vm => events.push(Event::VmModelChanged { vm }),
                Some(_) => {}
            }
        }
        Ok(events)
    }

    /// Why a rollout must leave this VM alone; `None` if it may patch it (REQUIREMENTS.md F2, rule S8).
    pub fn ineligible(&self, vm: &Vm) -> Option<Refusal> {
        if vm.patch_mode != PatchMode::AutomaticByPlatform {
            let sentence = format!("its mode is {:?}; only AutomaticByPlatform is patched", vm.patch_mode);
            return Some(Refusal::new("PatchModeNotAutomaticByPlatform", sentence));
        }
        if !vm.image.is_supported() {
            let Image { publisher, offer, sku } = &vm.image;
            let sentence =
                format!("its image {publisher}:{offer}:{sku} is not on the list of supported images");
            return Some(Refusal::new("ImageNotSupported", sentence));
        }
        if !self.features.contains(&(vm.subscription.clone(), Feature::InGuestAutoPatchVMPreview)) {
            let sentence =
                format!("subscription {} is not registered for InGuestAutoPatchVMPreview", vm.subscription);
            return Some(Refusal::new("FeatureNotRegistered", sentence));
        }
        None
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

fn check_vm(topology: &Topology, vm: &Vm) -> Result<(), Refusal> {
    let Some(region) = topology.regions.get(&vm.region) else {
        let sentence =
            format!("VM \"{}\": region = \"{}\" is not a region of the topology", vm.id, vm.region);
        return Err(Refusal::new("UnknownRegion", sentence));
    };
    if let Placement::Zone(zone) = &vm.placement
        && !region.zones.contains(zone)
    {
        let sentence =
            format!("VM \"{}\": zone = \"{zone}\" is not a zone of region \"{}\"", vm.id, vm.region);
        return Err(Refusal::new("UnknownZone", sentence));
    }
    let wrong_family = match vm.patch_mode {
        PatchMode::AutomaticByPlatform => None,
        PatchMode::AutomaticByOS | PatchMode::Manual => (vm.os != Os::Windows).then_some("Windows"),
        PatchMode::ImageDefault => (vm.os != Os::Linux).then_some("Linux"),
    };
    if let Some(family) = wrong_family {
        let sentence = format!("VM \"{}\": patch_mode = {:?} is for {family} only", vm.id, vm.patch_mode);
        return Err(Refusal::new("PatchModeNotSupported", sentence));
    }
    Ok(())
}
