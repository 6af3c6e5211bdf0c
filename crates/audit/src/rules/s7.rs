//! S7: a step starts only after the step before it in its lane is health-confirmed within its failure budget; and no
//! order is placed once a budget of a step, a zone or the region is spent, before a release. By position in the
//! region's partition.
//!
//! What counts as failed: a VM that settled badly in this round, unless it had failed in a round before, a person
//! accepted the failure by having the rollout go on, or one of the versions to blame was barred by then.

mod failures;

use crate::Record;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::report::Rule::S7;
use failures::Failures;
use nightshift_domain::event::Outcome;
use nightshift_domain::layout::StepKey;
use nightshift_domain::{AvailabilitySetId, Event, RegionName, RolloutId, VmId, ZoneName};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for (region, records) in &history.regions {
        let flights = history.flights.get(region).map_or(&[][..], Vec::as_slice);
        // Positions are unique in a partition, so an order's event leads to its flight.
        let flights: BTreeMap<u64, &Flight<'_>> = flights.iter().map(|f| (f.placed.position, f)).collect();
        let mut runs = BTreeMap::<&RolloutId, Steps>::new();
        for record in records {
            let rollout = match &record.event {
                Event::RunStarted { rollout, .. }
                | Event::RunEnlisted { rollout, .. }
                | Event::StepStarted { rollout, .. }
                | Event::StepEnded { rollout, .. }
                | Event::VmSettled { rollout, .. }
                | Event::RunReleased { rollout, .. } => rollout,
                Event::OrderPlaced { order } => &order.rollout,
                _ => continue,
            };
            let steps = runs.entry(rollout).or_insert_with(|| Steps::of(history, region, rollout));
            steps.take(record, &flights, findings);
        }
    }
    rounds_keep_the_policy(history, findings);
}

/// Steps of one lane follow one another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane<'a> {
    Set(&'a AvailabilitySetId),
    Standalone,
    Zone(&'a ZoneName),
}

impl<'a> Lane<'a> {
    fn of(key: &'a StepKey) -> Self {
        match key {
            StepKey::UpdateDomain { set, .. } => Lane::Set(set),
            StepKey::Batch(_) => Lane::Standalone,
            StepKey::ZoneBatch { zone, .. } => Lane::Zone(zone),
        }
    }
}

struct Step<'f, 'a> {
    key: &'a StepKey,
    vms: BTreeSet<&'a VmId>,
    started: &'a Record,
    ended: Option<&'a Record>,
    flights: Vec<&'f Flight<'a>>,
}

/// The steps of one run, up to some position.
struct Steps<'h, 'a> {
    history: &'h History<'a>,
    region: &'a RegionName,
    rollout: &'a RolloutId,
    /// The last step of each lane of the round.
    lanes: BTreeMap<Lane<'a>, Step<'h, 'a>>,
    /// The step in which each VM of the round is, as far as steps have started.
    step_of: BTreeMap<&'a VmId, &'a StepKey>,
    failures: Failures<'a>,
}

impl<'h, 'a> Steps<'h, 'a> {
    fn of(history: &'h History<'a>, region: &'a RegionName, rollout: &'a RolloutId) -> Self {
        let failures = Failures::default();
        Self { history, region, rollout, lanes: BTreeMap::new(), step_of: BTreeMap::new(), failures }
    }

    fn take(&mut self, record: &'a Record, flights: &BTreeMap<u64, &'h Flight<'a>>, findings: &mut Findings) {
        match &record.event {
            Event::RunStarted { retries, .. } => {
                self.lanes.clear();
                self.step_of.clear();
                self.failures.begin_round(*retries);
            }
            Event::RunEnlisted { members, .. } => self.failures.enlist(members),
            Event::StepStarted { step, vms, .. } => {
                if let Some(before) = self.lanes.get(&Lane::of(step)) {
                    let (key, started, ended) = (before.key, before.started, before.ended);
                    findings.test(S7, ended.is_some(), started, record, || {
                        format!("step {step} starts before step {key} has ended")
                    });
                    self.failures.step_within_budget(self.history, self.rollout, key, record, findings);
                }
                self.step_of.extend(vms.iter().map(|vm| (vm, step)));
                self.failures.start_step(step, vms.len());
                let vms = vms.iter().collect();
                let step = Step { key: step, vms, started: record, ended: None, flights: Vec::new() };
                self.lanes.insert(Lane::of(step.key), step);
            }
            Event::StepEnded { step, .. } => self.end(step, record, findings),
            Event::OrderPlaced { order } => {
                self.ordered(&order.vm, record, flights, findings);
                self.failures.within_budgets(self.history, self.rollout, record, findings);
            }
            Event::VmSettled { vm, outcome: Outcome::Failed { .. }, blamed, .. } => {
                let step = self.step_of.get(vm).copied();
                self.failures.failed(vm, step, blamed, record);
            }
            Event::RunReleased { .. } => {
                let run = self.history.runs.get(self.region, self.rollout);
                if run.is_some_and(|run| run.accepted_at(record.position)) {
                    self.failures.accept();
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, step: &'a StepKey, record: &'a Record, findings: &mut Findings) {
        let lane = self.lanes.get_mut(&Lane::of(step));
        let Some(open) = lane.filter(|open| open.key == step && open.ended.is_none()) else { return };
        for flight in &open.flights {
            let settled = flight.settled.is_some_and(|settled| settled.position < record.position);
            findings.test(S7, settled, flight.placed, record, || {
                format!("step {step} ends while VM {} is in flight", flight.order.vm)
            });
        }
        open.ended = Some(record);
    }

    fn ordered(
        &mut self,
        vm: &VmId,
        record: &'a Record,
        flights: &BTreeMap<u64, &'h Flight<'a>>,
        findings: &mut Findings,
    ) {
        let step = self.step_of.get(vm).and_then(|step| self.lanes.get_mut(&Lane::of(step)));
        let run = self.history.runs.get(self.region, self.rollout);
        let round = run.and_then(|run| run.round_at(record.position));
        let last = step.as_ref().map(|step| step.ended.unwrap_or(step.started));
        let first = last.or(round.map(|round| round.started)).unwrap_or(record);
        let open = step.filter(|step| step.ended.is_none() && step.vms.contains(vm));
        findings.test(S7, open.is_some(), first, record, || {
            format!("VM {vm} is ordered outside a step that is started, not ended, and contains it")
        });
        if let Some(step) = open {
            step.flights.extend(flights.get(&record.position));
        }
    }
}

/// Each round goes by the policy of its rollout.
fn rounds_keep_the_policy(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        for round in &run.rounds {
            let policies: Vec<_> = history.policies(rollout, round.started.at).collect();
            let Some((Some(said), _)) = policies.last() else { continue };
            let kept = policies.iter().any(|(_, policy)| *policy == round.policy);
            findings.test(S7, kept, said, round.started, || {
                format!(
                    "the run of rollout {rollout} in region {region} has another policy than was asked for"
                )
            });
        }
    }
}
