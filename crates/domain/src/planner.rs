//! The mind of rollout-planner: the fleet, every rollout, who holds a turn, and the monthly rhythm.
//!
//! All its decisions rest on the whole of partition `rollout` (one [`Chain`]), so that two planners can never both
//! grant a turn: the second one's append fails.

mod breaker;
mod gate;
mod install;
mod turns;
mod wishes;

use crate::event::{Chain, Event, Partition};
use crate::fleet::Fleet;
use crate::id::{RegionName, RolloutId};
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::policy::{Approvals, OnFailure};
use crate::rhythm::Rhythm;
use crate::rollout::{PhaseState, Rollout, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use turns::Turns;

pub(crate) use turns::catch_up_due;

/// The account of rollout-planner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Planner {
    /// The fleet that rollouts are planned for.
    pub fleet: Fleet,
    /// Every rollout there ever was.
    pub rollouts: BTreeMap<RolloutId, Rollout>,
    /// When rollouts start by themselves.
    pub rhythm: Option<Rhythm>,
    /// Since when they do: nothing that was due before is made up for.
    rhythm_since: Option<Time>,
}

impl Mind for Planner {
    fn apply(&mut self, fact: &Fact) {
        self.fleet.apply(fact);
        match &fact.event {
            Event::RolloutRequested { rollout, policy, actor, on_demand } => {
                let requested = Rollout::requested(policy.clone(), actor.clone(), fact.at);
                let requested = requested.on_demand(on_demand.clone());
                self.rollouts.insert(rollout.clone(), requested);
            }
            Event::RhythmDeclared { rhythm, .. } => {
                self.rhythm.clone_from(rhythm);
                self.rhythm_since = Some(fact.at);
            }
            event => {
                if let Some(rollout) = about_rollout(event).and_then(|id| self.rollouts.get_mut(id)) {
                    rollout.apply(fact.at, fact.region(), event);
                }
            }
        }
    }

    fn decide(&self, now: Time) -> Vec<Decision> {
        let mut decisions = as_decision(Partition::Fleet, self.fleet.registrations());
        let mut events: Vec<Event> =
            self.rollouts.iter().flat_map(|(id, rollout)| next(id, rollout, now)).collect();
        // Turns rest on what has become of the rollouts: no turn beside a halt.
        if events.is_empty() {
            events.extend(Turns::of(self).grant(self, now));
            events.extend(self.monthly(now));
        }
        decisions.extend(as_decision(Partition::Rollout, events));
        decisions
    }

    fn next_wake(&self, now: Time) -> Option<Time> {
        let open =
            self.rollouts.values().filter(|rollout| !matches!(rollout.status, Status::Completed { .. }));
        let of_rollouts = open.flat_map(|rollout| {
            let baked = rollout.current_phase().and_then(|(_, phase)| phase.ended());
            let baked = baked.map(|ended| ended + rollout.policy.bake);
            let asked = rollout.bake_overdue();
            baked.into_iter().chain(asked).chain([rollout.deadline()]).chain(turns::catch_ups_due(rollout))
        });
        let monthly = self.rhythm.as_ref().and_then(|rhythm| rhythm.next(now));
        of_rollouts.chain(monthly).filter(|at| *at > now).min()
    }

    fn follows(&self) -> Vec<Follow> {
        let regions = self.fleet.topology.regions.keys();
        let of_region = |region: &RegionName| {
            ["run", "bake"].map(|kind| Follow::kind(Partition::Region(region.clone()), kind))
        };
        [Follow::all(Partition::Fleet), Follow::all(Partition::Rollout)]
            .into_iter()
            .chain(regions.flat_map(of_region))
            .collect()
    }
}

/// What follows for one rollout from the facts and the time; turns are granted over all rollouts together.
fn next(id: &RolloutId, rollout: &Rollout, now: Time) -> Vec<Event> {
    if matches!(rollout.status, Status::Completed { .. }) {
        return Vec::new();
    }
    let mut events = turns::ended(id, rollout);
    let held = rollout.turns().any(|(_, _, turn)| turn.is_held());
    match &rollout.status {
        Status::Cancelled | Status::Expired => {
            if !held {
                events.push(Event::RolloutCompleted { rollout: id.clone(), tally: rollout.tally() });
            }
            return events;
        }
        _ if now >= rollout.deadline() => {
            let why = match &rollout.on_demand {
                Some(on_demand) => {
                    let by = on_demand.not_after.format("%F %R UTC");
                    format!("it could not begin by {by}: a geo-pair of its region had VMs to patch")
                }
                None => format!("its {} days are over", rollout.policy.deadline_days),
            };
            events.push(Event::RolloutExpired { rollout: id.clone(), why });
            return events;
        }
        _ => {}
    }
    let barred = breaker::tripped(id, rollout);
    if !barred.is_empty() {
        events.extend(barred);
        return events;
    }
    let halts = halts(id, rollout);
    if !halts.is_empty() {
        events.extend(halts);
    } else if rollout.status == Status::Running {
        events.extend(advance(id, rollout, now, held));
    }
    events
}

