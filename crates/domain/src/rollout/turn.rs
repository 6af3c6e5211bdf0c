//! A phase and the turns of its regions.

use super::Tally;
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
    /// When the newest turn was granted.
    pub granted: Option<Time>,
    /// Whether the region holds its turn now.
    pub held: bool,
    /// When the first turn ended.
    pub first_ended: Option<Time>,
    /// What the first turn came to: the phase's gate goes by it.
    pub first: Tally,
    /// When the newest turn ended.
    pub ended: Option<Time>,
    /// What the newest turn that ended came to; it counts every VM once.
    pub newest: Tally,
    /// What became of each version in the first turn.
    pub patches: Vec<PatchTally>,
    /// The newest round whose run completed, and what it came to; may be ahead of `round` while a log is read anew.
    pub completed: Option<(u32, Tally, Vec<PatchTally>)>,
    /// How often its run halted.
    pub halts: u32,
    /// How often the rollout halted for that.
    pub acknowledged_halts: u32,
    /// Why it last did.
    pub newest_halt: String,
}

impl Turn {
    /// Whether the region holds its turn now.
    pub fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn grant(&mut self, round: u32, at: Time) {
        self.round = round;
        self.granted = Some(at);
        self.held = true;
    }

    pub(super) fn end(&mut self, tally: Tally, patches: &[PatchTally], at: Time) {
        if self.first_ended.is_none() {
            self.first_ended = Some(at);
            self.first = tally;
            self.patches = patches.to_vec();
        }
        self.held = false;
        self.ended = Some(at);
        self.newest = tally;
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

    /// The sum over its regions' first turns.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.turns.values().for_each(|turn| sum += turn.first);
        sum
    }

    /// When the last first turn ended; `None` while one has not.
    pub fn ended(&self) -> Option<Time> {
        let ends: Option<Vec<Time>> = self.turns.values().map(|turn| turn.first_ended).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }
}
