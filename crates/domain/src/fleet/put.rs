//! A VM as a person puts it, one at a time: refused where a declared fleet would only be left alone.

use super::{Fleet, LARGEST_BODY, PatchMode, Placement, Vm, rules};
use crate::event::Event;
use crate::id::SubscriptionId;
use crate::refusal::Refusal;

/// Update domains that an availability set is spread over where nobody says which (Azure's default).
const UPDATE_DOMAINS: u8 = 5;

/// A VM as a person wishes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wished {
    /// The whole model.
    pub vm: Vm,
    /// What the person saw in its place: the wish is good for that only. `None`: nothing was there.
    pub seen: Option<Vm>,
    /// Whether Nightshift chooses the update domain; the model's is then without meaning.
    pub any_update_domain: bool,
}

impl Fleet {
    /// The fact that a VM enters the fleet or changes, as somebody wished; nothing if it is so already.
    pub fn put(&self, wished: Wished) -> Result<Vec<Event>, Refusal> {
        let Wished { mut vm, seen, any_update_domain } = wished;
        let known = self.vms.get(&vm.id);
        if let Some(known) = known
            && !known.is_resource(&vm.subscription, &vm.resource_group, vm.name())
        {
            let sentence = format!("VM \"{}\" is another resource: {}", vm.id, known.name());
            return Err(Refusal::new("VmNameExists", sentence).about(&vm.id));
        }
        if any_update_domain {
            self.choose_update_domain(&mut vm);
        }
        if known == Some(&vm) {
            return Ok(Vec::new());
        }
        if known != seen.as_ref() {
            let sentence = format!("VM \"{}\" was changed meanwhile: read it again", vm.id);
            return Err(Refusal::new("VmChangedConflict", sentence).about(&vm.id));
        }
        self.check_put(known, &vm)?;
        Ok(vec![if known.is_some() { Event::VmModelChanged { vm } } else { Event::VmRegistered { vm } }])
    }

    fn check_put(&self, known: Option<&Vm>, vm: &Vm) -> Result<(), Refusal> {
        let length = vm.resource.as_ref().map_or(0, |resource| resource.body.len());
        if length > LARGEST_BODY {
            let sentence = format!("VM \"{}\": its document has {length} bytes, of {LARGEST_BODY}", vm.id);
            return Err(Refusal::new("BodyTooLarge", sentence).about("vm.resource.body"));
        }
        rules::check(&self.topology, vm)?;
        known.map_or(Ok(()), |known| rules::check_change(known, vm))?;
        // What was allowed once is not asked again: a tag can be changed after the feature was given up.
        let chosen_before =
            known.is_some_and(|known| (known.patch_mode, &known.image) == (vm.patch_mode, &vm.image));
        if vm.patch_mode != PatchMode::AutomaticByPlatform || chosen_before {
            return Ok(());
        }
        self.provider_refusal(&vm.subscription).or_else(|| self.ineligible(vm)).map_or(Ok(()), Err)
    }

    /// A feature is in force once the provider was registered after it (REQUIREMENTS.md D1). A fleet that was declared
    /// needs no provider.
    fn provider_refusal(&self, subscription: &SubscriptionId) -> Option<Refusal> {
        let sentence = || {
            format!(
                "subscription {subscription} did not register the provider Microsoft.Compute, which completes its opt-in"
            )
        };
        let refusal = || Refusal::new("ProviderNotRegistered", sentence()).about(subscription);
        (!self.providers.contains(subscription)).then(refusal)
    }

    /// The one that it has, or the one of its set with the fewest VMs.
    fn choose_update_domain(&self, vm: &mut Vm) {
        let Placement::AvailabilitySet { set, update_domain } = &mut vm.placement else { return };
        let same_set = |other: &Vm| match &other.placement {
            Placement::AvailabilitySet { set: its, update_domain } if its == set => Some(*update_domain),
            _ => None,
        };
        if let Some(known) = self.vms.get(&vm.id).and_then(same_set) {
            *update_domain = known;
            return;
        }
        let mut members = [0_usize; UPDATE_DOMAINS as usize];
        for taken in self.vms.values().filter(|other| other.region == vm.region).filter_map(same_set) {
            if let Some(count) = members.get_mut(usize::from(taken)) {
                *count += 1;
            }
        }
        let fewest = (0..UPDATE_DOMAINS).min_by_key(|domain| members[usize::from(*domain)]);
        *update_domain = fewest.unwrap_or_default();
    }

    pub(crate) fn register_provider(&self, subscription: &SubscriptionId) -> Vec<Event> {
        if self.providers.contains(subscription) {
            return Vec::new();
        }
        vec![Event::ProviderRegistered { subscription: subscription.clone() }]
    }
}
