//! A phase and the turns of its regions.

use super::{Actor, Evidence, Tally};
use crate::analysis::Comparison;
use crate::halt::HaltEvidence;
use crate::id::RegionName;
use crate::mind::Time;
use crate::patch::PatchTally;
use crate::plan::PlannedPhase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one phase has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhaseState {
    /// The phase before it has not passed.
    Waiting,
    /// Its regions take their turns; then it bakes.
    Running,
    /// Its gate did not pass.
    Failed,
    /// Its gate passed.
    Passed,
}

/// The turns of one region in a rollout: the first, and those that catch up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Turn {
    /// The newest round; 0 if the region had no turn yet.
    pub round: u32,
    /// When the first turn was granted.
    pub first_granted: Option<Time>,
    /// When the newest turn was granted.
    pub granted: Option<Time>,
    /// Whether the region holds its turn now.
    pub held: bool,
    /// When the first turn ended: the one that the phase's gate goes by. Where a person had the failed tried again
    /// before the phase passed, that is the turn that did.
    pub first_ended: Option<Time>,
    /// What it came to.
    pub first: Tally,
    /// Which round that was; 0 if it has not ended.
    pub first_round: u32,
    /// The round that its run is in, as far as its region's facts are read.
    pub run_round: u32,
    /// When the newest turn ended.
    pub ended: Option<Time>,
    /// What the newest turn that ended came to; it counts every VM once.
    pub newest: Tally,
    /// What became of each version in it, and in those that were tried again.
    pub patches: Vec<PatchTally>,
    /// The newest round whose run completed, and what it came to; may be ahead of `round` while a log is read anew.
    pub completed: Option<(u32, Tally, Vec<PatchTally>)>,
    /// How often its run halted.
    pub halts: u32,
    /// How often the rollout halted for that.
    pub acknowledged_halts: u32,
    /// Why it last did.
    pub newest_halt: String,
    /// And what that rested on.
    pub evidence: HaltEvidence,
    /// When a person asked to have the failed tried again, until the round that does begins.
    pub retry: Option<Time>,
    /// Its patched machines beside machines that were not patched yet.
    pub comparison: Comparison,
    /// Whether the turn that the gate goes by is one that tried the failed again.
    pub redone: bool,
    /// Who took the region out of the rollout, and when.
    pub skipped: Option<(Actor, Time)>,
}

impl Turn {
    /// Whether the region holds its turn now.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Whether a person took the region out.
    pub fn is_skipped(&self) -> bool {
        self.skipped.is_some()
    }

    /// Whether it is to have its first turn.
    pub fn waits_for_its_first(&self) -> bool {
        self.granted.is_none() && !self.is_skipped()
    }

    /// When the region ended for its phase; `None` while it has not.
    pub fn ended_for_gate(&self) -> Option<Time> {
        let out = self.skipped.as_ref().filter(|_| !self.held).map(|(_, at)| *at);
        // Who was tried again is counted by the region's own facts: they must have been read as far as that.
        let is_read =
            !self.redone || self.completed.as_ref().is_some_and(|(round, ..)| *round >= self.first_round);
        self.first_ended.filter(|_| is_read).or(out)
    }

    pub(super) fn grant(&mut self, round: u32, at: Time) {
        self.retry = None;
        self.round = round;
        self.first_granted.get_or_insert(at);
        self.granted = Some(at);
        self.held = true;
    }

    pub(super) fn end(&mut self, round: u32, tally: Tally, patches: &[PatchTally], at: Time) {
        if self.first_ended.is_none() {
            self.patches.extend_from_slice(patches);
            if self.retry.is_none() {
                self.first_ended = Some(at);
                self.first = tally;
                self.first_round = round;
            }
        }
        self.held = false;
        self.ended = Some(at);
        self.newest = tally;
    }

    /// The failed are tried again, at once.
    pub(super) fn retry(&mut self, at: Time, counts_for_gate: bool) {
        self.retry = Some(at);
        if counts_for_gate {
            self.redone = true;
            self.first_ended = None;
            self.first = Tally::default();
            self.first_round = 0;
        }
    }

    pub(super) fn skip(&mut self, actor: &Actor, at: Time) {
        self.retry = None;
        self.skipped.get_or_insert((actor.clone(), at));
    }

    pub(super) fn complete(&mut self, round: u32, tally: Tally, patches: &[PatchTally]) {
        if self.completed.as_ref().is_none_or(|(known, ..)| *known < round) {
            self.completed = Some((round, tally, patches.to_vec()));
        }
    }
}

/// One phase of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What was planned.
    pub planned: PlannedPhase,
    /// What it has come to.
    pub state: PhaseState,
    /// The turns of each of its regions.
    pub turns: BTreeMap<RegionName, Turn>,
    /// Failures that a person accepted by resuming.
    pub accepted: u32,
    /// Whether a person accepted that its gate failed.
    pub gate_waived: bool,
}

impl Phase {
    pub(super) fn waiting(planned: &PlannedPhase) -> Self {
        let turns = planned.regions.iter().map(|r| (r.region.clone(), Turn::default())).collect();
        Self { planned: planned.clone(), state: PhaseState::Waiting, turns, accepted: 0, gate_waived: false }
    }

    /// A person has its failed VMs tried again: what was accepted before is not any more.
    pub(super) fn try_again(&mut self) {
        self.accepted = 0;
        self.gate_waived = false;
        if self.state == PhaseState::Failed {
            self.state = PhaseState::Running;
        }
    }

    /// The sum over its regions' first turns.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.turns.values().for_each(|turn| sum += turn.first);
        sum
    }

    /// What the gate counts: the same without regions that a person took out. Who failed, and was silent when it was to
    /// be tried again, has failed.
    pub fn counted(&self, evidence: &Evidence) -> Tally {
        let mut sum = Tally::default();
        for (region, turn) in self.turns.iter().filter(|(_, turn)| !turn.is_skipped()) {
            sum += turn.first;
            if turn.redone {
                sum.failed += evidence.failing_beside(region, turn.first_round);
            }
        }
        sum
    }

    /// Patched machines of the phase beside machines of it that were not patched yet.
    pub fn comparison(&self) -> Comparison {
        let mut sum = Comparison::default();
        self.turns.values().filter(|turn| !turn.is_skipped()).for_each(|turn| sum += turn.comparison);
        sum
    }

    /// Whether the gate counts this region.
    pub fn counts(&self, region: &RegionName) -> bool {
        self.turns.get(region).is_some_and(|turn| !turn.is_skipped())
    }

    /// When the last region ended; `None` while one has not.
    pub fn ended(&self) -> Option<Time> {
        let ends: Option<Vec<Time>> = self.turns.values().map(Turn::ended_for_gate).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }
}
