//! VMs, regions, windows.

use super::{DecodeError, Result, all, enumeration, id, ids, known, missing, required, small};
use crate::events::v1 as wire;
use chrono_tz::Tz;
use nightshift_domain::fleet::{AssessmentMode, Feature, Image, Placement, Resource, Vm};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::{InvalidWindow, Window};
use std::collections::BTreeSet;
use std::fmt::Display;

enumeration! {
    nightshift_domain::fleet::Os => Os { Linux = Linux, Windows = Windows }
    nightshift_domain::fleet::PatchMode => PatchMode {
        AutomaticByPlatform = AutomaticByPlatform,
        AutomaticByOS = AutomaticByOs,
        Manual = Manual,
        ImageDefault = ImageDefault,
    }
    nightshift_domain::fleet::Feature => Feature {
        InGuestAutoPatchVMPreview = InGuestAutoPatchVmPreview,
        InGuestPatchVMPreview = InGuestPatchVmPreview,
    }
}

/// A feature's number.
pub fn feature(value: i32) -> Result<Feature> {
    known::<wire::Feature, _>(value, "feature")
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
        Window::parse(&window.start, &window.end).map_err(|error| {
            let field = match &error {
                InvalidWindow::Empty(_) => "end",
                InvalidWindow::NotATime { field, .. } => field,
            };
            DecodeError::new(field, &error)
        })
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
                let update_domain = small(update_domain, "availability_set.update_domain")?;
                Placement::AvailabilitySet { set: id(set, "availability_set.set")?, update_domain }
            }
            Kind::Standalone(_) => Placement::Standalone,
        })
    }
}

impl From<&Image> for wire::Image {
    fn from(image: &Image) -> Self {
        let Image { publisher, offer, sku } = image.clone();
        Self { publisher, offer, sku }
    }
}

impl TryFrom<wire::Image> for Image {
    type Error = DecodeError;
    fn try_from(image: wire::Image) -> Result<Self> {
        let wire::Image { publisher, offer, sku } = image;
        Ok(Self { publisher, offer, sku })
    }
}

impl From<&Vm> for wire::Vm {
    fn from(vm: &Vm) -> Self {
        Self {
            id: vm.id.to_string(),
            subscription: vm.subscription.to_string(),
            resource_group: vm.resource_group.clone(),
            region: vm.region.to_string(),
            placement: Some((&vm.placement).into()),
            os: wire::Os::from(vm.os).into(),
            image: Some((&vm.image).into()),
            patch_mode: wire::PatchMode::from(vm.patch_mode).into(),
            time_zone: vm.time_zone.map(|zone| zone.name().to_owned()),
            window: vm.window.as_ref().map(Into::into),
            automatic_updates: vm.automatic_updates,
            assessment_mode: assessment_mode_to_wire(vm.assessment_mode).into(),
            reboot: vm.reboot.map(|reboot| wire::RebootSetting::from(reboot).into()),
            resource: vm
                .resource
                .as_ref()
                .map(|resource| wire::Resource { name: resource.name.clone(), body: resource.body.clone() }),
        }
    }
}

/// The default is the absent value: an event from before the field and one without it are the same.
fn assessment_mode_to_wire(mode: AssessmentMode) -> wire::AssessmentMode {
    match mode {
        AssessmentMode::AutomaticByPlatform => wire::AssessmentMode::AutomaticByPlatform,
        AssessmentMode::ImageDefault => wire::AssessmentMode::Unspecified,
    }
}

fn assessment_mode(value: i32) -> Result<AssessmentMode> {
    match wire::AssessmentMode::try_from(value) {
        Ok(wire::AssessmentMode::AutomaticByPlatform) => Ok(AssessmentMode::AutomaticByPlatform),
        Ok(wire::AssessmentMode::Unspecified | wire::AssessmentMode::ImageDefault) => {
            Ok(AssessmentMode::ImageDefault)
        }
        Err(_) => Err(DecodeError::new("assessment_mode", format!("{value} is not a known value"))),
    }
}

impl TryFrom<wire::Vm> for Vm {
    type Error = DecodeError;
    fn try_from(vm: wire::Vm) -> Result<Self> {
        Ok(Self {
            id: id(vm.id, "id")?,
            subscription: id(vm.subscription, "subscription")?,
            resource_group: vm.resource_group,
            region: id(vm.region, "region")?,
            placement: required(vm.placement, "placement")?,
            os: known::<wire::Os, _>(vm.os, "os")?,
            image: required(vm.image, "image")?,
            patch_mode: known::<wire::PatchMode, _>(vm.patch_mode, "patch_mode")?,
            time_zone: vm.time_zone.as_deref().map(time_zone).transpose()?,
            window: vm.window.map(|window| required(Some(window), "window")).transpose()?,
            automatic_updates: vm.automatic_updates,
            assessment_mode: assessment_mode(vm.assessment_mode)?,
            reboot: vm.reboot.map(|value| known::<wire::RebootSetting, _>(value, "reboot")).transpose()?,
            resource: vm.resource.map(|wire::Resource { name, body }| Resource { name, body }),
        })
    }
}

impl From<&Region> for wire::Region {
    fn from(region: &Region) -> Self {
        Self {
            name: region.name.to_string(),
            time_zone: region.time_zone.name().to_owned(),
            pair: region.pair.as_ref().map(ToString::to_string),
            zones: region.zones.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<wire::Region> for Region {
    type Error = DecodeError;
    fn try_from(region: wire::Region) -> Result<Self> {
        let zones = ids(region.zones, "zones")?;
        distinct(&zones, |place| format!("zones[{place}]"))?;
        Ok(Self {
            name: id(region.name, "name")?,
            time_zone: time_zone(&region.time_zone)?,
            pair: region.pair.map(|pair| id(pair, "pair")).transpose()?,
            zones: zones.into_iter().collect(),
        })
    }
}

impl From<&Topology> for wire::Topology {
    fn from(topology: &Topology) -> Self {
        let regions = topology.regions.values().map(Into::into).collect();
        let images = topology.images.iter().map(Into::into).collect();
        Self { window: Some((&topology.window).into()), regions, images }
    }
}

impl TryFrom<wire::Topology> for Topology {
    type Error = DecodeError;
    fn try_from(topology: wire::Topology) -> Result<Self> {
        let window = required(topology.window, "window")?;
        let regions: Vec<Region> = all(topology.regions, "regions")?;
        distinct(regions.iter().map(|region| &region.name), |place| format!("regions[{place}].name"))?;
        let images = all(topology.images, "images")?;
        let topology = Topology::new(window, regions).map_err(|error| DecodeError::new("regions", error))?;
        Ok(topology.with_images(images))
    }
}

/// No value twice: the domain holds them by name and would drop one of the two without a word.
fn distinct<'a, T: Ord + Display + 'a>(
    values: impl IntoIterator<Item = &'a T>,
    field: impl Fn(usize) -> String,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    match values.into_iter().enumerate().find(|(_, value)| !seen.insert(*value)) {
        Some((place, value)) => Err(DecodeError::new(&field(place), format!("\"{value}\" is there twice"))),
        None => Ok(()),
    }
}
