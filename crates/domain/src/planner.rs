//! The mind of rollout-planner: the fleet, every rollout, and who holds a turn.
//!
//! All its decisions rest on the whole of partition `rollout` (one [`Chain`]), so that two planners can never both
//! grant a turn: the second one's append fails.

use crate::event::{Chain, Event, Partition};
use crate::fleet::{Feature, Fleet, Vm};
use crate::id::{RegionName, RolloutId, SubscriptionId};
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::plan::plan;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::rollout::{Actor, Phase, PhaseState, Rollout, Status, Tally, Turn};
use crate::topology::Topology;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The account of rollout-planner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Planner {
    /// The fleet that rollouts are planned for.
    pub fleet: Fleet,
    /// Every rollout there ever was.
    pub rollouts: BTreeMap<RolloutId, Rollout>,
}

impl Mind for Planner {
    fn apply(&mut self, fact: &Fact) {
        self.fleet.apply(fact);
        if let Event::RolloutRequested { rollout, policy, actor } = &fact.event {
            let requested = Rollout::requested(policy.clone(), actor.clone(), fact.at);
            self.rollouts.insert(rollout.clone(), requested);
        } else if let Some(rollout) = about_rollout(&fact.event).and_then(|id| self.rollouts.get_mut(id)) {
            rollout.apply(fact.at, fact.region(), &fact.event);
        }
    }

    fn decide(&self, now: Time) -> Vec<Decision> {
        let mut held = self.held_turns();
        let events: Vec<Event> =
            self.rollouts.iter().flat_map(|(id, rollout)| self.next(id, rollout, now, &mut held)).collect();
        as_decision(Partition::Rollout, events)
    }

    fn next_wake(&self, now: Time) -> Option<Time> {
        let running = self.rollouts.values().filter(|rollout| rollout.status == Status::Running);
        let baked = running.filter_map(|rollout| {
            let (_, phase) = rollout.current_phase()?;
            phase.ended().map(|ended| ended + rollout.policy.bake)
        });
        baked.filter(|at| *at > now).min()
    }

    fn follows(&self) -> Vec<Follow> {
        let runs = self.fleet.topology.regions.keys();
        [Follow::all(Partition::Fleet), Follow::all(Partition::Rollout)]
            .into_iter()
            .chain(runs.map(|region| Follow::kind(Partition::Region(region.clone()), "run")))
            .collect()
    }
}

/// What people wish.
impl Planner {
    /// Brings the fleet to what is declared.
    pub fn declare_fleet(
        &self,
        topology: Topology,
        features: &[(SubscriptionId, Feature)],
        vms: Vec<Vm>,
    ) -> Result<Vec<Decision>, Refusal> {
        let kept = self.fleet.vms.values().find(|vm| !topology.regions.contains_key(&vm.region));
        if let Some(vm) = kept {
            let sentence = format!(
                "region \"{}\" is left out of the topology, but VM \"{}\" is in it",
                vm.region, vm.id
            );
            return Err(Refusal::new("RegionInUse", sentence));
        }
        Ok(as_decision(Partition::Fleet, self.fleet.declare(topology, features, vms)?))
    }

    /// Starts a rollout over all eligible VMs. The same identity with the same policy again changes nothing.
    pub fn start(&self, id: &RolloutId, policy: Policy, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        policy.validate().map_err(|error| Refusal::new("InvalidPolicy", error.to_string()))?;
        if let Some(known) = self.rollouts.get(id) {
            if known.policy == policy {
                return Ok(Vec::new());
            }
            let sentence = format!("rollout \"{id}\" was started with another policy; choose another name");
            return Err(Refusal::new("RolloutExists", sentence));
        }
        let phases = plan(&self.fleet, &policy.phase_shares);
        if phases.is_empty() {
            let sentence = "no VM of the fleet is eligible: see `nightshift vm list` for each VM's reason";
            return Err(Refusal::new("NoEligibleVm", sentence));
        }
        let requested = Event::RolloutRequested { rollout: id.clone(), policy, actor };
        let planned = Event::RolloutPlanned { rollout: id.clone(), phases };
        Ok(as_decision(Partition::Rollout, vec![requested, planned]))
    }

    /// Stops a rollout for a while.
    pub fn pause(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        match self.rollout(id)?.status {
            Status::Paused => Ok(Vec::new()),
            Status::Running => Ok(wish(Event::RolloutPaused { rollout: id.clone(), actor })),
            _ => Err(self.not_now(id, "paused")),
        }
    }

    /// Lets a paused or halted rollout go on; the failures of a halted one are thereby accepted.
    pub fn resume(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        match self.rollout(id)?.status {
            Status::Running => Ok(Vec::new()),
            Status::Paused | Status::Halted { .. } => {
                Ok(wish(Event::RolloutResumed { rollout: id.clone(), actor }))
            }
            _ => Err(self.not_now(id, "resumed")),
        }
    }

    /// Ends a rollout; what is in flight settles first.
    pub fn cancel(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        match self.rollout(id)?.status {
            Status::Cancelled | Status::Completed { cancelled: true } => Ok(Vec::new()),
            Status::Completed { .. } => Err(self.not_now(id, "cancelled")),
            _ => Ok(wish(Event::RolloutCancelled { rollout: id.clone(), actor })),
        }
    }

    fn rollout(&self, id: &RolloutId) -> Result<&Rollout, Refusal> {
        let unknown = || Refusal::new("RolloutNotFound", format!("there is no rollout \"{id}\""));
        self.rollouts.get(id).ok_or_else(unknown)
    }

