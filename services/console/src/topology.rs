//! What Nightshift believes of the world around the fleet, with how many machines are where.

use crate::view::View;
use nightshift_domain::RegionName;
use nightshift_domain::fleet::Placement;
use nightshift_protocol::api::v1 as api;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Region<'a> {
    vms: u32,
    eligible: u32,
    zones: BTreeMap<&'a str, u32>,
    sets: BTreeMap<&'a str, (u32, BTreeSet<u8>)>,
    standalone: u32,
}

/// All regions, those without machines too.
pub(crate) fn topology(view: &View) -> api::GetTopologyResponse {
    let fleet = &view.planner.fleet;
    let named = fleet.topology.regions.keys().map(|region| (region, Region::default()));
    let mut regions: BTreeMap<&RegionName, Region<'_>> = named.collect();
    for vm in fleet.vms.values() {
        let region = regions.entry(&vm.region).or_default();
        region.vms += 1;
        region.eligible += u32::from(fleet.ineligible(vm).is_none());
        match &vm.placement {
            Placement::Zone(zone) => *region.zones.entry(zone.as_str()).or_default() += 1,
            Placement::AvailabilitySet { set, update_domain } => {
                let (vms, domains) = region.sets.entry(set.as_str()).or_default();
                *vms += 1;
                domains.insert(*update_domain);
            }
            Placement::Standalone => region.standalone += 1,
        }
    }
    let regions = regions.into_iter().map(|(name, region)| api::RegionVms {
        region: name.to_string(),
        vms: region.vms,
        eligible: region.eligible,
        zones: region.zones.into_iter().map(|(zone, vms)| group(zone, vms, 0)).collect(),
        availability_sets: region
            .sets
            .into_iter()
            .map(|(set, (vms, domains))| group(set, vms, u32::try_from(domains.len()).unwrap_or(u32::MAX)))
            .collect(),
        standalone: region.standalone,
    });
    api::GetTopologyResponse { topology: Some((&fleet.topology).into()), regions: regions.collect() }
}

fn group(name: &str, vms: u32, update_domains: u32) -> api::Group {
    api::Group { name: name.to_owned(), vms, update_domains }
}
