//! One rollout: its phases, the turns of its regions, the gate of each phase. Facts only; who decides is
//! [`crate::planner`].

use crate::event::Event;
use crate::id::RegionName;
use crate::mind::Time;
use crate::plan::PlannedPhase;
use crate::policy::Policy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who wished something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The person or program.
    pub name: String,
    /// In their own words.
    pub reason: String,
}

/// How many VMs ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Patched and health-confirmed.
    pub healthy: u32,
    /// Ordered, and not so.
    pub failed: u32,
    /// Not to be patched by this rollout.
    pub skipped: u32,
    /// Powered off or silent; next time.
    pub deferred: u32,
}

impl Tally {
    /// VMs that were ordered and settled.
    pub fn ordered(&self) -> u32 {
        self.healthy + self.failed
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.healthy += other.healthy;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.deferred += other.deferred;
    }
}

/// Whether a rollout may go on.
///
/// ```text
/// Running <-> Paused      by a person
/// Running, Paused -> Halted      by the log: a budget is spent
/// Halted -> Running      by a person, who thereby accepts the failures
/// any of these -> Cancelled -> (nothing in flight) Completed
/// Running -> Completed      the last phase passed
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It goes on.
    Running,
    /// A person stopped it for a while.
    Paused,
    /// A failure budget is spent.
    Halted {
        /// Where, if in one region.
        region: Option<RegionName>,
        /// For people.
        why: String,
    },
    /// A person ended it; what is in flight settles.
    Cancelled,
    /// Nothing will happen any more.
    Completed {
        /// Whether it was cancelled before.
        cancelled: bool,
    },
}

/// What one phase has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// One region's turn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Turn {
    /// Since when the region may patch.
    pub granted: Option<Time>,
    /// Why its run halted, until a person resumes.
    pub run_halted: Option<String>,
    /// What its run came to, once it completed.
    pub run_completed: Option<Tally>,
    /// Since when the turn is over.
    pub ended: Option<Time>,
}

impl Turn {
    /// Whether the region holds its turn now.
    pub fn is_held(&self) -> bool {
        self.granted.is_some() && self.ended.is_none()
    }
}

/// One phase of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What was planned.
    pub planned: PlannedPhase,
    /// What it has come to.
    pub state: PhaseState,
    /// The turn of each of its regions.
    pub turns: BTreeMap<RegionName, Turn>,
    /// Whether a person accepted that its gate failed.
    pub gate_waived: bool,
}

impl Phase {
    /// The sum over its regions' completed runs.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.turns.values().filter_map(|turn| turn.run_completed).for_each(|tally| sum += tally);
        sum
    }

    /// When the last turn ended; `None` while one has not.
    pub fn ended(&self) -> Option<Time> {
        let ends: Option<Vec<Time>> = self.turns.values().map(|turn| turn.ended).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }
}

/// One rollout, folded from its facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// How fast, how careful.
    pub policy: Policy,
    /// Who wanted it.
    pub actor: Actor,
    /// When it was asked for.
    pub requested: Time,
    /// When its last fact was recorded.
    pub changed: Time,
    /// Whether it may go on.
    pub status: Status,
    /// Its phases in order.
    pub phases: Vec<Phase>,
}

impl Rollout {
    /// A rollout that was just asked for.
    pub fn requested(policy: Policy, actor: Actor, at: Time) -> Self {
        Self { policy, actor, requested: at, changed: at, status: Status::Running, phases: Vec::new() }
    }

    /// Takes a fact about this rollout, from partition `rollout` or from one of its runs.
    pub fn apply(&mut self, at: Time, region: Option<&RegionName>, event: &Event) {
        self.changed = self.changed.max(at);
        match event {
            Event::RolloutPlanned { phases, .. } => self.phases = phases.iter().map(waiting_phase).collect(),
            Event::PhaseStarted { phase, .. } => self.set_phase(*phase, PhaseState::Running),
            Event::PhasePassed { phase, .. } => self.set_phase(*phase, PhaseState::Passed),
            Event::PhaseFailed { phase, .. } => self.set_phase(*phase, PhaseState::Failed),
            Event::TurnGranted { region, .. } => self.turn(region, |turn| turn.granted = Some(at)),
            Event::TurnEnded { region, .. } => self.turn(region, |turn| turn.ended = Some(at)),
            Event::RolloutHalted { region, why, .. } => {
                self.status = Status::Halted { region: region.clone(), why: why.clone() };
            }
            Event::RolloutPaused { .. } => self.status = Status::Paused,
            Event::RolloutResumed { .. } => self.resume(),
            Event::RolloutCancelled { .. } => self.status = Status::Cancelled,
            Event::RolloutCompleted { .. } => {
                self.status = Status::Completed { cancelled: self.status == Status::Cancelled };
            }
            Event::RunHalted { why, .. } => {
                self.run(region, |turn| turn.run_halted = Some(why.clone()));
            }
            Event::RunCompleted { tally, .. } => self.run(region, |turn| turn.run_completed = Some(*tally)),
            _ => {}
        }
    }

    /// The phase that is under way (its number from 0): the first that has not passed, once it has started.
    pub fn current_phase(&self) -> Option<(u32, &Phase)> {
        let (number, phase) = (0..).zip(&self.phases).find(|(_, phase)| phase.state != PhaseState::Passed)?;
        (phase.state != PhaseState::Waiting).then_some((number, phase))
    }

    /// The sum over all regions.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.phases.iter().for_each(|phase| sum += phase.tally());
        sum
    }

    fn set_phase(&mut self, number: u32, state: PhaseState) {
        if let Some(phase) = self.phases.get_mut(number as usize) {
            phase.state = state;
        }
    }

    fn turn(&mut self, region: &RegionName, change: impl FnOnce(&mut Turn)) {
        if let Some(turn) = self.phases.iter_mut().find_map(|phase| phase.turns.get_mut(region)) {
            change(turn);
        }
    }

    fn run(&mut self, region: Option<&RegionName>, change: impl FnOnce(&mut Turn)) {
        if let Some(region) = region {
            self.turn(region, change);
        }
    }

    fn resume(&mut self) {
        self.status = Status::Running;
        for phase in &mut self.phases {
            phase.turns.values_mut().for_each(|turn| turn.run_halted = None);
            if phase.state == PhaseState::Failed {
                phase.state = PhaseState::Running;
                phase.gate_waived = true;
            }
        }
    }
}

fn waiting_phase(planned: &PlannedPhase) -> Phase {
    let turns = planned.regions.iter().map(|r| (r.region.clone(), Turn::default())).collect();
    Phase { planned: planned.clone(), state: PhaseState::Waiting, turns, gate_waived: false }
}
