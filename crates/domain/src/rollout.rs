//! One rollout: its phases, the turns of its regions, the gate of each phase. Facts only; who decides is
//! [`crate::planner`].

mod bake;
mod evidence;
mod turn;

pub use bake::{Bakes, Baking};
pub use evidence::{Evidence, Tried};
pub use turn::{Phase, PhaseState, Turn};

use crate::event::Event;
use crate::halt::HaltEvidence;
use crate::id::{RegionName, VmId};
use crate::mind::Time;
use crate::on_demand::{LONGEST_TURN, OnDemand};
use crate::policy::Policy;
use crate::run::patched;
use crate::selection::PackageVersion;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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

    /// VMs that a later round tries again.
    pub fn left(&self) -> u32 {
        self.failed + self.deferred
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
/// Halted -> Running      by a person, who thereby accepts the failures, or has the failed tried again
/// any of these -> Cancelled, Expired -> (nothing in flight) Completed
/// Running -> Completed      the last phase passed, and nobody is left to catch up with
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
    /// Its deadline is over; what is in flight settles.
    Expired,
    /// Nothing will happen any more.
    Completed {
        /// How it came to that.
        ended: Ended,
    },
}

/// How a rollout came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// Every phase passed.
    Passed,
    /// A person cancelled it.
    Cancelled,
    /// Its deadline was over first.
    Expired,
}

/// One rollout, folded from its facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// How fast, how careful; as it is now.
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
    /// Phases that a person let start.
    pub approved: BTreeSet<u32>,
    /// Versions that the first phases proved.
    pub certified: BTreeSet<PackageVersion>,
    /// Versions that no order installs any more.
    pub barred: BTreeSet<PackageVersion>,
    /// What is known of each version.
    pub evidence: Evidence,
    /// What its newest halt rests on, and in which phase (from 0) it was.
    pub evidence_of_halt: HaltEvidence,
    /// See there.
    pub halted_phase: Option<u32>,
    /// What the policy's queries say while a phase bakes.
    pub bakes: Bakes,
    /// Present if a person asked for it, on one VM.
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
}

impl Rollout {
    /// A rollout that was just asked for.
    pub fn requested(policy: Policy, actor: Actor, at: Time) -> Self {
        Self {
            policy,
            actor,
            requested: at,
            changed: at,
            status: Status::Running,
            phases: Vec::new(),
            approved: BTreeSet::new(),
            certified: BTreeSet::new(),
            barred: BTreeSet::new(),
            evidence: Evidence::default(),
            evidence_of_halt: HaltEvidence::default(),
            halted_phase: None,
            bakes: Bakes::default(),
            on_demand: None,
        }
    }

    /// The same, for one VM alone.
    pub fn on_demand(self, on_demand: Option<OnDemand>) -> Self {
        Self { on_demand, ..self }
    }

    /// Whether the rollout may concern the VM at all.
    pub fn concerns(&self, vm: &VmId) -> bool {
        self.on_demand.as_ref().is_none_or(|on_demand| on_demand.vm == *vm)
    }

