//! The fleet file: regions (its own, or of a topology), subscriptions, images and groups of alike VMs, in TOML (see
//! examples/fleet.toml). Whatever is wrong in it is named with its file, line, field and value.

mod entries;
mod groups;
mod regions;
mod shipped;
mod source;
#[cfg(test)]
mod tests;
mod vm;

pub(crate) use groups::MOST_VMS;
pub use shipped::SHIPPED;
pub use source::Mistake;
pub(crate) use source::Source;
#[cfg(test)]
pub(crate) use vm::parse as parse_vm;
pub(crate) use vm::{read as read_vm, read_shown as read_shown_vm};

use anyhow::Context as _;
use entries::{FleetEntries, SubscriptionEntry};
use groups::Groups;
use nightshift_domain::fleet::{Feature, Fleet, Registration, Vm};
use nightshift_domain::topology::Topology;
use nightshift_domain::{SubscriptionId, VmId};
use nightshift_protocol::api::v1 as api;
use regions::Regions;
use std::collections::BTreeSet;
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

/// Reads a fleet file. A topology file that it names is sought beside it.
pub fn read(path: &Path) -> anyhow::Result<DeclaredFleet> {
    let source = Source::read(path)?;
    parse_source(&source, path.parent().unwrap_or(Path::new("")))
}

/// Reads a fleet file's text. A topology file that it names is sought in the current folder.
pub fn parse(text: &str) -> anyhow::Result<DeclaredFleet> {
    parse_source(&Source::new("the fleet file", text), Path::new(""))
}

fn parse_source(source: &Source, folder: &Path) -> anyhow::Result<DeclaredFleet> {
    let entries: FleetEntries = source.parse()?;
    let mut regions = match &entries.topology {
        Some(name) => Regions::of_topology(source, name, folder)?,
        None => Regions::default(),
    };
    regions.add(source, entries.region)?;
    if let Some(window) = &entries.window {
        regions.window = Some(window.read(source)?);
    }
    regions
        .images
        .extend(entries.image.iter().filter(|entry| entry.supported).map(entries::ImageEntry::image));
    let topology = regions.topology()?;
    let groups = Groups::new(source, &topology, &entries.subscription, &entries.image);
    let (vms, powered_off) = groups.expand(&entries.vms)?;
    let features: Vec<_> = entries.subscription.iter().flat_map(SubscriptionEntry::registrations).collect();
    // The same checks as the planner's, before anything is sent.
    Fleet::default()
        .declare(topology.clone(), &features, vms.clone())
        .with_context(|| source.name().to_owned())?;
    Ok(DeclaredFleet { topology, features, vms, powered_off })
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
            ..Default::default()
        }
    }

    /// The fleet that it will be once it is declared.
    pub fn into_fleet(self) -> Fleet {
        let registered = |feature| (feature, Registration::Registered);
        let vms = self.vms.into_iter();
        Fleet::new(self.topology, vms, self.features.into_iter().map(registered).collect())
    }
}
