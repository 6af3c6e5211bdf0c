//! Why a VM of the run is where it is.

use super::decide::fits::Fits;
use super::time_limits::baseline_overdue;
use super::{Ask, Run, Standing, Wish, Work};
use crate::analysis::Finding;
use crate::event::Outcome;
use crate::explain::Reason;
use crate::gate::{Condition, ConditionState, Gate};
use crate::id::VmId;
use crate::layout::{StageKey, StepKey};
use crate::mind::Time;
use crate::window::Opening;

impl Run {
    /// What the run's current steps, its zone and its region wait for, and how far they are.
    pub fn gates(&self, ask: &Ask<'_>) -> Vec<Gate> {
        if self.completed {
            return Vec::new();
        }
        let mut gates = self.budgets(ask);
        if let (Some(why), Some(gate)) = (&self.halted, gates.last_mut()) {
            gate.conditions.push(Condition::new(ConditionState::Closed, "RunHalted", why.clone()));
        }
        if let (Some(analysis), Some(gate)) = (&ask.policy.analysis, gates.last_mut()) {
            let comparison = self.comparison();
            let (code, what) = match comparison.finding(analysis, None) {
                Finding::Outage => ("AnalysisOutage", "an outage, and not the patch: "),
                _ => ("Analysis", ""),
            };
            let sentence = format!("{what}{comparison}");
            gate.conditions.push(Condition::new(ConditionState::Met, code, sentence));
        }
        gates
    }