    fn not_now(&self, id: &RolloutId, wished: &str) -> Refusal {
        let status = self.rollouts.get(id).map(|rollout| format!("{:?}", rollout.status)).unwrap_or_default();
        Refusal::new("RolloutStateConflict", format!("rollout \"{id}\" cannot be {wished}: it is {status}"))
    }
}

/// What follows from the facts and the time.
impl Planner {
    fn next(
        &self,
        id: &RolloutId,
        rollout: &Rollout,
        now: Time,
        held: &mut BTreeSet<RegionName>,
    ) -> Vec<Event> {
        let mut events = ended_turns(id, rollout);
        match &rollout.status {
            Status::Running => match halted_run(id, rollout) {
                Some(halt) => events.push(halt),
                None => events.extend(self.advance(id, rollout, now, held)),
            },
            Status::Paused => events.extend(halted_run(id, rollout)),
            Status::Cancelled if !all_turns(rollout).any(|(_, turn)| turn.is_held()) => {
                events.push(Event::RolloutCompleted { rollout: id.clone(), tally: rollout.tally() });
            }
            Status::Halted { .. } | Status::Cancelled | Status::Completed { .. } => {}
        }
        events
    }

    fn advance(
        &self,
        id: &RolloutId,
        rollout: &Rollout,
        now: Time,
        held: &mut BTreeSet<RegionName>,
    ) -> Vec<Event> {
        match rollout.current_phase() {
            Some((number, phase)) => match phase.ended() {
                None => self.grant_turns(id, number, phase, held),
                Some(ended) => gate(id, rollout, number, phase, now >= ended + rollout.policy.bake),
            },
            None => match (0..).zip(&rollout.phases).find(|(_, phase)| phase.state == PhaseState::Waiting) {
                Some((number, _)) => vec![Event::PhaseStarted { rollout: id.clone(), phase: number }],
                None => vec![Event::RolloutCompleted { rollout: id.clone(), tally: rollout.tally() }],
            },
        }
    }

    /// Turns for the phase's regions that nobody else's turn stands against (rule S1, whatever rollout holds it).
    fn grant_turns(
        &self,
        id: &RolloutId,
        number: u32,
        phase: &Phase,
        held: &mut BTreeSet<RegionName>,
    ) -> Vec<Event> {
        let waiting = phase.turns.iter().filter(|(_, turn)| turn.granted.is_none());
        let mut events = Vec::new();
        for (region, _) in waiting {
            let blocked =
                held.iter().any(|other| other == region || self.fleet.topology.paired(other, region));
            if !blocked {
                held.insert(region.clone());
                events.push(Event::TurnGranted {
                    rollout: id.clone(),
                    phase: number,
                    region: region.clone(),
                });
            }
        }
        events
    }

    fn held_turns(&self) -> BTreeSet<RegionName> {
        let turns = self.rollouts.values().flat_map(all_turns);
        turns.filter(|(_, turn)| turn.is_held()).map(|(region, _)| region.clone()).collect()
    }
}

fn all_turns(rollout: &Rollout) -> impl Iterator<Item = (&RegionName, &Turn)> {
    rollout.phases.iter().flat_map(|phase| &phase.turns)
}

fn ended_turns(id: &RolloutId, rollout: &Rollout) -> Vec<Event> {
    let mut events = Vec::new();
    for (number, phase) in (0..).zip(&rollout.phases) {
        for (region, turn) in phase.turns.iter().filter(|(_, turn)| turn.is_held()) {
            if let Some(tally) = turn.run_completed {
                let (rollout, region) = (id.clone(), region.clone());
                events.push(Event::TurnEnded { rollout, phase: number, region, tally });
            }
        }
    }
    events
}

fn halted_run(id: &RolloutId, rollout: &Rollout) -> Option<Event> {
    (0..).zip(&rollout.phases).find_map(|(phase, planned)| {
        let (region, why) =
            planned.turns.iter().find_map(|(region, turn)| Some((region, turn.run_halted.clone()?)))?;
        Some(Event::RolloutHalted { rollout: id.clone(), phase, region: Some(region.clone()), why })
    })
}

/// The gate of a phase whose turns have all ended.
fn gate(id: &RolloutId, rollout: &Rollout, number: u32, phase: &Phase, baked: bool) -> Vec<Event> {
    let rollout_id = id.clone();
    let tally = phase.tally();
    if let (Some(why), false) = (closed_gate(rollout, tally), phase.gate_waived) {
        let halted =
            Event::RolloutHalted { rollout: id.clone(), phase: number, region: None, why: why.clone() };
        return vec![Event::PhaseFailed { rollout: rollout_id, phase: number, tally, why }, halted];
    }
    if baked { vec![Event::PhasePassed { rollout: rollout_id, phase: number, tally }] } else { Vec::new() }
}

/// Why a phase with this tally may not pass; a phase that confirmed nobody's health has proved nothing.
fn closed_gate(rollout: &Rollout, tally: Tally) -> Option<String> {
    let allowed = rollout.policy.budget(tally.ordered() as usize);
    if tally.failed as usize > allowed {
        return Some(format!("{} of {} VMs failed, {allowed} may", tally.failed, tally.ordered()));
    }
    (tally.healthy == 0).then(|| "no VM of the phase was confirmed healthy".to_owned())
}

fn wish(event: Event) -> Vec<Decision> {
    as_decision(Partition::Rollout, vec![event])
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
        | Event::RolloutCancelled { rollout, .. }
        | Event::RolloutCompleted { rollout, .. }
        | Event::RunHalted { rollout, .. }
        | Event::RunCompleted { rollout, .. } => Some(rollout),
        _ => None,
    }
}
