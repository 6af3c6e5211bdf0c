//! Why a region is in its phase, in a sentence for people.

use super::Sized;
use super::draft::{Bound, DraftPhase, HeldBack};

/// For each phase its regions, each with its sentence.
pub(super) fn of(regions: &[Sized<'_>], phases: &[DraftPhase]) -> Vec<Vec<(usize, String)>> {
    let vms = |phase: &DraftPhase| -> u64 {
        phase.regions.iter().map(|&region| u64::from(regions[region].vms)).sum()
    };
    let total: u64 = phases.iter().map(vms).sum();
    let mut touched = 0;
    let explain = |phase: &DraftPhase| {
        touched += vms(phase);
        // Rounded up, so that what exceeds a share never looks as if it did not.
        let percent = (touched * 100).div_ceil(total.max(1));
        let explained = phase.regions.iter().map(|&region| {
            let held = phase.held_back.iter().filter(|held| held.region == region);
            let held: String = held.map(|held| held_back(regions, held)).collect();
            let bound = bound(&phase.bound);
            let vms = regions[region].vms;
            (region, format!("{vms} VMs: {percent} % of the fleet when its phase ends, {bound}{held}"))
        });
        explained.collect()
    };
    phases.iter().map(explain).collect()
}

fn bound(bound: &Bound) -> String {
    match bound {
        Bound::Canaries => "a canary, before all others".to_owned(),
        Bound::Share { percent, exceeded: true, .. } => {
            format!("the smallest region, alone, though over the first share of {percent} %")
        }
        Bound::Share { percent, passed_over, .. } => {
            let passed_over: Vec<_> = passed_over.iter().map(|share| format!("{share} %")).collect();
            let passed_over = match passed_over.as_slice() {
                [] => String::new(),
                shares => format!(" (no region left fitted {})", shares.join(" or ")),
            };
            format!("within this phase's {percent} %{passed_over}")
        }
    }
}

fn held_back(regions: &[Sized<'_>], held: &HeldBack) -> String {
    format!("; not in phase {}, where its geo-pair {} is", held.phase + 1, regions[held.pair].name)
}
