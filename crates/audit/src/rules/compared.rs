//! S2 and S7, the analysis: controls were not patched before by the rollout, and what they came to is what was told of them
//! (S7); no phase passes whose patched machines fell ill so much more often than its controls that chance explains it more
//! seldom than the policy accepts (S2). The auditor has its own arithmetic.

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::lag::LAG;
use crate::report::Rule::{S2, S7};
use nightshift_domain::event::Outcome;
use nightshift_domain::patch::Blame;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, OrderId, RolloutId, Time, VmId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for records in history.regions.values() {
        samples(records, findings);
    }
    phases(history, findings);
}

/// A sample of controls: who is in it, and of how many it was told that they are well, or not.
struct Sample<'a> {
    requested: &'a Record,
    vms: BTreeSet<&'a VmId>,
    well: u32,
    ill: u32,
}

/// By position in the region's partition.
fn samples(records: &[&Record], findings: &mut Findings) {
    let mut ordered = BTreeMap::<(&RolloutId, &VmId), &Record>::new();
    let mut samples = BTreeMap::<&OrderId, Sample<'_>>::new();
    for record in records {
        match &record.event {
            Event::OrderPlaced { order } => {
                ordered.entry((&order.rollout, &order.vm)).or_insert(record);
            }
            Event::ControlsRequested { rollout, sample, vms } => {
                let before = vms.iter().find_map(|vm| ordered.get(&(rollout, vm)).copied());
                findings.test(S7, before.is_none(), before.unwrap_or(record), record, || {
                    "a VM that was patched before is to be compared as one that was not".to_owned()
                });
                let vms = vms.iter().collect();
                samples.insert(sample, Sample { requested: record, vms, well: 0, ill: 0 });
            }
            Event::HealthConfirmed { vm, order }
            | Event::HealthFailed { vm, order, .. }
            | Event::HealthUnknown { vm, order, .. } => {
                if let Some(sample) = samples.get_mut(order)
                    && sample.vms.remove(vm)
                {
                    let well = matches!(record.event, Event::HealthConfirmed { .. });
                    *(if well { &mut sample.well } else { &mut sample.ill }) += 1;
                }
            }
            Event::ControlsJudged { sample, ill, well, .. } => {
                let known = samples.get(sample);
                let told = known.map_or((0, 0), |sample| (sample.ill, sample.well));
                let first = known.map_or(*record, |sample| sample.requested);
                findings.test(S7, *ill <= told.0 && *well <= told.1, first, record, || {
                    format!(
                        "{ill} controls are said to be ill and {well} well, and {} and {} were",
                        told.0, told.1
                    )
                });
            }
            _ => {}
        }
    }
}

/// What became of the patched and of the controls of a rollout in a region, each with its time.
#[derive(Default)]
struct Counts<'a>(Vec<(&'a Record, [u32; 4])>);

impl Counts<'_> {
    /// Patched ill, patched well, controls ill, controls well, by that moment.
    fn by(&self, at: Time) -> [u32; 4] {
        let mut sum = [0; 4];
        for (_, counts) in self.0.iter().filter(|(record, _)| record.at <= at) {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sum
    }
}

fn phases(history: &History<'_>, findings: &mut Findings) {
    let passes = history.rollout.iter().filter_map(|record| match &record.event {
        Event::PhasePassed { rollout, phase, .. } => Some((*record, rollout, *phase)),
        _ => None,
    });
    for (record, rollout, phase) in passes {
        let Some(known) = history.rollouts.get(rollout) else { continue };
        // What a person accepted of the phase, they accepted.
        let policies = known.policies.in_force(record.at).iter().map(|version| version.value);
        let strictest = policies.filter_map(|policy: &Policy| policy.analysis).min_by_key(|a| a.percent);
        let Some(analysis) = strictest.filter(|_| !known.accepted_in(phase)) else { continue };
        let regions = history.regions.iter().filter(|(region, _)| {
            known.skipped(region).is_none() && known.turns(region).iter().any(|turn| turn.phase == phase)
        });
        let counts: Vec<_> = regions.map(|(_, records)| counts(records, rollout)).collect();
        // A fact of a region may have been on its way to the planner.
        let harmful = |at: Time| {
            let mut sum = [0; 4];
            for of_region in &counts {
                sum.iter_mut().zip(of_region.by(at)).for_each(|(sum, count)| *sum += count);
            }
            let level = f64::from(analysis.percent) / 100.0;
            sum[0] >= analysis.failures && tail(sum) < level
        };
        let harm = harmful(record.at) && harmful(record.at - LAG);
        let last = counts.iter().flat_map(|counts| &counts.0).map(|(settled, _)| *settled);
        let last = last.filter(|settled| settled.at <= record.at).max_by_key(|settled| settled.at);
        findings.test(S2, !harm, last.unwrap_or(record), record, || {
            format!("phase {phase} of rollout {rollout} passes, and machines fall ill more often with the patch than without")
        });
    }
}

fn counts<'a>(records: &[&'a Record], wanted: &RolloutId) -> Counts<'a> {
    let mut counts = Counts::default();
    for record in records {
        match &record.event {
            Event::VmSettled { rollout, outcome: Outcome::Healthy, .. } if rollout == wanted => {
                counts.0.push((record, [0, 1, 0, 0]));
            }
            Event::VmSettled { rollout, blamed, .. } if rollout == wanted && fell_ill(blamed) => {
                counts.0.push((record, [1, 0, 0, 0]));
            }
            Event::ControlsJudged { rollout, ill, well, .. } if rollout == wanted => {
                counts.0.push((record, [0, 0, *ill, *well]));
            }
            _ => {}
        }
    }
    counts
}

/// A version whose own installation failed is another matter.
fn fell_ill(blamed: &[Blame]) -> bool {
    !blamed.is_empty() && !blamed.iter().any(|blame| blame.direct)
}

/// The chance of as many ill among the patched, or more, where the patch makes no difference: the hypergeometric
/// distribution's tail, from one term to the next.
fn tail([patched_ill, patched_well, control_ill, control_well]: [u32; 4]) -> f64 {
    let (patched, ill) = (patched_ill + patched_well, patched_ill + control_ill);
    let controls = control_ill + control_well;
    let (least, most) = (ill.saturating_sub(controls), patched.min(ill));
    let (mut term, mut all, mut above) = (1.0_f64, 0.0_f64, 0.0_f64);
    for k in least..=most {
        all += term;
        if k >= patched_ill {
            above += term;
        }
        // From the weight of k to that of k + 1; scaled down before it overflows.
        term *= f64::from(patched - k) * f64::from(ill - k);
        term /= f64::from(k + 1) * f64::from((controls + k + 1).saturating_sub(ill).max(1));
        if all > 1e200 {
            (term, all, above) = (term / 1e200, all / 1e200, above / 1e200);
        }
    }
    above / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_agrees_with_tables() {
        assert!((tail([4, 0, 0, 4]) - 1.0 / 70.0).abs() < 1e-12);
        assert!((tail([3, 1, 1, 3]) - 17.0 / 70.0).abs() < 1e-12);
        assert!((tail([5, 20, 0, 0]) - 1.0).abs() < 1e-12);
        assert!((tail([0, 20, 5, 0]) - 1.0).abs() < 1e-12);
        // 20 of 200 against none of 200.
        assert!(tail([20, 180, 0, 200]) < 1e-6);
        assert!((tail([300, 700, 300, 700]) - 0.5).abs() < 0.03);
    }
}
