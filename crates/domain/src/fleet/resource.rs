//! A VM as clients of Azure Resource Manager know it (REQUIREMENTS.md E1).

use super::{Fleet, Vm};
use crate::id::{InvalidId, SubscriptionId, VmId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest [`Resource::body`], in bytes: every service reads it with the fleet.
pub const LARGEST_BODY: usize = 64 * 1024;

/// So much of a name goes into an identity that is not the name itself.
const KEPT_OF_NAME: usize = 48;

/// What its owner calls a VM, and what they said of it beyond what Nightshift needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// As its owner writes it; compared without case.
    pub name: String,
    /// The JSON document that its owner put, without what the platform answers for and without secrets. It means nothing
    /// to the minds.
    pub body: String,
}

impl Vm {
    /// What its owner calls it.
    pub fn name(&self) -> &str {
        self.resource.as_ref().map_or(self.id.as_str(), |resource| &resource.name)
    }

    /// Whether both are the same resource: subscription, group and name, compared without case.
    pub fn is_resource(&self, subscription: &SubscriptionId, group: &str, name: &str) -> bool {
        self.subscription == *subscription
            && self.resource_group.eq_ignore_ascii_case(group)
            && self.name().eq_ignore_ascii_case(name)
    }

    /// Whether the declared model says nothing new. A declaration knows nothing of the resource's document.
    pub(super) fn is_modelled_as(&self, declared: &Vm) -> bool {
        let resource = declared.resource.clone().or_else(|| self.resource.clone());
        *self == Vm { resource, ..declared.clone() }
    }
}

impl Fleet {
    /// The identity for a resource that is new to the fleet: its name, or if that is taken or no identifier, one that
    /// begins like it. The same resource is always offered the same.
    pub fn identity_for(
        &self,
        subscription: &SubscriptionId,
        group: &str,
        name: &str,
    ) -> Result<VmId, InvalidId> {
        let lower = name.to_ascii_lowercase();
        if let Ok(id) = VmId::new(lower.clone())
            && self.vms.get(&id).is_none_or(|vm| vm.is_resource(subscription, group, name))
        {
            return Ok(id);
        }
        let key = format!("{subscription}/{}/{lower}", group.to_ascii_lowercase());
        let unique = Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).simple().to_string();
        let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        let readable: String = lower.chars().map(allowed).take(KEPT_OF_NAME).collect();
        let text = format!("vm-{}-{}", readable.trim_matches('-'), &unique[..8]);
        VmId::new(text.replace("--", "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_identity() {
        let subscription = SubscriptionId::new("sub").unwrap();
        let identity = |name: &str| Fleet::default().identity_for(&subscription, "Group", name).unwrap();
        assert_eq!(identity("Web-01").as_str(), "web-01");
        for name in ["a.b", "-", "", "Ä", "x_1", "a--b-", &"y".repeat(64)] {
            assert_eq!(identity(name), identity(&name.to_ascii_uppercase()), "{name}");
        }
        assert_ne!(identity("a.b"), identity("a_b"));
    }
}
