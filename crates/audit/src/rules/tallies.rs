//! S7 and S2: what is counted is what happened. A step's and a run's tally are those of the VMs' own events (S7), a
//! turn's is its run's, a phase's and a rollout's are the sums of their turns' (S2).

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::{S2, S7};
use nightshift_domain::event::Outcome;
use nightshift_domain::layout::StepKey;
use nightshift_domain::rollout::Tally;
use nightshift_domain::{Event, RegionName, RolloutId, VmId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    let mut completed = BTreeMap::new();
    for (region, records) in &history.regions {
        let mut runs = BTreeMap::<&RolloutId, Standings<'_>>::new();
        for record in records {
            let rollout = match &record.event {
                Event::RunEnlisted { rollout, .. }
                | Event::StepStarted { rollout, .. }
                | Event::StepEnded { rollout, .. }
                | Event::VmDeferred { rollout, .. }
                | Event::VmSkipped { rollout, .. }
                | Event::VmSettled { rollout, .. }
                | Event::RunCut { rollout, .. }
                | Event::RunStarted { rollout, .. } => rollout,
                Event::RunCompleted { rollout, round, tally, .. } => {
                    completed.entry((*region, rollout, *round)).or_insert((*record, *tally));
                    rollout
                }
                _ => continue,
            };
            runs.entry(rollout).or_default().take(record, findings);
        }
    }
    sums(history, &completed, findings);
}

const FAILED: Tally = Tally { healthy: 0, failed: 1, skipped: 0, deferred: 0 };
const SKIPPED: Tally = Tally { healthy: 0, failed: 0, skipped: 1, deferred: 0 };

/// Where a VM stands in a run.
#[derive(Clone, Copy)]
enum Standing<'a> {
    /// To be reached. If it is not, it counts so: as skipped in its first round, later as what it was before.
    Open(Tally),
    /// It ended so, and the event that says so.
    Ended(&'a Record, Tally),
}

impl Standing<'_> {
    /// What it counts as, if it counts.
    fn tally(&self) -> Tally {
        match self {
            Standing::Open(_) => Tally::default(),
            Standing::Ended(_, tally) => *tally,
        }
    }
}

/// The VMs of a run, up to some position.
#[derive(Default)]
struct Standings<'a> {
    vms: BTreeMap<&'a VmId, Standing<'a>>,
    /// What those that ended came to.
    sum: Tally,
    /// VMs that are to be reached, and VMs that failed in some round.
    open: BTreeSet<&'a VmId>,
    ever_failed: BTreeSet<&'a VmId>,
    last: Option<&'a Record>,
    steps: BTreeMap<&'a StepKey, (&'a Record, &'a [VmId])>,
}

impl<'a> Standings<'a> {
    fn take(&mut self, record: &'a Record, findings: &mut Findings) {
        match &record.event {
            Event::RunStarted { .. } => self.steps.clear(),
            Event::RunEnlisted { members, .. } => {
                members.iter().for_each(|member| self.enlist(&member.vm));
            }
            Event::StepStarted { step, vms, .. } => {
                self.steps.insert(step, (record, vms));
            }
            Event::VmDeferred { vm, .. } => self.end(vm, record, Tally { deferred: 1, ..Tally::default() }),
            Event::VmSkipped { vm, .. } => self.end(vm, record, Tally { skipped: 1, ..Tally::default() }),
            Event::VmSettled { vm, outcome, .. } => {
                let healthy = u32::from(*outcome == Outcome::Healthy);
                self.end(vm, record, Tally { healthy, failed: 1 - healthy, ..Tally::default() });
            }
            Event::RunCut { .. } => {
                for vm in std::mem::take(&mut self.open) {
                    self.stand(vm, Standing::Ended(record, Tally { deferred: 1, ..Tally::default() }));
                }
            }
            Event::StepEnded { step, tally, .. } => self.step_ended(step, *tally, record, findings),
            Event::RunCompleted { tally, .. } => self.completed(*tally, record, findings),
            _ => {}
        }
    }

    fn enlist(&mut self, vm: &'a VmId) {
        let unreached = match self.vms.get(vm) {
            _ if self.ever_failed.contains(vm) => FAILED,
            Some(Standing::Ended(_, before) | Standing::Open(before)) => *before,
            None => SKIPPED,
        };
        self.stand(vm, Standing::Open(unreached));
        self.open.insert(vm);
    }

    fn end(&mut self, vm: &'a VmId, record: &'a Record, tally: Tally) {
        self.last = Some(record);
        if self.vms.contains_key(vm) {
            self.stand(vm, Standing::Ended(record, tally));
            self.open.remove(vm);
            if tally.failed > 0 {
                self.ever_failed.insert(vm);
            }
        }
    }

    fn stand(&mut self, vm: &'a VmId, standing: Standing<'a>) {
        self.sum += standing.tally();
        let before = self.vms.insert(vm, standing).map(|before| before.tally()).unwrap_or_default();
        self.sum.healthy -= before.healthy;
        self.sum.failed -= before.failed;
        self.sum.skipped -= before.skipped;
        self.sum.deferred -= before.deferred;
    }