/// A halt of the rollout for each halt of a run, but where what failed is barred, or the policy goes on without the
/// region.
fn halts(id: &RolloutId, rollout: &Rollout) -> Vec<Event> {
    if rollout.policy.on_failure == OnFailure::Continue {
        return Vec::new();
    }
    let halted =
        rollout.turns().filter(|(_, _, turn)| turn.halts > turn.acknowledged_halts && !turn.is_skipped());
    let unexcused = halted.filter(|(_, region, _)| !rollout.evidence.excuses(region, &rollout.barred));
    let halt = |(phase, region, turn): (u32, &crate::id::RegionName, &crate::rollout::Turn)| {
        let (region, why, evidence) = (Some(region.clone()), turn.newest_halt.clone(), turn.evidence.clone());
        Event::RolloutHalted { rollout: id.clone(), phase, region, why, evidence }
    };
    unexcused.map(halt).collect()
}

fn advance(id: &RolloutId, rollout: &Rollout, now: Time, held: bool) -> Vec<Event> {
    if let Some((number, phase)) = rollout.current_phase() {
        return match phase.ended() {
            None => Vec::new(),
            // Nothing comes after its one VM that a gate could hold back.
            Some(_) if rollout.on_demand.is_some() => {
                vec![Event::RolloutCompleted { rollout: id.clone(), tally: rollout.tally() }]
            }
            Some(_) => gate::gate(id, rollout, number, phase, now),
        };
    }
    match (0..).zip(&rollout.phases).find(|(_, phase)| phase.state == PhaseState::Waiting) {
        Some((number, _)) if needs_approval(rollout, number) => Vec::new(),
        Some((number, _)) => vec![Event::PhaseStarted { rollout: id.clone(), phase: number }],
        None if !held && turns::catch_ups_due(rollout).next().is_none() => {
            vec![Event::RolloutCompleted { rollout: id.clone(), tally: rollout.tally() }]
        }
        None => Vec::new(),
    }
}

/// Whether the phase waits for a person.
pub fn needs_approval(rollout: &Rollout, phase: u32) -> bool {
    phase > 0 && rollout.policy.approvals != Approvals::Never && !rollout.approved.contains(&phase)
}

fn as_decision(partition: Partition, events: Vec<Event>) -> Vec<Decision> {
    if events.is_empty() { Vec::new() } else { vec![Decision { chain: Chain::Whole(partition), events }] }
}

fn about_rollout(event: &Event) -> Option<&RolloutId> {
    match event {
        Event::RolloutPlanned { rollout, .. }
        | Event::PhaseStarted { rollout, .. }
        | Event::TurnGranted { rollout, .. }
        | Event::TurnEnded { rollout, .. }
        | Event::PhasePassed { rollout, .. }
        | Event::PhaseFailed { rollout, .. }
        | Event::RolloutHalted { rollout, .. }
        | Event::RolloutPaused { rollout, .. }
        | Event::RolloutResumed { rollout, .. }
        | Event::RolloutRetried { rollout, .. }
        | Event::RegionSkipped { rollout, .. }
        | Event::RolloutCancelled { rollout, .. }
        | Event::RolloutExpired { rollout, .. }
        | Event::RolloutCompleted { rollout, .. }
        | Event::PolicyChanged { rollout, .. }
        | Event::PhaseApproved { rollout, .. }
        | Event::PatchesCertified { rollout, .. }
        | Event::PatchBarred { rollout, .. }
        | Event::StepEnded { rollout, .. }
        | Event::VmSettled { rollout, .. }
        | Event::RunHalted { rollout, .. }
        | Event::ControlsJudged { rollout, .. }
        | Event::RunStarted { rollout, .. }
        | Event::BakeWatchRequested { rollout, .. }
        | Event::BakeConfirmed { rollout, .. }
        | Event::BakeFailed { rollout, .. }
        | Event::BakeUnknown { rollout, .. }
        | Event::RunCompleted { rollout, .. } => Some(rollout),
        _ => None,
    }
}
