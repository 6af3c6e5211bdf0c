//! The fleet file: regions, subscriptions, images and groups of alike VMs, in TOML (see examples/fleet.toml).

use anyhow::{Context as _, bail};
use chrono_tz::Tz;
use nightshift_domain::fleet::{Feature, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{AvailabilitySetId, RegionName, SubscriptionId, VmId, ZoneName};
use nightshift_protocol::api::v1 as api;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A fleet as a file declares it.
#[derive(Debug, Clone)]
pub struct DeclaredFleet {
    /// Regions, pairs, zones, the fleet's window.
    pub topology: Topology,
    /// Which subscriptions are registered for what.
    pub features: Vec<(SubscriptionId, Feature)>,
    /// All VMs.
    pub vms: Vec<Vm>,
    /// VMs that the demo leaves off.
    pub powered_off: BTreeSet<VmId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "Window::default_off_peak")]
    window: Window,
    region: Vec<RegionEntry>,
    #[serde(default)]
    subscription: Vec<SubscriptionEntry>,
    #[serde(default)]
    image: Vec<ImageEntry>,
    #[serde(default)]
    vms: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionEntry {
    name: RegionName,
    time_zone: Tz,
    pair: Option<RegionName>,
    #[serde(default)]
    zones: BTreeSet<ZoneName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionEntry {
    name: SubscriptionId,
    #[serde(default)]
    features: Vec<Feature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageEntry {
    name: String,
    os: Os,
    publisher: String,
    offer: String,
    sku: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    prefix: String,
    count: u32,
    region: RegionName,
    subscription: SubscriptionId,
    resource_group: String,
    image: String,
    patch_mode: PatchMode,
    #[serde(default)]
    zones: Vec<ZoneName>,
    availability_set: Option<SetEntry>,
    time_zone: Option<Tz>,
    window: Option<Window>,
    #[serde(default)]
    powered_off: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetEntry {
    name: AvailabilitySetId,
    update_domains: u8,
}

/// Reads a fleet file.
pub fn read(path: &Path) -> anyhow::Result<DeclaredFleet> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    parse(&text).with_context(|| path.display().to_string())
}

/// Reads a fleet file's text. Errors name the line or the entry, the field and its value.
pub fn parse(text: &str) -> anyhow::Result<DeclaredFleet> {
    let file: File = toml::from_str(text)?;
    let subscriptions: BTreeSet<_> = file.subscription.iter().map(|entry| entry.name.clone()).collect();
    let images: BTreeMap<_, _> = file.image.iter().map(|image| (image.name.as_str(), image)).collect();
    let mut seen = BTreeSet::new();
    for entry in &file.region {
        if !seen.insert(&entry.name) {
            bail!("region \"{}\" is declared twice", entry.name);
        }
    }
    let mut vms = Vec::new();
    let mut powered_off = BTreeSet::new();
    for group in &file.vms {
        let members =
            expand(group, &subscriptions, &images).with_context(|| format!("vms \"{}\"", group.prefix))?;
        powered_off.extend(members.iter().take(group.powered_off as usize).map(|vm| vm.id.clone()));
        vms.extend(members);
    }
    let regions = file.region.into_iter().map(|RegionEntry { name, time_zone, pair, zones }| Region {
        name,
        time_zone,
        pair,
        zones,
    });
    let topology = Topology::new(file.window, regions)?;
    let features = file.subscription.into_iter().flat_map(|entry| {
        let name = entry.name;
        entry.features.into_iter().map(move |feature| (name.clone(), feature))
    });
    let features: Vec<_> = features.collect();
    // The same checks as the planner's, before anything is sent.
    nightshift_domain::fleet::Fleet::default().declare(topology.clone(), &features, vms.clone())?;
    Ok(DeclaredFleet { topology, features, vms, powered_off })
}

fn expand(
    group: &Group,
    subscriptions: &BTreeSet<SubscriptionId>,
    images: &BTreeMap<&str, &ImageEntry>,
) -> anyhow::Result<Vec<Vm>> {
    if !subscriptions.contains(&group.subscription) {
        bail!("subscription = \"{}\" is not declared in this file", group.subscription);
    }
    let Some(image) = images.get(group.image.as_str()) else {
        bail!("image = \"{}\" is not declared in this file", group.image);
    };
    if !group.zones.is_empty() && group.availability_set.is_some() {
        bail!("zones and availability_set: a VM is in a zone or in an availability set, never in both");
    }
    if group.powered_off > group.count {
        bail!("powered_off = {} is more than count = {}", group.powered_off, group.count);
    }
    (0..group.count).map(|number| vm(group, image, number)).collect()
}

fn vm(group: &Group, image: &ImageEntry, number: u32) -> anyhow::Result<Vm> {
    let placement = match &group.availability_set {
        Some(SetEntry { update_domains: 0, .. }) => {
            bail!("availability_set: update_domains = 0 must be at least 1")
        }
        Some(set) => Placement::AvailabilitySet {
            set: set.name.clone(),
            update_domain: u8::try_from(number % u32::from(set.update_domains))?,
        },
        None => match group.zones.get(number as usize % group.zones.len().max(1)) {
            Some(zone) => Placement::Zone(zone.clone()),
            None => Placement::Standalone,
        },
    };
    let ImageEntry { publisher, offer, sku, .. } = image;
    Ok(Vm {
        id: VmId::new(format!("{}-{:02}", group.prefix, number + 1))?,
        subscription: group.subscription.clone(),
        resource_group: group.resource_group.clone(),
        region: group.region.clone(),
        placement,
        os: image.os,
        image: Image { publisher: publisher.clone(), offer: offer.clone(), sku: sku.clone() },
        patch_mode: group.patch_mode,
        time_zone: group.time_zone,
        window: group.window,
    })
}

impl DeclaredFleet {
    /// The request that declares it.
    pub fn request(&self) -> api::DeclareFleetRequest {
        let feature = |(subscription, feature): &(SubscriptionId, Feature)| api::FeatureRegistration {
            subscription: subscription.to_string(),
            feature: nightshift_protocol::events::v1::Feature::from(*feature).into(),
        };
        api::DeclareFleetRequest {
            topology: Some((&self.topology).into()),
            features: self.features.iter().map(feature).collect(),
            vms: self.vms.iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[region]]
        name = "west"
        time_zone = "Europe/Amsterdam"
        zones = ["west-1"]
        [[subscription]]
        name = "retail"
        features = ["InGuestAutoPatchVMPreview"]
        [[image]]
        name = "ubuntu"
        os = "Linux"
        publisher = "Canonical"
        offer = "UbuntuServer"
        sku = "18.04-LTS"
        [[vms]]
        prefix = "web"
        count = 3
        region = "west"
        subscription = "retail"
        resource_group = "rg"
        image = "ubuntu"
        patch_mode = "AutomaticByPlatform"
        zones = ["west-1"]
        powered_off = 1
    "#;

    #[test]
    fn a_group_expands_to_its_vms() {
        let fleet = parse(GOOD).unwrap();
        let ids: Vec<_> = fleet.vms.iter().map(|vm| vm.id.as_str()).collect();
        assert_eq!(ids, ["web-01", "web-02", "web-03"]);
        assert_eq!(fleet.powered_off.len(), 1);
    }

    #[test]
    fn the_example_fleet_is_good_and_of_the_promised_size() {
        let fleet = parse(include_str!("../../../examples/fleet.toml")).unwrap();
        assert_eq!(fleet.topology.regions.len(), 6);
        assert!((250..=350).contains(&fleet.vms.len()), "{}", fleet.vms.len());
    }

    #[test]
    fn each_mistake_is_named_with_its_place_and_value() {
        let cases = [
            (GOOD.replace("region = \"west\"", "region = \"nowhere\""), "nowhere"),
            (
                GOOD.replace(
                    "zones = [\"west-1\"]\n        powered",
                    "zones = [\"west-9\"]\n        powered",
                ),
                "west-9",
            ),
            (
                GOOD.replace("powered_off = 1", "availability_set = { name = \"set\", update_domains = 2 }"),
                "never in both",
            ),
            (GOOD.replace("time_zone = \"Europe/Amsterdam\"", "time_zone = \"Europe/Amsterdm\""), "Amsterdm"),
            (format!("[window]\nstart = \"22:00\"\nend = \"22:00\"\n{GOOD}"), "no length"),
            (GOOD.replace("subscription = \"retail\"", "subscription = \"bank\""), "bank"),
            (GOOD.replace("AutomaticByPlatform", "Manual"), "Windows only"),
            (GOOD.replace("prefix = \"web\"", "prefix = \"Web\""), "Web-01"),
            (GOOD.replace("count = 3", "cuont = 3"), "cuont"),
        ];
        for (text, clue) in cases {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(clue), "{clue}: {error}");
        }
    }
}
