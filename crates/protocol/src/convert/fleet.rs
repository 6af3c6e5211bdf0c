//! VMs, regions, windows.

use super::{DecodeError, Result, enumeration, id, ids, missing, number, required};
use crate::events::v1 as wire;
use chrono_tz::Tz;
use nightshift_domain::fleet::{Image, Placement, Vm};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;

enumeration! {
    nightshift_domain::fleet::Os => Os as os { Linux = Linux, Windows = Windows }
    nightshift_domain::fleet::PatchMode => PatchMode as patch_mode {
        AutomaticByPlatform = AutomaticByPlatform,
        AutomaticByOS = AutomaticByOs,
        Manual = Manual,
        ImageDefault = ImageDefault,
    }
    nightshift_domain::fleet::Feature => Feature as feature {
        InGuestAutoPatchVMPreview = InGuestAutoPatchVmPreview,
        InGuestPatchVMPreview = InGuestPatchVmPreview,
    }
}

pub(super) fn time_zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| DecodeError::new("time_zone", format!("\"{name}\" is not an IANA time zone")))
}

impl From<&Window> for wire::Window {
    fn from(window: &Window) -> Self {
        Self { start: window.start_text(), end: window.end_text() }
    }
}

impl TryFrom<wire::Window> for Window {
    type Error = DecodeError;
    fn try_from(window: wire::Window) -> Result<Self> {
        Window::parse(&window.start, &window.end).map_err(|error| DecodeError::new("start–end", error))
    }
}

impl From<&Placement> for wire::Placement {
    fn from(placement: &Placement) -> Self {
        use wire::placement::Kind;
        let kind = match placement {
            Placement::Zone(zone) => Kind::Zone(zone.to_string()),
            Placement::AvailabilitySet { set, update_domain } => {
                let (set, update_domain) = (set.to_string(), u32::from(*update_domain));
                Kind::AvailabilitySet(wire::AvailabilitySetPlacement { set, update_domain })
            }
            Placement::Standalone => Kind::Standalone(wire::Standalone {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::Placement> for Placement {
    type Error = DecodeError;
    fn try_from(placement: wire::Placement) -> Result<Self> {
        use wire::placement::Kind;
        Ok(match placement.kind.ok_or_else(|| missing("kind"))? {
            Kind::Zone(zone) => Placement::Zone(id(zone, "zone")?),
            Kind::AvailabilitySet(wire::AvailabilitySetPlacement { set, update_domain }) => {
                let update_domain = number(update_domain, "update_domain")?;
                Placement::AvailabilitySet { set: id(set, "set")?, update_domain }
            }
            Kind::Standalone(_) => Placement::Standalone,
        })
    }
}

impl From<&Vm> for wire::Vm {
    fn from(vm: &Vm) -> Self {
        let Image { publisher, offer, sku } = vm.image.clone();
        Self {
            id: vm.id.to_string(),
            subscription: vm.subscription.to_string(),
            resource_group: vm.resource_group.clone(),
            region: vm.region.to_string(),
            placement: Some((&vm.placement).into()),
            os: wire::Os::from(vm.os).into(),
            image: Some(wire::Image { publisher, offer, sku }),
            patch_mode: wire::PatchMode::from(vm.patch_mode).into(),
            time_zone: vm.time_zone.map(|zone| zone.name().to_owned()),
            window: vm.window.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Vm> for Vm {
    type Error = DecodeError;
    fn try_from(vm: wire::Vm) -> Result<Self> {
        let wire::Image { publisher, offer, sku } = vm.image.ok_or_else(|| missing("image"))?;
        Ok(Self {
            id: id(vm.id, "id")?,
            subscription: id(vm.subscription, "subscription")?,
            resource_group: vm.resource_group,
            region: id(vm.region, "region")?,
            placement: required(vm.placement, "placement")?,
            os: os(vm.os)?,
            image: Image { publisher, offer, sku },
            patch_mode: patch_mode(vm.patch_mode)?,
            time_zone: vm.time_zone.as_deref().map(time_zone).transpose()?,
            window: vm.window.map(|window| required(Some(window), "window")).transpose()?,
        })
    }
}

impl From<&Topology> for wire::Topology {
    fn from(topology: &Topology) -> Self {
        let region = |region: &Region| wire::Region {
            name: region.name.to_string(),
            time_zone: region.time_zone.name().to_owned(),
            pair: region.pair.as_ref().map(ToString::to_string),
            zones: region.zones.iter().map(ToString::to_string).collect(),
        };
        Self { window: Some((&topology.window).into()), regions: topology.regions.values().map(region).collect() }
    }
}

impl TryFrom<wire::Region> for Region {
    type Error = DecodeError;
    fn try_from(region: wire::Region) -> Result<Self> {
        Ok(Self {
            name: id(region.name, "name")?,
            time_zone: time_zone(&region.time_zone)?,
            pair: region.pair.map(|pair| id(pair, "pair")).transpose()?,
            zones: ids(region.zones, "zones")?.into_iter().collect(),
        })
    }
}

impl TryFrom<wire::Topology> for Topology {
    type Error = DecodeError;
    fn try_from(topology: wire::Topology) -> Result<Self> {
        let window = required(topology.window, "window")?;
        let regions: Vec<Region> = super::all(topology.regions, "regions")?;
        Topology::new(window, regions).map_err(|error| DecodeError::new("regions", error))
    }
}
