//! S7: a step starts only after the step before it in its lane is health-confirmed within its failure budget; by
//! position in the region's partition.

use crate::Record;
use crate::allowance;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::report::Rule::S7;
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
                Event::StepStarted { rollout, .. } | Event::StepEnded { rollout, .. } => rollout,
                Event::OrderPlaced { order } => &order.rollout,
                _ => continue,
            };
            let steps = runs.entry(rollout).or_insert_with(|| Steps::of(history, region, rollout));
            steps.take(record, &flights, findings);
        }
    }
    runs_keep_the_policy(history, findings);
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
    /// The last step of each lane.
    lanes: BTreeMap<Lane<'a>, Step<'h, 'a>>,
    /// The lane of the last step that contains the VM.
    lane_of: BTreeMap<&'a VmId, Lane<'a>>,
}

impl<'h, 'a> Steps<'h, 'a> {
    fn of(history: &'h History<'a>, region: &'a RegionName, rollout: &'a RolloutId) -> Self {
        Self { history, region, rollout, lanes: BTreeMap::new(), lane_of: BTreeMap::new() }
    }

    fn take(&mut self, record: &'a Record, flights: &BTreeMap<u64, &'h Flight<'a>>, findings: &mut Findings) {
        match &record.event {
            Event::StepStarted { step, vms, .. } => {
                if let Some(before) = self.lanes.get(&Lane::of(step)) {
                    self.may_follow(before, step, record, findings);
                }
                self.lane_of.extend(vms.iter().map(|vm| (vm, Lane::of(step))));
                let vms = vms.iter().collect();
                let step = Step { key: step, vms, started: record, ended: None, flights: Vec::new() };
                self.lanes.insert(Lane::of(step.key), step);
            }
            Event::StepEnded { step, .. } => {
                let open = self
                    .lanes
                    .get_mut(&Lane::of(step))
                    .filter(|open| open.key == step && open.ended.is_none());
                let Some(open) = open else { return };
                for flight in &open.flights {
                    let settled = flight.settled.is_some_and(|settled| settled.position < record.position);
                    findings.test(S7, settled, flight.placed, record, || {
                        format!("step {step} ends while VM {} is in flight", flight.order.vm)
                    });
                }
                open.ended = Some(record);
            }
            Event::OrderPlaced { order } => {
                let step = self.lane_of.get(&order.vm).and_then(|lane| self.lanes.get_mut(lane));
                let started =
                    || self.history.runs.get(self.region, self.rollout).and_then(|run| run.started());
                let last = step.as_ref().map(|step| step.ended.unwrap_or(step.started));
                let open = step.filter(|step| step.ended.is_none() && step.vms.contains(&order.vm));
                findings.test(S7, open.is_some(), last.or_else(started).unwrap_or(record), record, || {
                    format!(
                        "VM {} is ordered outside a step that is started, not ended, and contains it",
                        order.vm
                    )
                });
                if let Some(step) = open {
                    step.flights.extend(flights.get(&record.position));
                }
            }
            _ => {}
        }
    }

    fn may_follow(&self, before: &Step<'_, '_>, step: &StepKey, record: &Record, findings: &mut Findings) {
        findings.test(S7, before.ended.is_some(), before.started, record, || {
            format!("step {step} starts before step {} has ended", before.key)
        });
        if before.ended.is_none() {
            return;
        }
        let run = self.history.runs.get(self.region, self.rollout);
        let released = run.and_then(|run| run.released_before(record.position));
        // Of each VM the last outcome. What failed before a person had the run go on is accepted thereby.
        let outcomes: BTreeMap<_, _> =
            before.flights.iter().map(|f| (&f.order.vm, (f.settled, f.healthy()))).collect();
        let failures = outcomes
            .values()
            .filter_map(|(settled, healthy)| (*healthy == Some(false)).then_some(*settled)?);
        let failures: Vec<_> =
            failures.filter(|failure| released.is_none_or(|released| failure.position > released)).collect();
        let budget = allowance::failures(self.history.policy(self.region, self.rollout), outcomes.len());
        let last = failures.iter().max_by_key(|failure| failure.position).copied().unwrap_or(before.started);
        findings.test(S7, failures.len() <= budget, last, record, || {
            let (failed, ordered, key) = (failures.len(), outcomes.len(), before.key);
            format!(
                "step {step} starts after {failed} of {ordered} VMs failed in {key}; its budget is {budget}"
            )
        });
    }
}

/// The budgets of a run are those that were asked for.
fn runs_keep_the_policy(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        if let Some((requested, policy)) = history.rollouts.requested(rollout)
            && let Some(started) = run.started()
        {
            findings.test(S7, run.policy() == Some(policy), requested, started, || {
                format!(
                    "the run of rollout {rollout} in region {region} has another policy than was asked for"
                )
            });
        }
    }
}
