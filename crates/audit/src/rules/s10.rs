//! S10: a VM that was ill or silent before its turn is not ordered; a run on hold places no order until a person had
//! its rollout go on, one that is completed none at all; a rollout that was stopped is granted no turn, and its runs
//! place no order later than [`LAG`] after.

use crate::findings::Findings;
use crate::history::History;
use crate::lag::LAG;
use crate::report::Rule::S10;
use crate::run::Hold;
use crate::{Record, rollouts};
use nightshift_domain::event::Order;
use nightshift_domain::health::Baseline;
use nightshift_domain::policy::OnFailure;
use nightshift_domain::{Event, RegionName, RolloutId, VmId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for (region, records) in &history.regions {
        let mut watched = BTreeMap::<(&RolloutId, &VmId), (&Record, &Baseline)>::new();
        for record in records {
            match &record.event {
                // What is said of a control is no answer for its own order.
                Event::WatchOpened { vm, rollout, baseline, sample: None } => {
                    watched.insert((rollout, vm), (record, baseline));
                }
                Event::OrderPlaced { order } => {
                    let watched = watched.get(&(&order.rollout, &order.vm)).copied();
                    well_before(history, region, order, record, watched, findings);
                    run_goes_on(history, region, order, record, findings);
                    region_goes_on(history, region, order, record, findings);
                    rollout_goes_on(history, order, record, findings);
                }
                _ => {}
            }
        }
    }
    releases(history, findings);
    retries(history, findings);
    turns(history, findings);
}

/// By position in the region's partition: somebody looked in the same round, lately, and the VM was well.
fn well_before(
    history: &History<'_>,
    region: &RegionName,
    order: &Order,
    record: &Record,
    watched: Option<(&Record, &Baseline)>,
    findings: &mut Findings,
) {
    let run = history.runs.get(region, &order.rollout);
    let started = run.and_then(|run| run.round_at(record.position)).map(|round| round.started);
    let of_round = watched.filter(|(opened, _)| started.is_none_or(|s| s.position < opened.position));
    let policies = history.policies(&order.rollout, record.at);
    let silence = policies.map(|(_, policy)| policy.silence).max().unwrap_or_default();
    let (first, why) = match of_round {
        Some((opened, Baseline::Well | Baseline::Flawed { .. })) if record.at - opened.at > silence => {
            (opened, Some("it was looked at so long before that it may have fallen silent"))
        }
        Some((opened, Baseline::Well | Baseline::Flawed { .. })) => (opened, None),
        Some((opened, Baseline::Ill { .. })) => (opened, Some("it was ill before")),
        Some((opened, Baseline::Unknown { .. })) => (opened, Some("nobody knew how it was before")),
        Some((opened, Baseline::Silent)) => (opened, Some("it was silent before")),
        None => (started.unwrap_or(record), Some("nobody looked how it was before")),
    };
    findings.test(S10, why.is_none(), first, record, || {
        format!("VM {} is ordered, but {}", order.vm, why.unwrap_or_default())
    });
}

/// By position in the region's partition.
fn run_goes_on(
    history: &History<'_>,
    region: &RegionName,
    order: &Order,
    record: &Record,
    findings: &mut Findings,
) {
    let (vm, rollout) = (&order.vm, &order.rollout);
    let run = history.runs.get(region, rollout);
    let by = run.and_then(|run| run.held_at(record.position));
    findings.test(S10, by.is_none(), by.unwrap_or(record), record, || {
        format!("VM {vm} is ordered while the run of rollout {rollout} is on hold")
    });
    let completed = run.and_then(|run| run.round_at(record.position)?.completed);
    let completed = completed.filter(|completed| completed.position < record.position);
    findings.test(S10, completed.is_none(), completed.unwrap_or(record), record, || {
        format!("VM {vm} is ordered after the run of rollout {rollout} was completed")
    });
}

/// By time, for the rollout is in another partition: its coordinator may not have seen yet that it was stopped.
fn rollout_goes_on(history: &History<'_>, order: &Order, record: &Record, findings: &mut Findings) {
    let Some(rollout) = history.rollouts.get(&order.rollout) else { return };
    let lately = rollout.stopped.lately(record.at);
    // Nothing stopped it before the first of these.
    let since_its_start = lately.first().is_some_and(|first| record.at - first.from > LAG);
    let stop = lately.iter().map(|version| version.value).collect::<Option<Vec<_>>>();
    let stop = stop.filter(|_| since_its_start).and_then(|stops| stops.first().copied());
    findings.test(S10, stop.is_none(), stop.unwrap_or(record), record, || {
        let (vm, rollout) = (&order.vm, &order.rollout);
        format!(
            "VM {vm} is ordered more than {} minutes after rollout {rollout} was stopped",
            LAG.num_minutes()
        )
    });
}

