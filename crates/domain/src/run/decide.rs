//! What a run does next.

mod budget;
pub(super) mod fits;
mod steps;

use super::time_limits::order_outcome;
use super::{Beside, Flight, Run, Standing};
use crate::event::{Event, Outcome};
use crate::fleet::Fleet;
use crate::mind::Time;
use crate::patch::Blame;
use crate::policy::{OnFailure, Policy};
use crate::selection::PackageVersion;
use fits::Fits;
pub(crate) use fits::room_for;
use std::collections::BTreeSet;

/// What the rollout wants of its runs at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Go on.
    Go,
    /// No new order; `true` if there never will be one.
    Hold {
        /// The rollout is cancelled or expired: end as soon as nothing is in flight.
        for_good: bool,
    },
}

/// All that a run's decisions rest on beside its own facts.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Whether to go on.
    pub wish: Wish,
    /// The rollout's policy as it is now.
    pub policy: &'a Policy,
    /// Versions that no order installs any more.
    pub barred: &'a BTreeSet<PackageVersion>,
    /// The only versions that orders install, if the policy wants that and the phase comes after the proving ones.
    pub certified: Option<&'a BTreeSet<PackageVersion>>,
    /// How often the rollout was stopped, as far as is known here.
    pub stops: u32,
    /// How many of the run's halts the rollout halted for.
    pub acknowledged_halts: u32,
    /// Whether a person took the region out of the rollout.
    pub is_skipped: bool,
    /// How often a person had the region's failed tried again.
    pub retries: u32,
    /// The fleet as it is now: VMs may have left it or changed since they were enlisted.
    pub fleet: &'a Fleet,
    /// Of a run on demand: when its order must have been placed.
    pub not_after: Option<Time>,
    /// What happens in the region beside the run.
    pub beside: Beside<'a>,
}

impl Run {
    /// What should become fact now; empty if there is nothing to do but wait.
    pub fn decide(&self, now: Time, ask: &Ask<'_>) -> Vec<Event> {
        if self.completed {
            return Vec::new();
        }
        let settled = self.settle(now, ask.policy);
        if !settled.is_empty() {
            return settled;
        }
        if let Some(judged) = self.judge_controls(now, ask.policy) {
            return vec![judged];
        }
        let owed = self.owed(ask);
        if !owed.is_empty() {
            return owed;
        }
        let rollout = self.rollout.clone();
        match ask.wish {
            Wish::Hold { for_good } => self.hold(for_good, ask),
            // Who knows of fewer stops than the one that held the run has not read of the newest yet.
            Wish::Go if self.held && ask.stops < self.held_stops => Vec::new(),
            Wish::Go if self.held => {
                let accepted = self.halted.is_some() && ask.acknowledged_halts >= self.halts;
                vec![Event::RunReleased { rollout, accepted }]
            }
            Wish::Go if self.halted.is_some() => self.while_halted(ask),
            Wish::Go if self.is_tried_again(ask) => self.end_for_retry(),
            Wish::Go => match self.must_halt(ask) {
                Some(halt) => vec![halt],
                None => self.advance(now, ask),
            },
        }
    }

    /// When the clock alone could change the answer.
    pub fn next_wake(&self, now: Time, policy: &Policy) -> Option<Time> {
        if self.completed {
            return None;
        }
        let standing = |vm| self.standings.get(vm);
        let overdue = self.in_flight.overdue(now, policy.grace).filter_map(standing);
        let limits = overdue.filter_map(|standing| standing.time_limit(policy));
        let limits = limits.chain(self.in_flight.next(now, policy.grace));
        let mut fits = Fits::new(now, policy);
        let started = self.current_steps().filter_map(|step| self.steps.get(&step.key));
        let due = started.flat_map(|step| {
            let called = step.called.iter().filter_map(|vm| match self.standings.get(vm)? {
                Standing::Baselined { .. } => fits.of(self.members.get(vm)?).map(|opening| opening.opens),
                standing => standing.time_limit(policy),
            });
            let called: Vec<Time> = called.collect();
            let waiting = step.waiting.iter().filter(|queue| !queue.vms.is_empty());
            let opens = waiting.filter_map(|queue| fits.of_window(queue.window, queue.time_zone));
            called.into_iter().chain(opens.map(|opening| opening.opens)).collect::<Vec<Time>>()
        });
        limits.chain(due).chain(self.controls.next_wake(policy)).filter(|at| *at > now).min()
    }

