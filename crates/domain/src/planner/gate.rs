//! The gate of a phase whose first turns have all ended (rule S2, REQUIREMENTS.md B1).

use crate::event::Event;
use crate::id::RolloutId;
use crate::patch::PatchTally;
use crate::rollout::{Phase, Rollout, Tally};
use crate::selection::PackageVersion;
use std::collections::BTreeMap;

pub(super) fn gate(id: &RolloutId, rollout: &Rollout, number: u32, phase: &Phase, baked: bool) -> Vec<Event> {
    let tally = phase.tally();
    let closed =
        closed(rollout, phase.counted(&rollout.evidence), phase.accepted).filter(|_| !phase.gate_waived);
    if let Some(why) = closed {
        let evidence = rollout.evidence.of_halt(|region| phase.counts(region), &rollout.barred);
        let failed = Event::PhaseFailed { rollout: id.clone(), phase: number, tally, why: why.clone() };
        let halted = Event::RolloutHalted { rollout: id.clone(), phase: number, region: None, why, evidence };
        return vec![failed, halted];
    }
    if !baked {
        return Vec::new();
    }
    let mut events = vec![Event::PhasePassed { rollout: id.clone(), phase: number, tally }];
    if number < rollout.policy.certify_phases {
        let patches = proved(rollout, phase);
        if !patches.is_empty() {
            events.push(Event::PatchesCertified { rollout: id.clone(), phase: number, patches });
        }
    }
    events
}

/// Why a phase with this tally may not pass; a phase that confirmed nobody's health has proved nothing.
///
/// Where everybody was off or ill nothing was at risk and nothing failed, but to go on would be to go on blindly.
fn closed(rollout: &Rollout, tally: Tally, accepted: u32) -> Option<String> {
    let allowed = rollout.policy.budgets.phase.of(tally.ordered() as usize);
    let failed = tally.failed.saturating_sub(accepted);
    if failed as usize > allowed {
        return Some(format!("{failed} of {} VMs failed, {allowed} may", tally.ordered()));
    }
    (tally.healthy == 0).then(|| "no VM of the phase was confirmed healthy".to_owned())
}

/// Versions that were installed and proved healthy, failed nowhere, and are not certified or barred already.
fn proved(rollout: &Rollout, phase: &Phase) -> Vec<PackageVersion> {
    let mut sums: BTreeMap<&PackageVersion, (u32, u32)> = BTreeMap::new();
    for PatchTally { patch, healthy, failed } in phase.turns.values().flat_map(|turn| &turn.patches) {
        let sum = sums.entry(patch).or_default();
        *sum = (sum.0 + healthy, sum.1 + failed);
    }
    let good = sums.into_iter().filter(|(patch, (healthy, failed))| {
        *healthy > 0
            && *failed == 0
            && !rollout.certified.contains(*patch)
            && !rollout.barred.contains(*patch)
    });
    good.map(|(patch, _)| patch.clone()).collect()
}
