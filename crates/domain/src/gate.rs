//! Gates: what a step, a zone, a region and a phase wait for before what comes after them may begin, and how far each is.
//! The planner goes by the phase's; people see all of them.

use crate::analysis::Finding;
use crate::explain::Reason;
use crate::mind::Time;
use crate::policy::{Approvals, Budget};
use crate::rollout::{Baking, Phase, PhaseState, Rollout};
use serde::{Deserialize, Serialize};

/// One thing that a gate waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// How far it is.
    pub state: ConditionState,
    /// What it is, and when it could change by itself.
    pub reason: Reason,
}

/// How far a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionState {
    /// Nothing stands against going on, as things are now.
    Met,
    /// It has not come to that yet.
    Waits,
    /// It is not met, and takes a person.
    Closed,
}

/// The conditions of one whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Which whole, for people: a phase, a region, a zone, a step.
    pub whole: String,
    /// All that it waits for.
    pub conditions: Vec<Condition>,
}

impl Condition {
    pub(crate) fn new(state: ConditionState, code: &str, sentence: impl Into<String>) -> Self {
        Self { state, reason: Reason::new(code, sentence, None) }
    }

    /// A failure budget: so many of so many VMs failed.
    pub(crate) fn budget(failed: usize, vms: usize, budget: &Budget) -> Self {
        let allowed = budget.of(vms);
        let state = if failed > allowed { ConditionState::Closed } else { ConditionState::Met };
        Self::new(state, "FailureBudget", format!("{failed} of {vms} VMs failed, {allowed} may"))
    }
}

/// What the gate of a phase (its number from 0) waits for, in the order in which it is met.
pub fn phase_gate(rollout: &Rollout, number: u32, phase: &Phase, now: Time) -> Vec<Condition> {
    use ConditionState::{Closed, Met, Waits};
    let mut conditions = Vec::new();
    if number > 0 && rollout.policy.approvals != Approvals::Never {
        conditions.push(match rollout.approved.contains(&number) {
            true => Condition::new(Met, "ApprovalNeeded", "a person approved its start"),
            false => Condition::new(
                Closed,
                "ApprovalNeeded",
                match rollout.policy.approvals {
                    Approvals::SecondPerson => {
                        format!(
                            "another person than {} has to approve phase {}",
                            rollout.actor.name,
                            number + 1
                        )
                    }
                    _ => format!("a person has to approve phase {}", number + 1),
                },
            ),
        });
    }
    let open = phase.turns.iter().filter(|(_, turn)| turn.ended_for_gate().is_none());
    let open: Vec<&str> = open.map(|(region, _)| region.as_str()).collect();
    let (ended, all) = (phase.turns.len() - open.len(), phase.turns.len());
    conditions.push(match open.as_slice() {
        [] => Condition::new(Met, "RegionsEnded", format!("all {all} regions have ended")),
        open => {
            let sentence = format!("{ended} of {all} regions have ended; still to end: {}", open.join(", "));
            Condition::new(Waits, "RegionsEnded", sentence)
        }
    });
    if phase.state == PhaseState::Waiting {
        return conditions;
    }
    if phase.gate_waived {
        conditions.push(Condition::new(Met, "GateWaived", "a person accepted how it stands"));
    } else {
        conditions.extend(judged(rollout, phase));
        conditions.extend(bake_queries(rollout, number, phase, now));
    }
    conditions.push(bake(rollout, phase, now));
    conditions
}

/// What stands against the phase by what its machines came to.
fn judged(rollout: &Rollout, phase: &Phase) -> Vec<Condition> {
    use ConditionState::{Closed, Met, Waits};
    // Regions that have not ended count as far as they are.
    let ended = phase.ended().is_some();
    let tally = phase.counted(&rollout.evidence);
    let failed = tally.failed.saturating_sub(phase.accepted);
    let budget = &rollout.policy.budgets.phase;
    let mut conditions = vec![Condition::budget(failed as usize, tally.ordered() as usize, budget)];
    conditions.push(match tally.healthy {
        0 if ended => Condition::new(Closed, "NobodyConfirmed", "no VM of the phase was confirmed healthy"),
        0 => Condition::new(Waits, "NobodyConfirmed", "no region has confirmed a VM healthy yet"),
        healthy => Condition::new(Met, "Confirmed", format!("{healthy} VMs were confirmed healthy")),
    });
    if let Some(analysis) = &rollout.policy.analysis {
        let comparison = phase.comparison();
        let finding = comparison.finding(analysis, None);
        conditions.push(match finding {
            Finding::Harm if phase.accepted == 0 => {
                let sentence =
                    format!("machines fall ill more often with the patch than without: {comparison}");
                Condition::new(if ended { Closed } else { Waits }, "AnalysisHarm", sentence)
            }
            Finding::Harm => {
                Condition::new(Met, "AnalysisAccepted", format!("a person accepted it: {comparison}"))
            }
            Finding::Outage => {
                let sentence = format!("an outage, and not the patch: {comparison}");
                Condition::new(Met, "AnalysisOutage", sentence)
            }
            Finding::Undecided => Condition::new(Met, "AnalysisNoHarm", comparison.to_string()),
        });
    }
    conditions
}

/// What the policy's queries say of the regions while the phase bakes, where it asks any.
fn bake_queries(rollout: &Rollout, number: u32, phase: &Phase, now: Time) -> Option<Condition> {
    use ConditionState::{Closed, Met, Waits};
    let (state, sentence, until) = match rollout.baking(number, phase, now) {
        Baking::Unasked => return None,
        Baking::Waits(until) => (Waits, "its queries are asked until it has baked".to_owned(), until),
        Baking::Confirmed => (Met, "its queries were well when it had baked".to_owned(), None),
        Baking::Closed(why) => (Closed, format!("while it baked: {why}"), None),
    };
    Some(Condition { state, reason: Reason::new("BakeQueries", sentence, until) })
}

fn bake(rollout: &Rollout, phase: &Phase, now: Time) -> Condition {
    use ConditionState::{Met, Waits};
    let minutes = rollout.policy.bake.num_minutes();
    match phase.ended() {
        None => Condition::new(
            Waits,
            "PhaseBakes",
            format!("it is watched for {minutes} minutes after its last region"),
        ),
        Some(ended) if ended + rollout.policy.bake > now && phase.state != PhaseState::Passed => {
            let until = Some(ended + rollout.policy.bake);
            let sentence = format!("it is watched for {minutes} minutes after its last region");
            Condition { state: Waits, reason: Reason::new("PhaseBakes", sentence, until) }
        }
        Some(_) => Condition::new(
            Met,
            "PhaseBakes",
            format!("it was watched for {minutes} minutes after its last region"),
        ),
    }
}
