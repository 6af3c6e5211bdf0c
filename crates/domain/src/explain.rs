//! Why a VM is, or is not, being patched now: the chain of reasons from rollout to phase to turn to step to window,
//! each with when it could change.

use crate::coordinator::Coordinator;
use crate::fleet::Vm;
use crate::gate::{Condition, ConditionState, phase_gate};
use crate::id::{RegionName, RolloutId, VmId};
use crate::mind::Time;
use crate::planner::{Planner, needs_approval};
use crate::rollout::{Ended, PhaseState, Rollout, Status, Turn};
use serde::{Deserialize, Serialize};

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub sentence: String,
    /// When it could change by itself; `None` if that takes a person or another fact.
    pub until: Option<Time>,
    /// Whether a service is about to act: nothing to wait for, and true for moments only. One that lasts is a fault.
    pub is_transient: bool,
}

impl Reason {
    pub(crate) fn new(code: &str, sentence: impl Into<String>, until: Option<Time>) -> Self {
        Self { code: code.to_owned(), sentence: sentence.into(), until, is_transient: false }
    }

    /// A service is about to act.
    pub(crate) fn transient(code: &str, sentence: impl Into<String>) -> Self {
        Self { is_transient: true, ..Self::new(code, sentence, None) }
    }
}

/// The chain of one VM, from the widest reason to the nearest. Never empty: nobody waits without a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The machine.
    pub vm: VmId,
    /// The chain; the last link decides.
    pub reasons: Vec<Reason>,
}

/// Explains a VM at this moment, from what the planner and its region's coordinator know.
pub fn explain(vm: &VmId, planner: &Planner, coordinator: &Coordinator, now: Time) -> Explanation {
    let reasons = reasons(vm, planner, coordinator, now);
    Explanation { vm: vm.clone(), reasons }
}

/// The same within this rollout, whichever other speaks for the VM: what a person has installed on it has reasons of its
/// own. `None` if there is no such rollout.
pub fn explain_in(
    rollout: &RolloutId,
    vm: &VmId,
    planner: &Planner,
    coordinator: &Coordinator,
    now: Time,
) -> Option<Explanation> {
    let (id, rollout) = planner.rollouts.get_key_value(rollout)?;
    let reasons = match eligible(vm, planner) {
        Ok(model) => chain((id, rollout), model, planner, coordinator, now),
        Err(reason) => vec![reason],
    };
    Some(Explanation { vm: vm.clone(), reasons })
}

fn reasons(vm: &VmId, planner: &Planner, coordinator: &Coordinator, now: Time) -> Vec<Reason> {
    let model = match eligible(vm, planner) {
        Ok(model) => model,
        Err(reason) => return vec![reason],
    };
    // The rollout that was asked for last speaks for the VM; before it, one that is under way.
    let of_region = planner
        .rollouts
        .iter()
        .filter(|(_, rollout)| rollout.concerns(vm) && turn(rollout, &model.region).is_some());
    let newest = of_region.max_by_key(|(id, rollout)| (is_open(rollout), rollout.requested, *id));
    match newest {
        Some(newest) => chain(newest, model, planner, coordinator, now),
        None => vec![no_rollout(planner, now)],
    }
}

/// The VM as rollouts know it, or why they leave it alone.
fn eligible<'a>(vm: &VmId, planner: &'a Planner) -> Result<&'a Vm, Reason> {
    let missing = || Reason::new("VmNotFound", format!("VM \"{vm}\" is not in the fleet"), None);
    let model = planner.fleet.vms.get(vm).ok_or_else(missing)?;
    match planner.fleet.ineligible(model) {
        Some(refusal) => Err(Reason::new(&refusal.code, refusal.sentence, None)),
        None => Ok(model),
    }
}

/// The chain within one rollout.
fn chain(
    (id, rollout): (&RolloutId, &Rollout),
    model: &Vm,
    planner: &Planner,
    coordinator: &Coordinator,
    now: Time,
) -> Vec<Reason> {
    let mut reasons = vec![status(id, rollout)];
    let ended = matches!(rollout.status, Status::Completed { .. });
    if let (Status::Running, false) = (&rollout.status, ended) {
        reasons.extend(place(id, rollout, &model.region, planner, now));
    }
    let run = coordinator.runs.get(&model.region).and_then(|runs| runs.get(id));
    let awaited = turn(rollout, &model.region)
        .is_some_and(|(_, turn)| turn.is_held() && run.is_none_or(|run| run.round() < turn.round));
    if awaited {
        let sentence = "the region's coordinator is about to take up the turn";
        reasons.push(Reason::transient("RunAwaited", sentence));
        return reasons;
    }
    if let Some((run, ask)) = run.zip(coordinator.ask(id, &model.region)) {
        reasons.extend(run.explain(&model.id, now, &ask));
    }
    if let Some(at) = turn(rollout, &model.region).and_then(|(_, turn)| next_round(rollout, turn)) {
        reasons.push(Reason::new("NextRound", "machines that are left are tried again", Some(at)));
    }
    if ended {
        reasons.push(no_rollout(planner, now));
    }
    reasons
}

fn is_open(rollout: &Rollout) -> bool {
    !matches!(rollout.status, Status::Completed { .. })
}

fn turn<'a>(rollout: &'a Rollout, region: &RegionName) -> Option<(u32, &'a Turn)> {
    rollout.turns().find(|(_, known, _)| *known == region).map(|(phase, _, turn)| (phase, turn))
}

