//! S10: a VM that was ill or silent before its turn is not ordered, and a run on hold places no order until a person
//! had its rollout go on; nor is a rollout that was stopped granted a turn.

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S10;
use nightshift_domain::health::Baseline;
use nightshift_domain::{Event, RolloutId, VmId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    orders(history, findings);
    releases(history, findings);
    turns(history, findings);
}

/// By position in the region's partition.
fn orders(history: &History<'_>, findings: &mut Findings) {
    for (region, records) in &history.regions {
        let mut watched = BTreeMap::<(&RolloutId, &VmId), (&Record, &Baseline)>::new();
        for record in records {
            match &record.event {
                Event::WatchOpened { vm, rollout, baseline } => {
                    watched.insert((rollout, vm), (record, baseline));
                }
                Event::OrderPlaced { order } => {
                    let (rollout, vm) = (&order.rollout, &order.vm);
                    let run = history.runs.get(region, rollout);
                    let (first, why) = match watched.get(&(rollout, vm)) {
                        Some((_, Baseline::Well)) => (*record, None),
                        Some((opened, Baseline::Ill { .. })) => (*opened, Some("it was ill before")),
                        Some((opened, Baseline::Silent)) => (*opened, Some("it was silent before")),
                        None => {
                            let started = run.and_then(|run| run.started());
                            (started.unwrap_or(record), Some("nobody looked how it was before"))
                        }
                    };
                    findings.test(S10, why.is_none(), first, record, || {
                        format!("VM {vm} is ordered, but {}", why.unwrap_or_default())
                    });
                    let by = run.and_then(|run| run.held_at(record.position));
                    findings.test(S10, by.is_none(), by.unwrap_or(record), record, || {
                        format!("VM {vm} is ordered while the run of rollout {rollout} is on hold")
                    });
                }
                _ => {}
            }
        }
    }
}

/// By time, for a person's word is in another partition.
fn releases(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        for hold in &run.holds {
            let Some(released) = hold.released else { continue };
            findings.test(S10, hold.against.is_none(), hold.against.unwrap_or(released), released, || {
                format!(
                    "the run of rollout {rollout} in region {region} is released, and no person had it go on"
                )
            });
        }
    }
}

/// By position in partition `rollout`, where stops, a person's word and turns have one order.
fn turns(history: &History<'_>, findings: &mut Findings) {
    let mut stopped = BTreeMap::<&RolloutId, &Record>::new();
    for record in &history.rollout {
        match &record.event {
            Event::PhaseFailed { rollout, .. }
            | Event::RolloutHalted { rollout, .. }
            | Event::RolloutPaused { rollout, .. }
            | Event::RolloutCancelled { rollout, .. } => {
                stopped.insert(rollout, record);
            }
            Event::RolloutResumed { rollout, .. } => {
                stopped.remove(rollout);
            }
            Event::TurnGranted { rollout, region, .. } => {
                let by = stopped.get(rollout).copied();
                findings.test(S10, by.is_none(), by.unwrap_or(record), record, || {
                    format!("region {region} is granted a turn while rollout {rollout} is stopped")
                });
            }
            _ => {}
        }
    }
}
