//! Which regions go in which phase: canaries first, then exposure grows by the policy's shares; geo-pairs are kept
//! apart; the smallest go first and ties go by name, so that any plan is predictable to a person.
//!
//! The rules, in the order in which they give way:
//!
//! 1. Two geo-paired regions never share a phase (rule S1). Pairs are a graph: a region may be the pair of several.
//! 2. Canaries come first, in phases of their own: as few as their pairs allow.
//! 3. When a phase ends, no more than its share of all eligible VMs has been touched. Only the plan's very first
//!    phase may exceed its share, and then with the smallest region alone: something has to go first.
//! 4. A region goes into the earliest phase that rules 1 to 3 leave open to it, smaller regions choosing first.
//! 5. A share that no region left fits makes no phase.
//! 6. What waits for the whole fleet's turn (100 %) is cut into as few phases as its pairs allow.

mod conflicts;
mod draft;
#[cfg(test)]
mod tests;
mod why;

use crate::fleet::Fleet;
use crate::id::RegionName;
use conflicts::Conflicts;
use draft::Draft;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One phase of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPhase {
    /// Its regions; no two of them geo-paired (rule S1, REQUIREMENTS.md B2).
    pub regions: Vec<PlannedRegion>,
}

/// One region of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRegion {
    /// The region.
    pub region: RegionName,
    /// Its eligible VMs when the plan was made.
    pub vms: u32,
    /// Why it is in this phase, for people.
    pub why: String,
}

/// A region that has eligible VMs.
#[derive(Debug, Clone, Copy)]
struct Sized<'a> {
    name: &'a RegionName,
    vms: u32,
    canary: bool,
}

/// Puts every region that has eligible VMs into a phase, by the rules of this module. `shares` rise to 100 percent of
/// those VMs; regions of `canaries` that have none are passed over.
pub fn plan(fleet: &Fleet, shares: &[u8], canaries: &[RegionName]) -> Vec<PlannedPhase> {
    let regions = smallest_first(fleet, canaries);
    let names: Vec<_> = regions.iter().map(|region| region.name).collect();
    let conflicts = Conflicts::new(&fleet.topology, &names);
    let phases = Draft::new(&regions, &conflicts, shares).phases;
    let planned = |(region, why)| {
        let Sized { name, vms, .. } = regions[region];
        PlannedRegion { region: name.clone(), vms, why }
    };
    why::of(&regions, &phases)
        .into_iter()
        .map(|phase| PlannedPhase { regions: phase.into_iter().map(planned).collect() })
        .collect()
}

fn smallest_first<'a>(fleet: &'a Fleet, canaries: &[RegionName]) -> Vec<Sized<'a>> {
    let mut sizes: BTreeMap<&RegionName, u32> = BTreeMap::new();
    for vm in fleet.vms.values().filter(|vm| fleet.ineligible(vm).is_none()) {
        *sizes.entry(&vm.region).or_default() += 1;
    }
    let sized = |(name, vms)| Sized { name, vms, canary: canaries.contains(name) };
    let mut regions: Vec<_> = sizes.into_iter().map(sized).collect();
    // By name they are already, and the sort is stable.
    regions.sort_by_key(|region| region.vms);
    regions
}