fn next_round(rollout: &Rollout, turn: &Turn) -> Option<Time> {
    (rollout.status == Status::Running).then(|| crate::planner::catch_up_due(rollout, turn)).flatten()
}

fn no_rollout(planner: &Planner, now: Time) -> Reason {
    match planner.rhythm.as_ref().and_then(|rhythm| rhythm.next(now)) {
        Some(at) => Reason::new("NoRollout", "no rollout is under way; the next begins by itself", Some(at)),
        None => Reason::new("NoRollout", "no rollout is under way, and none begins by itself", None),
    }
}

fn status(id: &RolloutId, rollout: &Rollout) -> Reason {
    let deadline = Some(rollout.deadline());
    match &rollout.status {
        Status::Running => Reason::new("RolloutRunning", format!("rollout \"{id}\" is under way"), deadline),
        Status::Paused => Reason::new(
            "RolloutPaused",
            format!("rollout \"{id}\" is paused until a person resumes it"),
            deadline,
        ),
        Status::Halted { why, .. } => {
            let sentence = format!("rollout \"{id}\" is halted until a person resumes it: {why}");
            Reason::new("RolloutHalted", sentence, deadline)
        }
        Status::Cancelled => Reason::new(
            "RolloutCancelled",
            format!("rollout \"{id}\" is cancelled and settles what is in flight"),
            None,
        ),
        Status::Expired => Reason::new(
            "RolloutExpired",
            format!("rollout \"{id}\" is past its deadline and settles what is in flight"),
            None,
        ),
        Status::Completed { ended } => {
            let how = match ended {
                Ended::Passed => "every phase passed",
                Ended::Cancelled => "it was cancelled",
                Ended::Expired => "its deadline was over",
            };
            Reason::new("RolloutCompleted", format!("rollout \"{id}\" is completed: {how}"), None)
        }
    }
}

/// The region's place in a running rollout: its phase, its turn.
fn place(
    id: &RolloutId,
    rollout: &Rollout,
    region: &RegionName,
    planner: &Planner,
    now: Time,
) -> Vec<Reason> {
    let Some((number, turn)) = turn(rollout, region) else { return Vec::new() };
    let people = number + 1;
    if let Some((actor, _)) = &turn.skipped {
        let sentence =
            format!("{} took region \"{region}\" out of the rollout: {}", actor.name, actor.reason);
        return vec![Reason::new("RegionSkipped", sentence, None)];
    }
    let phase = &rollout.phases[number as usize];
    if phase.state == PhaseState::Waiting {
        let mut reasons =
            vec![Reason::new("PhaseWaits", format!("region \"{region}\" is in phase {people}"), None)];
        reasons.push(before(rollout, number, now));
        return reasons;
    }
    if turn.is_held() {
        let sentence = format!("region \"{region}\" has its turn in phase {people}, round {}", turn.round);
        return vec![Reason::new("TurnHeld", sentence, None)];
    }
    if turn.round > 0 {
        let sentence = format!("region \"{region}\" had its turn in phase {people}, round {}", turn.round);
        return vec![Reason::new("TurnEnded", sentence, None)];
    }
    let holder = planner.rollouts.iter().flat_map(|(id, holder)| {
        let held = holder.turns().filter(|(_, _, turn)| turn.is_held());
        // Rollouts on demand go beside others of their region.
        let beside = holder.on_demand.is_some() || rollout.on_demand.is_some();
        held.map(move |(_, region, _)| (id, region, beside))
    });
    let mut holder = holder.filter(|(_, other, beside)| {
        (*other == region && !beside) || planner.fleet.topology.paired(other, region)
    });
    let sentence = match holder.next().map(|(id, other, _)| (id, other)) {
        Some((other, pair)) if other == id => format!("region \"{pair}\", its geo-pair, has its turn"),
        Some((other, pair)) => format!("region \"{pair}\" has its turn in rollout \"{other}\""),
        None => {
            let sentence = format!("region \"{region}\" is next to get its turn");
            return vec![Reason::transient("TurnNext", sentence)];
        }
    };
    vec![Reason::new("TurnWaits", sentence, None)]
}

/// What the phase before this one waits for.
fn before(rollout: &Rollout, number: u32, now: Time) -> Reason {
    if let Some((current, phase)) = rollout.current_phase() {
        let people = current + 1;
        let waits = |condition: &Condition| condition.state == ConditionState::Waits;
        return match phase_gate(rollout, current, phase, now).into_iter().find(waits) {
            Some(Condition { reason, .. }) => {
                Reason { sentence: format!("phase {people} goes first: {}", reason.sentence), ..reason }
            }
            None => Reason::transient("PhaseNext", format!("phase {people} is about to be passed")),
        };
    }
    let next = rollout.phases.iter().position(|phase| phase.state == PhaseState::Waiting);
    match next.and_then(|next| u32::try_from(next).ok()) {
        Some(next) if needs_approval(rollout, next) => {
            Reason::new("ApprovalNeeded", format!("a person has to approve phase {}", next + 1), None)
        }
        Some(next) if next < number => {
            Reason::transient("PhaseNext", format!("phase {} is about to start, before it", next + 1))
        }
        _ => Reason::transient("PhaseNext", "the phase is about to start"),
    }
}