    /// Takes a fact about this rollout, from partition `rollout` or from one of its runs.
    pub fn apply(&mut self, at: Time, region: Option<&RegionName>, event: &Event) {
        self.changed = self.changed.max(at);
        match event {
            Event::RolloutPlanned { phases, .. } => self.phases = phases.iter().map(Phase::waiting).collect(),
            Event::PhaseStarted { phase, .. } => self.set_phase(*phase, PhaseState::Running),
            Event::PhasePassed { phase, .. } => self.set_phase(*phase, PhaseState::Passed),
            Event::PhaseFailed { phase, .. } => self.set_phase(*phase, PhaseState::Failed),
            Event::TurnGranted { region, round, .. } => self.turn(region, |turn| turn.grant(*round, at)),
            Event::TurnEnded { region, round, tally, patches, .. } => {
                self.turn(region, |turn| turn.end(*round, *tally, patches, at));
            }
            Event::RolloutHalted { phase, region, why, evidence, .. } => {
                self.evidence_of_halt = evidence.clone();
                self.halted_phase = Some(*phase);
                self.status = Status::Halted { region: region.clone(), why: why.clone() };
                self.run(region.as_ref(), |turn| turn.acknowledged_halts += 1);
            }
            Event::RolloutPaused { .. } => self.status = Status::Paused,
            Event::RolloutResumed { accepted, .. } => self.resume(*accepted),
            Event::RolloutRetried { regions, .. } => self.retry(regions, at),
            Event::RegionSkipped { region, actor, .. } => self.turn(region, |turn| turn.skip(actor, at)),
            Event::RolloutCancelled { .. } => self.status = Status::Cancelled,
            Event::RolloutExpired { .. } => self.status = Status::Expired,
            Event::RolloutCompleted { .. } => {
                let ended = match self.status {
                    Status::Cancelled => Ended::Cancelled,
                    Status::Expired => Ended::Expired,
                    _ => Ended::Passed,
                };
                self.status = Status::Completed { ended };
            }
            Event::PolicyChanged { policy, .. } => self.policy = policy.clone(),
            Event::PhaseApproved { phase, .. } => {
                self.approved.insert(*phase);
            }
            Event::PatchesCertified { patches, .. } => self.certified.extend(patches.iter().cloned()),
            Event::PatchBarred { patch, .. } => {
                self.barred.insert(patch.clone());
            }
            Event::RunHalted { why, evidence, .. } => self.run(region, |turn| {
                turn.halts += 1;
                turn.newest_halt.clone_from(why);
                turn.evidence.clone_from(evidence);
            }),
            Event::RunCompleted { round, tally, patches, .. } => {
                self.run(region, |turn| turn.complete(*round, *tally, patches));
            }
            Event::RunStarted { round, .. } => self.run(region, |turn| turn.run_round = *round),
            Event::VmSettled { vm, outcome, blamed, .. } => {
                if let Some(region) = region {
                    let turn = self.phases.iter().find_map(|phase| phase.turns.get(region));
                    let round = turn.map_or(0, |turn| turn.run_round);
                    self.evidence.settled(region, round, vm, outcome, blamed);
                }
                self.run(region, |turn| turn.comparison += patched(outcome, blamed));
            }
            Event::ControlsJudged { ill, well, .. } => self.run(region, |turn| {
                turn.comparison.control_ill += ill;
                turn.comparison.control_well += well;
            }),
            Event::StepEnded { tally, patches, .. } => self.evidence.step_ended(*tally, patches),
            Event::BakeWatchRequested { .. }
            | Event::BakeConfirmed { .. }
            | Event::BakeFailed { .. }
            | Event::BakeUnknown { .. } => self.bakes.apply(at, region, event),
            _ => {}
        }
    }

    /// The phase that is under way (its number from 0): the first that has not passed, once it has started.
    pub fn current_phase(&self) -> Option<(u32, &Phase)> {
        let (number, phase) = (0..).zip(&self.phases).find(|(_, phase)| phase.state != PhaseState::Passed)?;
        (phase.state != PhaseState::Waiting).then_some((number, phase))
    }

    /// VMs of the phase under way that failed, as far as is known.
    pub fn failures_of_phase(&self) -> u32 {
        let Some((_, phase)) = self.current_phase() else { return 0 };
        self.evidence.failed_in(|region| phase.counts(region))
    }

    /// Whether every phase has passed.
    pub fn all_passed(&self) -> bool {
        self.phases.iter().all(|phase| phase.state == PhaseState::Passed)
    }

    /// When nothing new starts any more.
    pub fn deadline(&self) -> Time {
        match &self.on_demand {
            None => self.requested + Duration::days(i64::from(self.policy.deadline_days)),
            // Once it has its turn, its run sees to it that nothing begins too late.
            Some(on_demand) if self.turns().any(|(_, _, turn)| turn.granted.is_some()) => {
                on_demand.not_after + LONGEST_TURN
            }
            Some(on_demand) => on_demand.not_after,
        }
    }

    /// The newest sum over all regions.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.turns().for_each(|(_, _, turn)| sum += turn.newest);
        sum
    }

    /// Every turn, with its phase and region.
    pub fn turns(&self) -> impl Iterator<Item = (u32, &RegionName, &Turn)> {
        let phases = (0..).zip(&self.phases);
        phases
            .flat_map(|(number, phase)| phase.turns.iter().map(move |(region, turn)| (number, region, turn)))
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

    /// Failures of the phase under way count anew.
    fn retry(&mut self, regions: &[RegionName], at: Time) {
        self.status = Status::Running;
        self.bakes.try_again();
        if let Some(phase) = self.phases.iter_mut().find(|phase| phase.state != PhaseState::Passed) {
            phase.try_again();
        }
        for phase in &mut self.phases {
            let open = phase.state != PhaseState::Passed;
            let tried = phase.turns.iter_mut().filter(|(region, _)| regions.contains(region));
            tried.for_each(|(_, turn)| turn.retry(at, open));
        }
    }

    fn resume(&mut self, accepted: u32) {
        self.status = Status::Running;
        if let Some(phase) = self.phases.iter_mut().find(|phase| phase.state != PhaseState::Passed) {
            phase.accepted = phase.accepted.max(accepted);
        }
        for phase in self.phases.iter_mut().filter(|phase| phase.state == PhaseState::Failed) {
            phase.state = PhaseState::Running;
            phase.gate_waived = true;
        }
    }
}
