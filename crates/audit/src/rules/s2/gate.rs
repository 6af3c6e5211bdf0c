//! The gate of a phase: what must be so when it passes.

use super::Phases;
use crate::Record;
use crate::allowance;
use crate::findings::Findings;
use crate::lag::LAG;
use crate::report::Rule::S2;
use nightshift_domain::rollout::Tally;
use nightshift_domain::{RegionName, VmId};
use std::collections::{BTreeMap, BTreeSet};

impl<'a> Phases<'_, 'a> {
    pub(super) fn may_pass(&self, phase: u32, record: &Record, findings: &mut Findings) {
        self.has_ended(phase, record, findings);
        self.has_baked(phase, record, findings);
        if self.waived(phase) {
            return;
        }
        let budget = self.policy.map_or(self.history.default_policy.budgets.phase, |(_, p)| p.budgets.phase);
        let accepted = self.accepted.get(&phase).copied().unwrap_or_default();
        let verdict = |what, failed: usize, ordered: usize| {
            // Those that a person accepted stay among the ordered.
            let (failed, healthy) = (failed.saturating_sub(accepted), ordered - failed);
            let allowed = allowance::failures(budget, ordered);
            let who = format!("phase {phase} of rollout {}", self.rollout);
            if failed > allowed {
                return Some(format!(
                    "{who} passes with {failed} of {ordered} VMs failed {what}; {allowed} may"
                ));
            }
            (healthy == 0).then(|| format!("{who} passes with nobody confirmed healthy {what}"))
        };
        // Once by what the planner counted, and once by what the regions' own events say.
        let ended: Vec<_> = self.ended(phase).collect();
        let sum = |of: fn(&Tally) -> u32| ended.iter().map(|(_, tally)| of(tally) as usize).sum::<usize>();
        let (failed, healthy) = (sum(|tally| tally.failed), sum(|tally| tally.healthy));
        if let Some(sentence) = verdict("by the tallies of its turns", failed, failed + healthy) {
            let most = ended.iter().max_by_key(|(_, tally)| tally.failed).map(|(ended, _)| *ended);
            findings.collide(S2, most.unwrap_or(record), record, sentence);
        }
        let settled = self.settled(phase, record);
        let failures: Vec<_> =
            settled.values().filter_map(|(settled, healthy)| (!healthy).then_some(settled)).collect();
        if let Some(sentence) = verdict("as they were settled", failures.len(), settled.len()) {
            let last =
                failures.iter().max_by_key(|settled| (settled.at, &settled.partition, settled.position));
            let ended = ended.last().map_or(record, |(ended, _)| ended);
            findings.collide(S2, last.map_or(ended, |last| last), record, sentence);
        }
    }

    /// Each VM that was ordered in the first turns of the phase and settled: its outcome.
    fn settled(&self, phase: u32, by: &Record) -> BTreeMap<&'a VmId, (&'a Record, bool)> {
        let flights = self.counted(phase).filter_map(|region| self.history.flights.get(region)).flatten();
        let mut settled = BTreeMap::<&VmId, (bool, (&Record, bool))>::new();
        for flight in flights {
            let counts = self.first_turn(flight.region).map_or(u32::MAX, |turn| turn.round);
            let round = flight.round.map_or(counts, |(_, round)| round);
            // Where a person had the failed tried again, one that was silent then is as it was before, or since.
            if flight.order.rollout != *self.rollout || flight.placed.at > by.at || (counts == 1 && round > 1)
            {
                continue;
            }
            let Some(outcome) = flight.settled.zip(flight.healthy()) else { continue };
            // Of what comes after that turn only what the planner must have read is held against it.
            let (settled_at, healthy) = (outcome.0.at, outcome.1);
            let known = if healthy { settled_at } else { settled_at + LAG };
            if round > counts && known > by.at {
                continue;
            }
            let is_told = settled.get(&flight.order.vm).is_some_and(|(of_that_turn, _)| *of_that_turn);
            if round == counts || !is_told {
                settled.insert(&flight.order.vm, (round == counts, outcome));
            }
        }
        settled.into_iter().map(|(vm, (_, outcome))| (vm, outcome)).collect()
    }

    /// How many VMs of the phase had failed by then, in whatever round; by time.
    pub(super) fn ever_failed(&self, phase: u32, by: &Record) -> usize {
        let regions: BTreeSet<_> = self.regions(phase).into_iter().flatten().collect();
        let flights = regions.iter().filter_map(|region| self.history.flights.get(*region)).flatten();
        let failed = flights.filter(|flight| {
            flight.order.rollout == *self.rollout
                && flight.healthy() == Some(false)
                && flight.settled.is_some_and(|settled| settled.at <= by.at)
        });
        failed.map(|flight| &flight.order.vm).collect::<BTreeSet<_>>().len()
    }

    fn has_ended(&self, phase: u32, record: &Record, findings: &mut Findings) {
        for region in self.regions(phase).into_iter().flatten() {
            if self.is_out(region) {
                continue;
            }
            let turn = self.first_turn(region);
            if turn.is_none_or(|turn| turn.ended.is_none()) {
                let first = turn.and_then(|turn| turn.granted).or(self.started.get(&phase).copied());
                let rollout = self.rollout;
                let sentence = format!(
                    "phase {phase} of rollout {rollout} passes before the first turn of region {region} has ended"
                );
                findings.collide(S2, first.unwrap_or(record), record, sentence);
            }
        }
    }

    fn has_baked(&self, phase: u32, record: &Record, findings: &mut Findings) {
        let bake = self.policy.map_or(self.history.default_policy.bake, |(_, policy)| policy.bake);
        let regions = self.regions(phase).into_iter().flatten();
        // One that was taken out before it ended has ended by that.
        let open = regions.filter(|region| self.first_turn(region).is_none_or(|turn| turn.ended.is_none()));
        let out = open.filter_map(|region| self.skipped.get(region).copied());
        let ended = self.ended(phase).map(|(ended, _)| ended).chain(out);
        let last = ended.max_by_key(|ended| (ended.at, ended.position));
        if let Some(ended) = last
            && record.at - ended.at < bake
        {
            let (rollout, minutes) = (self.rollout, bake.num_minutes());
            let sentence = format!(
                "phase {phase} of rollout {rollout} is to bake for {minutes} minutes after its last region"
            );
            findings.collide(S2, ended, record, sentence);
        }
    }

    /// The ends of the first turns of the phase's regions.
    fn ended(&self, phase: u32) -> impl Iterator<Item = (&'a Record, Tally)> {
        self.counted(phase).filter_map(|region| self.first_turn(region)?.ended)
    }

    /// The regions of the phase, but those that a person took out.
    fn counted(&self, phase: u32) -> impl Iterator<Item = &'a RegionName> {
        let regions = self.regions(phase).into_iter().flatten();
        regions.filter(|region| !self.skipped.contains_key(region))
    }

    /// Whether a person took the region out, and it holds no turn.
    fn is_out(&self, region: &RegionName) -> bool {
        let turns = self.turns.get(region).map_or(&[][..], Vec::as_slice);
        self.skipped.contains_key(region) && turns.iter().all(|turn| turn.ended.is_some())
    }
}