    fn step_ended(&self, step: &StepKey, told: Tally, record: &Record, findings: &mut Findings) {
        let Some((started, vms)) = self.steps.get(step) else { return };
        let mut sum = Tally::default();
        let mut last = *started;
        let known = vms.iter().filter_map(|vm| self.vms.get(vm));
        for standing in known {
            let ended = matches!(standing, Standing::Ended(..));
            findings.test(S7, ended, started, record, || {
                format!("step {step} ends before each of its VMs is settled, skipped or deferred")
            });
            if let Standing::Ended(said, tally) = standing {
                sum += *tally;
                last = if said.position > last.position { said } else { last };
            }
        }
        findings.test(S7, sum == told, last, record, || {
            format!("step {step} ends with {told:?}, and came to {sum:?}")
        });
    }

    fn completed(&mut self, told: Tally, record: &'a Record, findings: &mut Findings) {
        let last = self.last.unwrap_or(record);
        for vm in std::mem::take(&mut self.open) {
            if let Some(Standing::Open(unreached)) = self.vms.get(vm).copied() {
                self.stand(vm, Standing::Ended(record, unreached));
            }
        }
        let sum = self.sum;
        findings.test(S7, sum == told, last, record, || {
            format!("a run completes with {told:?}, and came to {sum:?}")
        });
    }
}

type Completed<'a> = BTreeMap<(&'a RegionName, &'a RolloutId, u32), (&'a Record, Tally)>;

/// The turns of a rollout, up to some position.
#[derive(Default)]
struct Sums<'a> {
    last: Option<&'a Record>,
    /// Of each region what its first turn came to, with the phase, and what its newest did.
    first: BTreeMap<&'a RegionName, (u32, Tally)>,
    /// The phase of each region's newest turn, and whether that goes on.
    phases: BTreeMap<&'a RegionName, (u32, bool)>,
    passed: BTreeSet<u32>,
    /// Regions whose turn goes on, and does not count: a person had the failed tried again meanwhile.
    redone: BTreeSet<&'a RegionName>,
    newest: BTreeMap<&'a RegionName, Tally>,
}

fn sums<'a>(history: &History<'a>, completed: &Completed<'a>, findings: &mut Findings) {
    let mut rollouts = BTreeMap::<&RolloutId, Sums<'_>>::new();
    for record in &history.rollout {
        match &record.event {
            Event::TurnEnded { rollout, phase, region, round, tally, .. } => {
                // A turn that ends before its run is completed is S1's to tell.
                if let Some((said, sum)) = completed.get(&(region, rollout, *round)) {
                    findings.test(S2, sum == tally, said, record, || {
                        format!(
                            "the turn of region {region} ends with {tally:?}, and its run came to {sum:?}"
                        )
                    });
                }
                let sums = rollouts.entry(rollout).or_default();
                sums.last = Some(record);
                sums.turn_ended(region, *phase, *tally);
                sums.newest.insert(region, *tally);
            }
            Event::TurnGranted { rollout, phase, region, .. } => {
                rollouts.entry(rollout).or_default().phases.insert(region, (*phase, true));
            }
            Event::RolloutRetried { rollout, regions, .. } => {
                rollouts.entry(rollout).or_default().try_again(regions);
            }
            Event::PhasePassed { rollout, phase, tally }
            | Event::PhaseFailed { rollout, phase, tally, .. } => {
                let sums = rollouts.entry(rollout).or_default();
                let of_phase = sums.first.values().filter(|(of, _)| of == phase).map(|(_, tally)| *tally);
                sums.test(sum(of_phase), *tally, record, findings);
                if matches!(record.event, Event::PhasePassed { .. }) {
                    sums.passed.insert(*phase);
                }
            }
            Event::RolloutCompleted { rollout, tally } => {
                let sums = rollouts.entry(rollout).or_default();
                sums.test(sum(sums.newest.values().copied()), *tally, record, findings);
            }
            _ => {}
        }
    }
}

impl<'a> Sums<'a> {
    fn turn_ended(&mut self, region: &'a RegionName, phase: u32, tally: Tally) {
        self.phases.insert(region, (phase, false));
        if !self.redone.remove(region) {
            self.first.entry(region).or_insert((phase, tally));
        }
    }

    fn try_again(&mut self, regions: &'a [RegionName]) {
        for region in regions {
            let Some((phase, goes_on)) = self.phases.get(region).copied() else { continue };
            if !self.passed.contains(&phase) {
                self.first.remove(region);
                if goes_on {
                    self.redone.insert(region);
                }
            }
        }
    }

    fn test(&self, sum: Tally, told: Tally, record: &Record, findings: &mut Findings) {
        findings.test(S2, sum == told, self.last.unwrap_or(record), record, || {
            format!("a phase or a rollout ends with {told:?}, and its turns came to {sum:?}")
        });
    }
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.for_each(|tally| sum += tally);
    sum
}
