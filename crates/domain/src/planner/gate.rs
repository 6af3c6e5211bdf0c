//! The gate of a phase whose first turns have all ended (rule S2, REQUIREMENTS.md B1).

use crate::event::Event;
use crate::gate::{ConditionState, phase_gate};
use crate::halt::HaltEvidence;
use crate::id::RolloutId;
use crate::mind::Time;
use crate::patch::PatchTally;
use crate::rollout::{Baking, Phase, Rollout};
use crate::selection::PackageVersion;
use std::collections::BTreeMap;

pub(super) fn gate(id: &RolloutId, rollout: &Rollout, number: u32, phase: &Phase, now: Time) -> Vec<Event> {
    let tally = phase.tally();
    if let Some(why) = closed(rollout, number, phase, now) {
        let evidence = rollout.evidence.of_halt(|region| phase.counts(region), &rollout.barred);
        let comparison = rollout.policy.analysis.map(|_| phase.comparison());
        let evidence = HaltEvidence { comparison, ..evidence };
        let failed = Event::PhaseFailed { rollout: id.clone(), phase: number, tally, why: why.clone() };
        let halted = Event::RolloutHalted { rollout: id.clone(), phase: number, region: None, why, evidence };
        return vec![failed, halted];
    }
    if let Some(asked) = rollout.bake_to_ask_for(id, number, phase) {
        return vec![asked];
    }
    let baked = phase.ended().is_some_and(|ended| now >= ended + rollout.policy.bake);
    let baking = rollout.baking(number, phase, now);
    let queried = phase.gate_waived || matches!(baking, Baking::Unasked | Baking::Confirmed);
    if !baked || !queried {
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

/// Why the phase may not pass; one that confirmed nobody's health has proved nothing.
///
/// Where everybody was off or ill nothing was at risk and nothing failed, but to go on would be to go on blindly.
fn closed(rollout: &Rollout, number: u32, phase: &Phase, now: Time) -> Option<String> {
    let conditions = phase_gate(rollout, number, phase, now);
    let closed = conditions.into_iter().find(|condition| {
        // Its start was approved, or it would not have started.
        condition.state == ConditionState::Closed && condition.reason.code != "ApprovalNeeded"
    });
    closed.map(|condition| condition.reason.sentence)
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
