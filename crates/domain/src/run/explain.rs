//! Why a VM of the run is where it is.

use super::decide::fits::Fits;
use super::time_limits::baseline_overdue;
use super::{Ask, Run, Standing, Wish, Work};
use crate::event::Outcome;
use crate::explain::Reason;
use crate::id::VmId;
use crate::layout::{StageKey, StepKey};
use crate::mind::Time;

impl Run {
    /// The run's part of the chain of reasons; one link at least.
    pub fn explain(&self, vm: &VmId, now: Time, ask: &Ask<'_>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let (Some(standing), Some(member)) = (self.standings.get(vm), self.members.get(vm)) else {
            let sentence = "it joined the region after its run began: the next rollout takes it";
            return vec![Reason::new("NotEnlisted", sentence, None)];
        };
        if !self.completed && !standing.is_terminal() {
            reasons.extend(self.stopped(ask));
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
                        let sentence =
                            "as many machines as may be are in flight; it is next when one is done";
                        reasons.push(Reason::new("PlacesTaken", sentence, Some(opening.closes)));
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
                let until = Fits::new(now, ask.policy).of(member).map(|opening| opening.opens.max(now));
                reasons.push(Reason::new(
                    "Baselined",
                    "its health before the patch is known; it is next",
                    until,
                ));
            }
            Standing::InFlight(flight) => {
                let (code, sentence) = match &flight.work {
                    Work::Placed => {
                        ("OrderPlaced", "it is ordered; its agent has not taken the order up yet")
                    }
                    Work::Accepted => ("Installing", "its agent is at work"),
                    Work::Soaking { .. } => ("Soaking", "it is patched, and its health is watched"),
                    Work::Over(_) => ("Settling", "its order is over and about to be settled"),
                };
                let until = standing.time_limit(ask.policy);
                reasons.push(Reason::new(code, format!("{sentence} (order {})", flight.order.id), until));
            }
            Standing::Settled { outcome: Outcome::Healthy, at } => {
                reasons.push(Reason::new(
                    "Patched",
                    format!("it was patched and found healthy at {at}"),
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

    fn stopped(&self, ask: &Ask<'_>) -> Option<Reason> {
        if let Wish::Hold { .. } = ask.wish {
            return Some(Reason::new("RunHeld", "the rollout's runs are held: no order is placed", None));
        }
        let why = self.halted.as_ref()?;
        Some(Reason::new("RunHalted", format!("the region's run is halted: {why}"), None))
    }

    /// What goes before the VM within the region.
    fn queue(&self, vm: &VmId) -> Option<Reason> {
        let (step, started) = self.step_of(vm)?;
        let stage = match step {
            StepKey::ZoneBatch { zone, .. } => StageKey::Zone(zone.clone()),
            _ => StageKey::Zoneless,
        };
        match self.open_stage() {
            Some(open) if open.key != stage => {
                Some(Reason::new("StageWaits", format!("{} goes before {stage}", open.key), None))
            }
            _ if started => None,
            open => {
                let lane = open.into_iter().flat_map(|stage| &stage.lanes);
                let mut lane = lane.filter(|lane| lane.iter().any(|known| known.key == *step)).flatten();
                let first = lane.find(|known| !self.steps.get(&known.key).is_some_and(|step| step.ended));
                let first = first.map_or_else(|| step.to_string(), |first| first.key.to_string());
                Some(Reason::new("StepWaits", format!("{first} goes before {step}"), None))
            }
        }
    }
}
