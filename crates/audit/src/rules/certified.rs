//! S8, the versions that later phases install: each was installed on a VM of the phase that proved it, in a first turn,
//! and that VM was confirmed healthy; no VM of these turns failed with it to blame; and it was not barred before.

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S8;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::patch::PatchState;
use nightshift_domain::{Event, RolloutId};
use std::collections::BTreeMap;

/// A version by name and version, of a rollout and a phase.
type Key<'a> = (&'a RolloutId, u32, &'a str, &'a str);

#[derive(Default)]
struct Proof<'a> {
    healthy: bool,
    failed: Option<&'a Record>,
}

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    let certified = |record: &&&Record| matches!(record.event, Event::PatchesCertified { .. });
    if !history.rollout.iter().any(|record| certified(&record)) {
        return;
    }
    let proofs = proofs(history);
    let mut passed = BTreeMap::<(&RolloutId, u32), &Record>::new();
    for record in &history.rollout {
        match &record.event {
            Event::PhasePassed { rollout, phase, .. } => {
                passed.insert((rollout, *phase), record);
            }
            Event::PatchesCertified { rollout, phase, .. } => {
                let passed = passed.get(&(rollout, *phase)).copied();
                let requested = history.rollouts.get(rollout).and_then(|rollout| rollout.requested());
                findings.test(S8, passed.is_some(), requested.unwrap_or(record), record, || {
                    format!(
                        "versions are certified by phase {phase} of rollout {rollout}, which has not passed"
                    )
                });
                each_is_proved(history, record, passed.unwrap_or(record), &proofs, findings);
            }
            _ => {}
        }
    }
}

fn each_is_proved<'a>(
    history: &History<'a>,
    record: &'a Record,
    passed: &Record,
    proofs: &BTreeMap<Key<'a>, Proof<'a>>,
    findings: &mut Findings,
) {
    let Event::PatchesCertified { rollout, phase, patches } = &record.event else { return };
    let barred = history.rollouts.get(rollout).map_or(&[][..], |rollout| &rollout.barred);
    for patch in patches {
        let proof = proofs.get(&(rollout, *phase, patch.name.as_str(), patch.version.as_str()));
        let before = |(by, version): &&(&Record, &_)| *version == patch && by.position < record.position;
        let wrong = match (barred.iter().find(before), proof) {
            (Some((by, _)), _) => Some((*by, "it was barred")),
            (None, Some(Proof { failed: Some(failed), .. })) => {
                Some((*failed, "a VM failed with it to blame"))
            }
            (None, Some(Proof { healthy: true, .. })) => None,
            (None, _) => Some((passed, "no VM that installed it was confirmed healthy")),
        };
        findings.test(S8, wrong.is_none(), wrong.map_or(record, |(first, _)| first), record, || {
            let why = wrong.map(|(_, why)| why).unwrap_or_default();
            format!("{patch} is certified by phase {phase} of rollout {rollout}, but {why}")
        });
    }
}

fn proofs<'a>(history: &History<'a>) -> BTreeMap<Key<'a>, Proof<'a>> {
    let mut proofs = BTreeMap::<Key<'a>, Proof<'a>>::new();
    for flight in history.all_flights() {
        let (Some((phase, round)), Some(settled)) = (flight.round, flight.settled) else { continue };
        let rollout = &flight.order.rollout;
        let counts = history.rollouts.get(rollout).map_or(1, |known| known.gate_round(flight.region));
        if round > counts {
            continue;
        }
        let key = |name: &'a String, version: &'a String| (rollout, phase, name.as_str(), version.as_str());
        if flight.healthy() == Some(true) {
            for patch in report(flight.finished).into_iter().flat_map(|report| &report.patches) {
                if patch.state == PatchState::Installed {
                    proofs.entry(key(&patch.name, &patch.version)).or_default().healthy = true;
                }
            }
        } else if let Event::VmSettled { blamed, .. } = &settled.event {
            for blame in blamed {
                let proof = proofs.entry(key(&blame.patch.name, &blame.patch.version)).or_default();
                proof.failed.get_or_insert(settled);
            }
        }
    }
    proofs
}

fn report(finished: Option<&Record>) -> Option<&InstallReport> {
    match &finished?.event {
        Event::OrderFinished { result, .. } => Some(result),
        _ => None,
    }
}
