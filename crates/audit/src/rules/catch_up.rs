//! S2, the rounds of a region: they follow one another, each after the one before has completed, and a later one is
//! about nobody but VMs that were deferred, failed or not reached in an earlier one; by position in the region's
//! partition.

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S2;
use nightshift_domain::event::Outcome;
use nightshift_domain::layout::Member;
use nightshift_domain::{Event, RolloutId, VmId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for (region, rollout, run) in history.runs.all() {
        let mut before = None;
        for round in &run.rounds {
            let (number, started) = (round.number, round.started);
            let follows = before.is_none_or(|(_, completed): (u32, Option<&Record>)| completed.is_some());
            let first = before.and_then(|(_, completed)| completed);
            let next = before.map_or(1, |(number, _)| number + 1);
            findings.test(S2, follows && number == next, first.unwrap_or(started), started, || {
                format!(
                    "rollout {rollout} starts round {number} in region {region}; round {next} is to follow"
                )
            });
            before = Some((number, round.completed));
        }
    }
    for records in history.regions.values() {
        let mut runs = BTreeMap::<&RolloutId, Left<'_>>::new();
        for record in records {
            if let Some(rollout) = about(&record.event) {
                runs.entry(rollout).or_default().take(record, findings);
            }
        }
    }
}

fn about(event: &Event) -> Option<&RolloutId> {
    match event {
        Event::RunStarted { rollout, .. }
        | Event::RunEnlisted { rollout, .. }
        | Event::VmSkipped { rollout, .. }
        | Event::VmSettled { rollout, .. } => Some(rollout),
        Event::OrderPlaced { order } => Some(&order.rollout),
        _ => None,
    }
}

/// What a run still has to do, up to some position.
#[derive(Default)]
struct Left<'a> {
    round: u32,
    started: Option<&'a Record>,
    /// Each VM that was ever enlisted, and the event that made it one that is done with, if there is one.
    vms: BTreeMap<&'a VmId, Option<&'a Record>>,
}

impl<'a> Left<'a> {
    fn take(&mut self, record: &'a Record, findings: &mut Findings) {
        match &record.event {
            Event::RunStarted { round, .. } => {
                self.round = *round;
                self.started = Some(record);
            }
            Event::RunEnlisted { members, .. } if self.round > 1 => {
                members.iter().for_each(|member| self.enlist(member, record, findings));
            }
            Event::RunEnlisted { members, .. } => {
                self.vms.extend(members.iter().map(|member| (&member.vm, None)));
            }
            Event::OrderPlaced { order } if self.round > 1 => {
                let done = self.vms.get(&order.vm).copied().flatten();
                findings.test(S2, done.is_none(), done.unwrap_or(record), record, || {
                    let (vm, round) = (&order.vm, self.round);
                    format!("VM {vm} is ordered in round {round}, and was done with before")
                });
            }
            Event::VmSettled { vm, outcome: Outcome::Healthy, .. } | Event::VmSkipped { vm, .. } => {
                self.vms.insert(vm, Some(record));
            }
            Event::VmSettled { vm, .. } => {
                self.vms.insert(vm, None);
            }
            _ => {}
        }
    }

    fn enlist(&mut self, member: &'a Member, record: &'a Record, findings: &mut Findings) {
        let known = self.vms.get(&member.vm);
        let first = known.copied().unwrap_or(self.started);
        let left = matches!(known, Some(None));
        findings.test(S2, left, first.unwrap_or(record), record, || {
            let (vm, round) = (&member.vm, self.round);
            let why = if known.is_some() { "was done with before" } else { "was in no round before" };
            format!("VM {vm} is enlisted for round {round}, and {why}")
        });
    }
}