/// By time: nobody is ordered in a region that a person took out of the rollout.
fn region_goes_on(
    history: &History<'_>,
    region: &RegionName,
    order: &Order,
    record: &Record,
    findings: &mut Findings,
) {
    let Some(out) = history.rollouts.get(&order.rollout).and_then(|rollout| rollout.skipped(region)) else {
        return;
    };
    findings.test(S10, record.at - out.at <= LAG, out, record, || {
        let (vm, minutes) = (&order.vm, LAG.num_minutes());
        format!("VM {vm} is ordered more than {minutes} minutes after region {region} was taken out")
    });
}

/// By time: a round is cut short, or counts old failures anew, only where a person had the failed tried again as often.
fn retries(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        let asked = |at| history.rollouts.get(rollout).map_or((0, None), |known| known.retries(region, at));
        for round in &run.rounds {
            let (times, last) = asked(round.started.at);
            let told = round.retries as usize;
            findings.test(S10, told <= times, last.unwrap_or(round.started), round.started, || {
                format!("a round of region {region} says that its failed are tried again for the {told}. time; a person asked for {times}")
            });
            let Some(cut) = round.cut else { continue };
            let (times, last) = asked(cut.at);
            findings.test(S10, times > told, last.unwrap_or(round.started), cut, || {
                format!("a round of region {region} is cut short, and no person had the failed tried again")
            });
        }
    }
}

/// By time, for a person's word is in another partition.
fn releases(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        for hold in &run.holds {
            let Some(released) = hold.released else { continue };
            if matches!(released.event, Event::RunStarted { .. }) {
                goes_on_without(history, rollout, hold, released, findings);
                continue;
            }
            findings.test(S10, hold.against.is_none(), hold.against.unwrap_or(released), released, || {
                format!(
                    "the run of rollout {rollout} in region {region} is released, and no person had it go on"
                )
            });
        }
    }
}

/// A run that halted goes into another round without a person's word only where the policy ends the region alone.
fn goes_on_without(
    history: &History<'_>,
    rollout: &RolloutId,
    hold: &Hold<'_>,
    started: &Record,
    findings: &mut Findings,
) {
    let halted = hold.by.last().copied().unwrap_or(started);
    // The policy may have been another when the run ended.
    let mut policies = history.policies(rollout, halted.at).chain(history.policies(rollout, started.at));
    let alone = policies.any(|(_, policy)| policy.on_failure == OnFailure::Continue);
    findings.test(S10, alone, halted, started, || {
        format!("rollout {rollout} starts another round in a region that halted, and no person had it go on")
    });
}

/// By position in partition `rollout`, where stops, a person's word and turns have one order.
fn turns(history: &History<'_>, findings: &mut Findings) {
    let mut stopped = BTreeMap::<&RolloutId, (&Record, bool)>::new();
    for record in &history.rollout {
        let Some(rollout) = rollouts::about(&record.event) else { continue };
        match &record.event {
            Event::PhaseFailed { .. } | Event::RolloutHalted { .. } | Event::RolloutPaused { .. } => {
                let for_good = stopped.get(rollout).is_some_and(|(_, for_good)| *for_good);
                stopped.insert(rollout, (record, for_good));
            }
            Event::RolloutCancelled { .. }
            | Event::RolloutExpired { .. }
            | Event::RolloutCompleted { .. } => {
                stopped.insert(rollout, (record, true));
            }
            Event::RolloutResumed { .. } | Event::RolloutRetried { .. }
                if stopped.get(rollout).is_none_or(|(_, for_good)| !for_good) =>
            {
                stopped.remove(rollout);
            }
            Event::TurnGranted { region, .. } => {
                let by = stopped.get(rollout).map(|(by, _)| *by);
                findings.test(S10, by.is_none(), by.unwrap_or(record), record, || {
                    format!("region {region} is granted a turn while rollout {rollout} is stopped")
                });
            }
            _ => {}
        }
    }
}
