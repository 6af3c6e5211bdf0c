//! Which regions go in which phase: exposure grows by the policy's shares, geo-pairs are kept apart, the smallest
//! go first and ties go by name, so that any plan is predictable to a person.

use crate::fleet::Fleet;
use crate::id::RegionName;
use crate::topology::Topology;
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

/// Puts every region that has eligible VMs into a phase. `shares` rise to 100 percent of those VMs; where the pairs
/// need more phases than there are shares, more are added.
pub fn plan(fleet: &Fleet, shares: &[u8]) -> Vec<PlannedPhase> {
    let mut waiting = smallest_first(fleet);
    let total: u64 = waiting.iter().map(|(_, vms)| u64::from(*vms)).sum();
    let mut shares = shares.iter().copied();
    let mut touched = 0;
    let mut phases = Vec::new();
    while !waiting.is_empty() {
        let share = shares.next().unwrap_or(100);
        let phase = next_phase(&fleet.topology, &mut waiting, &mut touched, total, share);
        phases.push(phase);
    }
    phases
}

fn smallest_first(fleet: &Fleet) -> Vec<(RegionName, u32)> {
    let mut sizes: BTreeMap<RegionName, u32> = BTreeMap::new();
    for vm in fleet.vms.values().filter(|vm| fleet.ineligible(vm).is_none()) {
        *sizes.entry(vm.region.clone()).or_default() += 1;
    }
    let mut regions: Vec<_> = sizes.into_iter().collect();
    regions.sort_by(|(a, a_vms), (b, b_vms)| (a_vms, a).cmp(&(b_vms, b)));
    regions
}

/// Takes from `waiting` what fits under the share: always one region, then more while they fit and pair with none.
fn next_phase(
    topology: &Topology,
    waiting: &mut Vec<(RegionName, u32)>,
    touched: &mut u64,
    total: u64,
    share: u8,
) -> PlannedPhase {
    let mut regions: Vec<PlannedRegion> = Vec::new();
    waiting.retain(|(region, vms)| {
        let paired = regions.iter().any(|taken| topology.paired(&taken.region, region));
        let fits = (*touched + u64::from(*vms)) * 100 <= total * u64::from(share);
        if paired || !(fits || regions.is_empty()) {
            return true;
        }
        *touched += u64::from(*vms);
        let percent = *touched * 100 / total;
        let bound = if fits { "within" } else { "the smallest region left, though over" };
        let why = format!("{vms} VMs: {percent} % of the fleet when it ends, {bound} this phase's {share} %");
        regions.push(PlannedRegion { region: region.clone(), vms: *vms, why });
        false
    });
    PlannedPhase { regions }
}