    /// The run's part of the chain of reasons; one link at least.
    pub fn explain(&self, vm: &VmId, now: Time, ask: &Ask<'_>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let (Some(standing), Some(member)) = (self.standings.get(vm), self.members.get(vm)) else {
            let sentence = "it joined the region after its run began: the next rollout takes it";
            return vec![Reason::new("NotEnlisted", sentence, None)];
        };
        if !standing.is_terminal() {
            if self.completed {
                return vec![Reason::new("RunEnded", "the region's run ended before it was ordered", None)];
            }
            reasons.extend(self.stopped(ask));
            reasons.extend(self.beside_an_install(vm, ask));
        }
        match standing {
            Standing::Waiting => {
                if let Some(reason) = self.queue(vm) {
                    reasons.push(reason);
                }
                match Fits::new(now, ask.policy).of(member) {
                    Some(opening) if opening.opens > now => {
                        let window = format!("{}–{}", member.window.start_text(), member.window.end_text());
                        let zone = member.time_zone.name();
                        let sentence =
                            format!("its window {window} ({zone}) is closed, or too short for the work");
                        reasons.push(Reason::new("WindowClosed", sentence, Some(opening.opens)));
                    }
                    Some(opening) if reasons.is_empty() => {
                        reasons.push(if self.places_are_taken(vm, ask) {
                            places_taken(opening)
                        } else {
                            Reason::transient("Due", "its health before the patch is about to be asked for")
                        });
                    }
                    Some(_) => {}
                    None => {
                        reasons.push(Reason::new("NoWindow", "no window is long enough for the work", None))
                    }
                }
            }
            Standing::Called { since } => {
                let until = Some(baseline_overdue(*since, ask.policy));
                reasons.push(Reason::new(
                    "BaselineAsked",
                    "its health before the patch is being looked at",
                    until,
                ));
            }
            Standing::Baselined { .. } => {
                reasons.push(match Fits::new(now, ask.policy).of(member) {
                    Some(opening) if opening.opens > now => {
                        let sentence = "its health before the patch is known; its window is closed";
                        Reason::new("WindowClosed", sentence, Some(opening.opens))
                    }
                    Some(opening) if reasons.is_empty() && !self.has_room(member, ask, &self.room(ask)) => {
                        places_taken(opening)
                    }
                    _ if reasons.is_empty() => {
                        Reason::transient("Baselined", "its health before the patch is known; it is next")
                    }
                    _ => return reasons,
                });
            }
            Standing::InFlight(flight) => {
                let limit = standing.time_limit(ask.policy);
                let order = &flight.order.id;
                reasons.push(match &flight.work {
                    Work::Placed => Reason::new(
                        "OrderPlaced",
                        format!("order {order} is placed; its agent has not taken it up yet"),
                        limit,
                    ),
                    Work::Accepted => {
                        Reason::new("Installing", format!("its agent is at work on order {order}"), limit)
                    }
                    Work::Soaking { .. } => Reason::new(
                        "Soaking",
                        format!("it is patched (order {order}), and its health is watched"),
                        limit,
                    ),
                    Work::Over(_) => Reason::transient(
                        "Settling",
                        format!("order {order} is over and about to be settled"),
                    ),
                });
            }
            Standing::Settled { outcome: Outcome::Healthy, at } => {
                reasons.push(Reason::new(
                    "Patched",
                    format!("it was patched and found healthy on {}", at.format("%F at %R UTC")),
                    None,
                ));
            }
            Standing::Settled { outcome: Outcome::Failed { why }, .. } => {
                reasons.push(Reason::new("Failed", format!("its patch failed: {why}"), None));
            }
            Standing::Skipped { why } => reasons.push(Reason::new("Skipped", why.clone(), None)),
            Standing::Deferred { why } => reasons.push(Reason::new("Deferred", why.clone(), None)),
        }
        reasons
    }

    /// What of rollouts on demand the VM waits for.
    fn beside_an_install(&self, vm: &VmId, ask: &Ask<'_>) -> Option<Reason> {
        let is_in_flight = self.standings.get(vm).is_some_and(Standing::is_in_flight);
        if is_in_flight {
            return None;
        }
        if let Some(why) = &ask.beside.kept_back {
            return Some(Reason::new("KeptBack", why.clone(), ask.not_after));
        }
        let member = self.members.get(vm)?;
        if ask.beside.is_busy(vm) {
            return Some(Reason::new("OnDemand", "a person has patches installed on it at the moment", None));
        }
        let kin_in_flight = member.kin().map_or(0, |kin| self.in_flight.of_kin(&kin));
        let clear =
            self.keeps_clear(member, ask, &self.shares_beside(ask), kin_in_flight) && !self.owes_blindly(ask);
        let sentence = "a person has patches installed on a machine beside it, which must end first";
        (!clear).then(|| Reason::new("OnDemandBeside", sentence, None))
    }

    fn stopped(&self, ask: &Ask<'_>) -> Option<Reason> {
        if ask.is_skipped {
            let sentence = "a person took the region out of the rollout: no order is placed";
            return Some(Reason::new("RegionSkipped", sentence, None));
        }
        if self.is_tried_again(ask) {
            let sentence = "a person had the failed tried again: the round ends when nothing is in flight";
            return Some(Reason::new("RunCut", sentence, None));
        }
        if let Wish::Hold { .. } = ask.wish {
            return Some(Reason::new("RunHeld", "the rollout's runs are held: no order is placed", None));
        }
        let why = self.halted.as_ref()?;
        Some(Reason::new("RunHalted", format!("the region's run is halted: {why}"), None))
    }

    /// Whether the step or the region has as many machines in flight as may be.
    fn places_are_taken(&self, vm: &VmId, ask: &Ask<'_>) -> bool {
        let taken = |key: &StepKey| self.steps.get(key).map_or(0, |step| step.taken);
        let of_run: usize = self.steps.values().map(|step| step.taken).sum();
        let of_region = of_run + ask.beside.busy.len();
        let step = self.current_steps().find(|step| step.vms.contains(vm));
        step.is_some_and(|step| taken(&step.key) >= step.at_once)
            || ask.policy.max_in_flight.is_some_and(|most| of_region >= most as usize)
    }

    /// What goes before the VM within the region.
    fn queue(&self, vm: &VmId) -> Option<Reason> {
        let (step, started) = self.step_of(vm)?;
        let stage = match step {
            StepKey::ZoneBatch { zone, .. } => StageKey::Zone(zone.clone()),
            _ => StageKey::Zoneless,
        };
        match self.open_stage() {
            Some((_, open)) if open.key != stage => {
                Some(Reason::new("StageWaits", format!("{} goes before {stage}", open.key), None))
            }
            _ if started => None,
            open => {
                let lane = open.into_iter().flat_map(|(_, stage)| &stage.lanes);
                let mut lane = lane.filter(|lane| lane.iter().any(|known| known.key == *step)).flatten();
                let first = lane.find(|known| !self.steps.get(&known.key).is_some_and(|step| step.ended));
                let first = first.map(|first| &first.key).filter(|first| *first != step)?;
                Some(Reason::new("StepWaits", format!("{first} goes before {step}"), None))
            }
        }
    }
}

fn places_taken(opening: Opening) -> Reason {
    let sentence = "as many machines as may be are in flight; it is next when one is done";
    Reason::new("PlacesTaken", sentence, Some(opening.closes))
}
