//! Groups of alike VMs, and the VMs they stand for.

use super::entries::{Group, ImageEntry, SetEntry, SubscriptionEntry};
use super::source::{Mistake, Place, Source};
use nightshift_domain::fleet::{Fleet, Placement, Vm};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{SubscriptionId, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// VMs of a fleet; more are a slip of the pen, and would only fill the memory.
pub(crate) const MOST_VMS: u64 = 1_000_000;

/// What groups may name.
pub(super) struct Groups<'a> {
    source: &'a Source,
    topology: &'a Topology,
    subscriptions: BTreeSet<&'a SubscriptionId>,
    images: BTreeMap<&'a str, &'a ImageEntry>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        source: &'a Source,
        topology: &'a Topology,
        subscriptions: &'a [SubscriptionEntry],
        images: &'a [ImageEntry],
    ) -> Self {
        let subscriptions = subscriptions.iter().map(|entry| &entry.name).collect();
        let images = images.iter().map(|image| (image.name.as_str(), image)).collect();
        Self { source, topology, subscriptions, images }
    }

    /// All VMs, and those that the demo leaves off.
    pub(super) fn expand(&self, groups: &[Group]) -> Result<(Vec<Vm>, BTreeSet<VmId>), Mistake> {
        self.check_counts(groups)?;
        let mut vms = Vec::new();
        let mut powered_off = BTreeSet::new();
        let mut seen: BTreeMap<VmId, Place> = BTreeMap::new();
        for group in groups {
            let place = self.source.place(group.prefix.span());
            let off = group.powered_off.as_ref().map_or(0, |off| *off.get_ref());
            for (number, vm) in (0..).zip(self.members(group)?) {
                if let Some(first) = seen.insert(vm.id.clone(), place.clone()) {
                    let sentence = format!(
                        "prefix = \"{}\": VM \"{}\" is declared twice, first by the group of line {}",
                        group.prefix.get_ref(),
                        vm.id,
                        first.line()
                    );
                    return Err(place.mistake(sentence));
                }
                if number < off {
                    powered_off.insert(vm.id.clone());
                }
                vms.push(vm);
            }
        }
        Ok((vms, powered_off))
    }

    /// Before anything is made of them.
    fn check_counts(&self, groups: &[Group]) -> Result<(), Mistake> {
        let mut all = 0_u64;
        for group in groups {
            let count = *group.count.get_ref();
            all += u64::from(count);
            if all > MOST_VMS {
                let sentence =
                    format!("count = {count}: the fleet would have {all} VMs or more, of at most {MOST_VMS}");
                return Err(self.source.mistake(&group.count, sentence));
            }
        }
        Ok(())
    }

    fn members(&self, group: &Group) -> Result<Vec<Vm>, Mistake> {
        self.check_names(group)?;
        let image = self.image(group)?;
        let window = group.window.as_ref().map(|window| window.read(self.source)).transpose()?;
        let member = |number| self.vm(group, image, window, number);
        let members: Vec<_> = (0..*group.count.get_ref()).map(member).collect::<Result<_, _>>()?;
        if let Some(first) = members.first() {
            self.check_model(group, first)?;
        }
        Ok(members)
    }

    fn check_names(&self, group: &Group) -> Result<(), Mistake> {
        if !self.subscriptions.contains(group.subscription.get_ref()) {
            let name = group.subscription.get_ref();
            let sentence = format!("subscription = \"{name}\" is not declared in this file");
            return Err(self.source.mistake(&group.subscription, sentence));
        }
        let region = self.region(group)?;
        if let Some(zone) = group.zones.iter().find(|zone| !region.zones.contains(zone.get_ref())) {
            let known: Vec<_> = region.zones.iter().map(|zone| format!("\"{zone}\"")).collect();
            let known = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
            let sentence = format!(
                "zones = \"{}\" is not a zone of region \"{}\": {known}",
                zone.get_ref(),
                region.name
            );
            return Err(self.source.mistake(zone, sentence));
        }
        if let (Some(zone), Some(set)) = (group.zones.first(), &group.availability_set) {
            let sentence = format!(
                "zones = \"{}\" and availability_set = \"{}\": a VM is in a zone or in an availability set, never in both",
                zone.get_ref(),
                set.name.get_ref()
            );
            return Err(self.source.mistake(&set.name, sentence));
        }
        match &group.powered_off {
            Some(off) if off.get_ref() > group.count.get_ref() => {
                let count = group.count.get_ref();
                let sentence = format!("powered_off = {} is more than count = {count}", off.get_ref());
                Err(self.source.mistake(off, sentence))
            }
            _ => Ok(()),
        }
    }

    fn region(&self, group: &Group) -> Result<&Region, Mistake> {
        let name = group.region.get_ref();
        self.topology.regions.get(name).ok_or_else(|| {
            let sentence = format!("region = \"{name}\" is not a region of the topology");
            self.source.mistake(&group.region, sentence)
        })
    }

    fn image(&self, group: &Group) -> Result<&ImageEntry, Mistake> {
        let name = group.image.get_ref();
        self.images.get(name.as_str()).copied().ok_or_else(|| {
            let sentence = format!("image = \"{name}\" is not declared in this file");
            self.source.mistake(&group.image, sentence)
        })
    }

    fn vm(
        &self,
        group: &Group,
        image: &ImageEntry,
        window: Option<Window>,
        number: u32,
    ) -> Result<Vm, Mistake> {
        let prefix = group.prefix.get_ref();
        let id = VmId::new(format!("{prefix}-{:02}", number + 1))
            .map_err(|error| self.source.mistake(&group.prefix, format!("prefix = \"{prefix}\": {error}")))?;
        Ok(Vm {
            id,
            subscription: group.subscription.get_ref().clone(),
            resource_group: group.resource_group.clone(),
            region: group.region.get_ref().clone(),
            placement: self.placement(group, number)?,
            os: image.os,
            image: image.image(),
            patch_mode: *group.patch_mode.get_ref(),
            time_zone: group.time_zone,
            window,
            automatic_updates: group.automatic_updates.as_ref().map(|enabled| *enabled.get_ref()),
            assessment_mode: group.assessment_mode,
            reboot: group.reboot,
            resource: None,
        })
    }

    /// Zones and update domains take turns.
    fn placement(&self, group: &Group, number: u32) -> Result<Placement, Mistake> {
        if let Some(SetEntry { name, update_domains }) = &group.availability_set {
            let domain = number.checked_rem(u32::from(*update_domains.get_ref()));
            let update_domain = domain.and_then(|domain| u8::try_from(domain).ok()).ok_or_else(|| {
                let sentence = "availability_set: update_domains = 0 must be at least 1";
                self.source.mistake(update_domains, sentence)
            })?;
            return Ok(Placement::AvailabilitySet { set: name.get_ref().clone(), update_domain });
        }
        let zone = group.zones.get(number as usize % group.zones.len().max(1));
        Ok(zone.map_or(Placement::Standalone, |zone| Placement::Zone(zone.get_ref().clone())))
    }

    /// The planner's own rules for a VM's model; the group's VMs are alike in all that these look at.
    fn check_model(&self, group: &Group, member: &Vm) -> Result<(), Mistake> {
        let declared = Fleet::default().declare(self.topology.clone(), &[], vec![member.clone()]);
        let Err(refusal) = declared else { return Ok(()) };
        let place = match &group.automatic_updates {
            Some(enabled) if refusal.code == "AutomaticUpdatesNotSupported" => enabled.span(),
            _ => group.patch_mode.span(),
        };
        Err(self.source.place(place).mistake(refusal.sentence))
    }
}
