//! S7, the versions that excuse failures: a version is barred only when as many VMs as the event says had failed with
//! it to blame by then, and as many as the policy's circuit breaker asks for; by time, for the failures are in other
//! partitions.

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S7;
use nightshift_domain::selection::PackageVersion;
use nightshift_domain::{Event, RolloutId, VmId};
use std::collections::{BTreeMap, BTreeSet};

type Blamed<'a> = BTreeMap<(&'a RolloutId, &'a PackageVersion), Vec<(&'a Record, &'a VmId)>>;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    let barred = |record: &&&Record| matches!(record.event, Event::PatchBarred { .. });
    if history.rollout.iter().any(|record| barred(&record)) {
        let blamed = blamed(history);
        history.rollout.iter().filter(barred).for_each(|record| founded(history, record, &blamed, findings));
    }
}

fn blamed<'a>(history: &History<'a>) -> Blamed<'a> {
    let mut blamed = Blamed::new();
    for record in history.regions.values().flatten() {
        if let Event::VmSettled { rollout, vm, blamed: blames, .. } = &record.event {
            for blame in blames {
                blamed.entry((rollout, &blame.patch)).or_default().push((record, vm));
            }
        }
    }
    blamed
}

fn founded(history: &History<'_>, record: &Record, blamed: &Blamed<'_>, findings: &mut Findings) {
    let Event::PatchBarred { rollout, patch, failed, tried, .. } = &record.event else { return };
    let by_then =
        blamed.get(&(rollout, patch)).into_iter().flatten().filter(|(said, _)| said.at <= record.at);
    let (said, vms): (Vec<&Record>, BTreeSet<&VmId>) = by_then.copied().unzip();
    let requested = history.rollouts.get(rollout).and_then(|rollout| rollout.requested());
    let first = said.last().copied().or(requested).unwrap_or(record);
    findings.test(S7, vms.len() >= *failed as usize, first, record, || {
        format!("{patch} is barred for {failed} VMs, and {} failed with it to blame", vms.len())
    });
    let share = |percent: u8| u64::from(*failed) * 100 >= u64::from(*tried) * u64::from(percent);
    let mut breakers = history.policies(rollout, record.at).map(|(_, policy)| policy.breaker);
    let enough = breakers.any(|b| b.failures > 0 && *failed >= b.failures && share(b.percent));
    findings.test(S7, enough, first, record, || {
        format!("{patch} is barred for {failed} of {tried} VMs, which the policy's breaker does not bar")
    });
}