    fn settle(&self, now: Time, policy: &Policy) -> Vec<Event> {
        let settled = self.in_flight.due(now, policy.grace).filter_map(|vm| {
            let Standing::InFlight(flight) = self.standings.get(vm)? else { return None };
            let Flight { order, work, installed, blamed } = &**flight;
            let outcome = order_outcome(order, work, policy, now)?;
            let blamed = match (&outcome, blamed.is_empty()) {
                (Outcome::Healthy, _) => Vec::new(),
                // A machine that went silent after its patch has nobody to name what did it.
                (_, true) => {
                    installed.iter().map(|patch| Blame { patch: patch.clone(), direct: false }).collect()
                }
                (_, false) => blamed.clone(),
            };
            let (rollout, vm, order) = (order.rollout.clone(), order.vm.clone(), order.id.clone());
            Some(Event::VmSettled { rollout, vm, order, outcome, blamed })
        });
        settled.collect()
    }

    /// The halt that is due.
    fn must_halt(&self, ask: &Ask<'_>) -> Option<Event> {
        self.spent_budget(ask).or_else(|| self.harm(ask))
    }

    /// Whether a person had the failed tried again since the round began.
    pub(super) fn is_tried_again(&self, ask: &Ask<'_>) -> bool {
        ask.retries > self.retries
    }

    /// The round ends as soon as nothing is in flight: the next one takes the failed up, and who was not reached.
    fn end_for_retry(&self) -> Vec<Event> {
        if !self.in_flight.is_empty() {
            return Vec::new();
        }
        if self.cut {
            return vec![self.completion()];
        }
        let why = "a person had the failed tried again: it goes with them in the next round".to_owned();
        vec![Event::RunCut { rollout: self.rollout.clone(), why }]
    }

    fn hold(&self, for_good: bool, ask: &Ask<'_>) -> Vec<Event> {
        if !self.held {
            let stops = ask.stops;
            let why = if ask.is_skipped {
                "a person took the region out of the rollout"
            } else if for_good {
                "the rollout is cancelled or expired"
            } else {
                "the rollout is paused or halted"
            };
            return vec![Event::RunHeld { rollout: self.rollout.clone(), stops, why: why.to_owned() }];
        }
        if for_good && self.in_flight.is_empty() { vec![self.completion()] } else { Vec::new() }
    }

    /// A halted run goes on when a person resumed the rollout that halted for it, or when what failed was barred. Where
    /// the policy goes on without the region, it ends.
    fn while_halted(&self, ask: &Ask<'_>) -> Vec<Event> {
        let rollout = self.rollout.clone();
        if ask.acknowledged_halts >= self.halts {
            return vec![Event::RunReleased { rollout, accepted: true }];
        }
        if self.must_halt(ask).is_none() {
            return vec![Event::RunReleased { rollout, accepted: false }];
        }
        let ends = ask.policy.on_failure == OnFailure::Continue && self.in_flight.is_empty();
        if ends { vec![self.completion()] } else { Vec::new() }
    }

    /// VMs that will not be ordered any more are skipped, or what they were before the round began.
    fn completion(&self) -> Event {
        let mut tally = self.tally;
        for (vm, _) in self.standings.iter().filter(|(_, standing)| !standing.is_terminal()) {
            // One that an earlier round never reached is not in this one either.
            let of_round = self.step_of.contains_key(vm);
            match (self.round > 1 && of_round, self.ever_failed.contains(vm)) {
                (false, _) => tally.skipped += 1,
                (true, true) => tally.failed += 1,
                (true, false) => tally.deferred += 1,
            }
        }
        let patches = self.patch_tallies();
        Event::RunCompleted { rollout: self.rollout.clone(), round: self.round, tally, patches }
    }

    fn advance(&self, now: Time, ask: &Ask<'_>) -> Vec<Event> {
        if self.owes_blindly(ask) {
            return Vec::new();
        }
        let late = self.too_late(now, ask);
        if !late.is_empty() {
            return late;
        }
        let rollout = self.rollout.clone();
        let Some((_, stage)) = self.open_stage() else { return vec![self.completion()] };
        if !self.started_stages.contains(&stage.key) {
            return vec![Event::StageStarted { rollout, stage: stage.key.clone() }];
        }
        let mut steps = self.current_steps().peekable();
        if steps.peek().is_none() {
            return vec![Event::StageEnded { rollout, stage: stage.key.clone() }];
        }
        let mut events = self.advance_steps(steps, now, ask);
        let in_flight = |event: &Event| matches!(event, Event::OrderPlaced { .. });
        if !self.in_flight.is_empty() || events.iter().any(in_flight) {
            events.extend(self.ask_for_controls(now, ask));
        }
        events
    }
}
