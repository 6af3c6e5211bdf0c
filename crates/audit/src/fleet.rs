//! The fleet at any moment, drawn from partition `fleet`.

use crate::Record;
use crate::timeline::{Timeline, Version};
use chrono_tz::Tz;
use nightshift_domain::fleet::{Feature, Image, Placement, Vm};
use nightshift_domain::topology::Topology;
use nightshift_domain::window::Window;
use nightshift_domain::{AvailabilitySetId, Event, RegionName, SubscriptionId, Time, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// VMs of a region of which never all may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group<'a> {
    /// An availability set (rule S4).
    Set(&'a RegionName, &'a AvailabilitySetId),
    /// A subscription's VMs outside zones and sets (rule S5).
    Standalone(&'a RegionName, &'a SubscriptionId),
}

impl<'a> Group<'a> {
    fn of(vm: &'a Vm) -> Option<Self> {
        match &vm.placement {
            Placement::Zone(_) => None,
            Placement::AvailabilitySet { set, .. } => Some(Group::Set(&vm.region, set)),
            Placement::Standalone => Some(Group::Standalone(&vm.region, &vm.subscription)),
        }
    }
}

/// Everything that was declared and registered, and when.
#[derive(Default)]
pub(crate) struct Fleet<'a> {
    pub topology: Timeline<'a, &'a Topology>,
    vms: BTreeMap<&'a VmId, Timeline<'a, Option<&'a Vm>>>,
    features: BTreeMap<(&'a SubscriptionId, Feature), Timeline<'a, bool>>,
    /// Every VM that was ever in the group, and how many there were.
    groups: BTreeMap<Group<'a>, (BTreeSet<&'a VmId>, Timeline<'a, usize>)>,
}

impl<'a> Fleet<'a> {
    /// Draws the fleet from the events of its partition, in their order.
    pub fn of(records: &[&'a Record]) -> Self {
        let mut fleet = Self::default();
        for record in records {
            match &record.event {
                Event::TopologyDeclared { topology } => fleet.topology.push(record, topology),
                Event::FeatureRegistered { subscription, feature } => {
                    fleet.features.entry((subscription, *feature)).or_default().push(record, true);
                }
                Event::FeatureUnregistered { subscription, feature } => {
                    fleet.features.entry((subscription, *feature)).or_default().push(record, false);
                }
                Event::VmRegistered { vm } | Event::VmModelChanged { vm } => {
                    fleet.put(record, &vm.id, Some(vm))
                }
                Event::VmRemoved { vm } => fleet.put(record, vm, None),
                _ => {}
            }
        }
        fleet
    }

    fn put(&mut self, record: &'a Record, id: &'a VmId, vm: Option<&'a Vm>) {
        let timeline = self.vms.entry(id).or_default();
        let before = timeline.last().and_then(|version| version.value).and_then(Group::of);
        let after = vm.and_then(Group::of);
        timeline.push(record, vm);
        if before == after {
            return;
        }
        if let Some((_, count)) = before.and_then(|group| self.groups.get_mut(&group)) {
            let left = count.last().map_or(0, |version| version.value).saturating_sub(1);
            count.push(record, left);
        }
        if let Some(group) = after {
            let (ever, count) = self.groups.entry(group).or_default();
            ever.insert(id);
            let joined = count.last().map_or(0, |version| version.value) + 1;
            count.push(record, joined);
        }
    }

    /// The VM's models by which a coordinator may act at that moment; none if it surely was not registered.
    pub fn models(&self, vm: &VmId, at: Time) -> impl Iterator<Item = (&'a Record, &'a Vm)> {
        let versions = self.vms.get(vm).map_or(&[][..], |timeline| timeline.lately(at));
        versions.iter().filter_map(|version| Some((version.record, version.value?)))
    }

    /// The last event about the VM in the fleet, up to that moment.
    pub fn last_word(&self, vm: &VmId, at: Time) -> Option<&'a Record> {
        self.vms.get(vm)?.in_force(at).last().map(|version| version.record)
    }

    /// The windows, each in its time zone, that a VM of this model may have had at that moment.
    pub fn windows(&self, vm: &'a Vm, at: Time) -> impl Iterator<Item = (Window, Tz)> {
        self.topology.lately(at).iter().filter_map(|Version { value: topology, .. }| {
            let of_region = || topology.regions.get(&vm.region).map(|region| region.time_zone);
            Some((vm.window.unwrap_or(topology.window), vm.time_zone.or_else(of_region)?))
        })
    }

    /// The lists of images that an operator may have declared at that moment, beside the auditor's own.
    pub fn images(&self, at: Time) -> impl Iterator<Item = &'a [Image]> {
        self.topology.lately(at).iter().map(|version| version.value.images.as_slice())
    }

    /// Why the subscription cannot be taken for registered for the feature at that moment, with the event that says
    /// so, if there is one; `None` if it can.
    pub fn unregistered(
        &self,
        subscription: &SubscriptionId,
        feature: Feature,
        at: Time,
    ) -> Option<Option<&'a Record>> {
        let versions =
            self.features.get(&(subscription, feature)).map_or(&[][..], |timeline| timeline.lately(at));
        if versions.iter().any(|version| version.value) {
            return None;
        }
        Some(versions.last().map(|version| version.record))
    }

    /// How many VMs the group had at that moment; where that is open, the most that it may have had.
    pub fn size(&self, group: Group<'_>, at: Time) -> usize {
        let versions = self.groups.get(&group).map_or(&[][..], |(_, count)| count.lately(at));
        versions.iter().map(|version| version.value).max().unwrap_or(0)
    }

    /// Whether all VMs that were in the group at that moment are among these; not said of a group of one.
    pub fn whole(&self, group: Group<'_>, at: Time, vms: &BTreeSet<&VmId>) -> bool {
        let size = self.size(group, at);
        if size < 2 || vms.len() < size {
            return false;
        }
        let Some((ever, _)) = self.groups.get(&group) else { return false };
        ever.iter()
            .all(|id| vms.contains(id) || !self.models(id, at).any(|(_, vm)| Group::of(vm) == Some(group)))
    }

    /// Whether the two regions were surely geo-paired at that moment.
    pub fn paired(&self, one: &RegionName, other: &RegionName, at: Time) -> bool {
        let versions = self.topology.in_force(at);
        !versions.is_empty() && versions.iter().all(|version| paired_in(version.value, one, other))
    }
}

/// Whether the two are geo-paired, whichever of them says so.
pub(crate) fn paired_in(topology: &Topology, one: &RegionName, other: &RegionName) -> bool {
    let names = |from, to| topology.regions.get(from).is_some_and(|region| region.pair.as_ref() == Some(to));
    names(one, other) || names(other, one)
}
