//! Paths of Azure Resource Manager: their fixed parts compare without case, names keep it.

use super::error::{ArmError, Result};
use nightshift_domain::SubscriptionId;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/metadata/endpoints`
    Endpoints,
    /// `/tenants`
    Tenants,
    /// `/subscriptions`
    Subscriptions,
    /// `/subscriptions/S…`
    In(SubscriptionId, OfSubscription),
}

/// What a path names in a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfSubscription {
    Itself,
    Locations,
    Groups,
    Group(String),
    Providers,
    Provider(String),
    RegisterProvider(String),
    /// Every feature of Microsoft.Compute.
    Features,
    Feature(String),
    RegisterFeature(String),
    UnregisterFeature(String),
    Vms,
    VmsOfGroup(String),
    VmsOfLocation(String),
    Vm(VmName),
    InstanceView(VmName),
    AssessPatches(VmName),
    InstallPatches(VmName),
    Operation(Uuid),
}

/// Group and name of a VM, as the caller writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VmName {
    pub(crate) group: String,
    pub(crate) name: String,
}

impl Place {
    /// Reads a path.
    pub(crate) fn of(path: &str) -> Result<Self> {
        let unknown = || ArmError::not_found("InvalidResourceType", format!("there is nothing at {path:?}"));
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8().map(|text| text.into_owned());
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(decode)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| unknown())?;
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            ["metadata", "endpoints"] => Ok(Place::Endpoints),
            ["tenants"] => Ok(Place::Tenants),
            ["subscriptions"] => Ok(Place::Subscriptions),
            ["subscriptions", subscription, rest @ ..] => {
                let subscription = SubscriptionId::new(*subscription).map_err(|_| {
                    let given = &segments[1];
                    let sentence = format!("the subscription identifier '{given}' is malformed or invalid");
                    ArmError::bad("InvalidSubscriptionId", sentence)
                })?;
                let place = OfSubscription::of(rest, &segments[2..])?.ok_or_else(unknown)?;
                Ok(Place::In(subscription, place))
            }
            _ => Err(unknown()),
        }
    }
}

const COMPUTE: &str = "microsoft.compute";
const FEATURES: &str = "microsoft.features";

impl OfSubscription {
    /// Reads what is behind the subscription: `lower` without case, `named` as it was given.
    fn of(lower: &[&str], named: &[String]) -> Result<Option<Self>> {
        let name = |place: usize| named[place].clone();
        Ok(Some(match lower {
            [] => Self::Itself,
            ["locations"] => Self::Locations,
            ["resourcegroups"] => Self::Groups,
            ["resourcegroups", _] => Self::Group(group(&named[1])?),
            ["resourcegroups", _, "providers", COMPUTE, "virtualmachines"] => {
                Self::VmsOfGroup(group(&named[1])?)
            }
            ["resourcegroups", _, "providers", COMPUTE, "virtualmachines", _, rest @ ..] => {
                let vm = VmName { group: group(&named[1])?, name: vm_name(&named[5])? };
                match rest {
                    [] => Self::Vm(vm),
                    ["instanceview"] => Self::InstanceView(vm),
                    ["assesspatches"] => Self::AssessPatches(vm),
                    ["installpatches"] => Self::InstallPatches(vm),
                    _ => return Ok(None),
                }
            }
            ["providers"] => Self::Providers,
            ["providers", _] => Self::Provider(name(1)),
            ["providers", _, "register"] => Self::RegisterProvider(name(1)),
            ["providers", FEATURES, "providers", COMPUTE, "features"] => Self::Features,
            ["providers", FEATURES, "features"] => Self::Features,
            ["providers", FEATURES, "providers", COMPUTE, "features", _] => Self::Feature(name(5)),
            ["providers", FEATURES, "providers", COMPUTE, "features", _, "register"] => {
                Self::RegisterFeature(name(5))
            }
            ["providers", FEATURES, "providers", COMPUTE, "features", _, "unregister"] => {
                Self::UnregisterFeature(name(5))
            }
            ["providers", COMPUTE, "virtualmachines"] => Self::Vms,
            ["providers", COMPUTE, "locations", _, "virtualmachines"] => Self::VmsOfLocation(name(3)),
            ["providers", COMPUTE, "locations", _, "operations", id] => {
                let unknown =
                    |_| ArmError::not_found("OperationNotFound", format!("there is no operation '{id}'"));
                Self::Operation(id.parse().map_err(unknown)?)
            }
            _ => return Ok(None),
        }))
    }
}

/// Azure's rule for the names of resource groups.
fn group(name: &str) -> Result<String> {
    let allowed = |c: char| c.is_alphanumeric() || "-_.()".contains(c);
    if (1..=90).contains(&name.chars().count()) && name.chars().all(allowed) && !name.ends_with('.') {
        return Ok(name.to_owned());
    }
    let sentence = format!(
        "the resource group name '{name}' is invalid: use 1 to 90 letters, digits and -_.(), not ending with a dot"
    );
    Err(ArmError::bad("InvalidResourceGroup", sentence))
}

/// Azure's rule for the names of VMs.
fn vm_name(name: &str) -> Result<String> {
    let allowed = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let fits = (1..=64).contains(&name.chars().count()) && name.chars().all(allowed);
    if fits && !name.starts_with('_') && !name.ends_with(['.', '-']) {
        return Ok(name.to_owned());
    }
    let sentence = format!(
        "the VM name '{name}' is invalid: use 1 to 64 letters, digits and -_., not beginning with an underscore nor \
         ending with a dot or a dash"
    );
    Err(ArmError::bad("InvalidResourceName", sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_parts_have_no_case_and_names_keep_theirs() {
        let path = "/SUBSCRIPTIONS/S-1/resourcegroups/My-Group/providers/microsoft.COMPUTE/VirtualMachines/Web.1/InstanceView";
        let vm = VmName { group: "My-Group".into(), name: "Web.1".into() };
        let expected = Place::In(SubscriptionId::new("s-1").unwrap(), OfSubscription::InstanceView(vm));
        assert_eq!(Place::of(path).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_code() {
        for (path, code) in [
            ("/", "InvalidResourceType"),
            ("/subscriptions/a_b", "InvalidSubscriptionId"),
            ("/subscriptions/s/resourceGroups/a%20b", "InvalidResourceGroup"),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/_a",
                "InvalidResourceName",
            ),
            ("/subscriptions/s/providers/Microsoft.Storage/x/y", "InvalidResourceType"),
            ("/subscriptions/s/%ff", "InvalidResourceType"),
        ] {
            assert_eq!(Place::of(path).unwrap_err().code, code, "{path}");
        }
    }
}
