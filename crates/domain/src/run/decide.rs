//! What a run does next.

use super::{Run, Standing, StepState, Work};
use crate::event::{Event, Order, Outcome};
use crate::health::Baseline;
use crate::id::{OrderId, VmId};
use crate::layout::{Stage, Step};
use crate::mind::Time;
use crate::patch::{Classification, RebootSetting};
use crate::window::Opening;
use chrono::Duration;
use uuid::Uuid;

/// How long an order may take to reach its agent and be begun: without this room, one that is placed late in the
/// night would only expire on its way.
const DELIVERY: Duration = Duration::minutes(5);

/// What the rollout wants of its runs at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Go on.
    Go,
    /// No new order; `true` if there never will be one.
    Hold {
        /// The rollout is cancelled: end as soon as nothing is in flight.
        for_good: bool,
    },
}

impl Run {
    /// What should become fact now; empty if there is nothing to do but wait.
    pub fn decide(&self, now: Time, wish: Wish) -> Vec<Event> {
        if self.completed.is_some() {
            return Vec::new();
        }
        let settled = self.settle(now);
        if !settled.is_empty() {
            return settled;
        }
        match wish {
            Wish::Hold { for_good } => self.hold(for_good),
            Wish::Go if self.held => vec![Event::RunReleased { rollout: self.rollout.clone() }],
            Wish::Go if self.halted.is_some() => Vec::new(),
            Wish::Go => self.spent_budget().map_or_else(|| self.advance(now), |halt| vec![halt]),
        }
    }

    /// When the clock alone could change the answer.
    pub fn next_wake(&self, now: Time) -> Option<Time> {
        if self.completed.is_some() {
            return None;
        }
        let overdue =
            self.in_flight().filter(|(_, work)| work.is_on_the_machine()).map(|(o, _)| self.overdue(o));
        let due = self.current_steps().flat_map(|step| &step.vms).filter_map(|vm| {
            match self.standings.get(vm)? {
                Standing::Waiting | Standing::Baselined { .. } => {
                    self.fit(vm, now).map(|opening| opening.opens)
                }
                _ => None,
            }
        });
        overdue.chain(due).filter(|at| *at > now).min()
    }

    fn settle(&self, now: Time) -> Vec<Event> {
        self.in_flight().filter_map(|(order, work)| self.settled(order, work, now)).collect()
    }

    fn settled(&self, order: &Order, work: &Work, now: Time) -> Option<Event> {
        let outcome = match work {
            Work::Over(outcome) => outcome.clone(),
            Work::Placed | Work::Accepted if now >= self.overdue(order) => {
                let heard =
                    if *work == Work::Placed { "never accepted" } else { "accepted, but never finished" };
                Outcome::Failed { why: format!("the order was {heard} by {}", order.deadline) }
            }
            Work::Placed | Work::Accepted | Work::Soaking { .. } => return None,
        };
        let (rollout, vm, order) = (order.rollout.clone(), order.vm.clone(), order.id.clone());
        Some(Event::VmSettled { rollout, vm, order, outcome })
    }

    /// When nothing more is expected of an order. Its `not_after` is not enough: an order that was accepted in time may
    /// be at work while its report waits for a gateway that is away.
    fn overdue(&self, order: &Order) -> Time {
        order.deadline + self.policy.grace
    }

    fn hold(&self, for_good: bool) -> Vec<Event> {
        if !self.held {
            let why = if for_good { "the rollout is cancelled" } else { "the rollout is paused or halted" };
            return vec![Event::RunHeld { rollout: self.rollout.clone(), why: why.to_owned() }];
        }
        if for_good && self.in_flight().next().is_none() { vec![self.completion()] } else { Vec::new() }
    }

    /// A cancelled run's VMs that were never ordered are skipped.
    fn completion(&self) -> Event {
        let mut tally = self.tally();
        let left = self.standings.values().filter(|standing| !standing.is_terminal()).count();
        tally.skipped += u32::try_from(left).unwrap_or(u32::MAX);
        Event::RunCompleted { rollout: self.rollout.clone(), tally }
    }

    /// Failures within a started step, or over the whole region, that the policy does not allow and no person
    /// accepted (rule S7).
    fn spent_budget(&self) -> Option<Event> {
        let failures = |vms: &mut dyn Iterator<Item = &VmId>| {
            vms.filter(|vm| {
                self.standings.get(*vm).is_some_and(Standing::has_failed) && !self.accepted.contains(*vm)
            })
            .count()
        };
        let started = self.stages.iter().flat_map(|stage| stage.lanes.iter().flatten());
        let mut newest = None;
        for step in started.filter(|step| self.steps.contains_key(&step.key)) {
            let (failed, allowed) = (failures(&mut step.vms.iter()), self.policy.budget(step.vms.len()));
            if failed > allowed {
                return Some(self.halt(step, failed, allowed, &step.key.to_string()));
            }
            newest = Some(step);
        }
        let (failed, allowed) = (failures(&mut self.members.keys()), self.policy.budget(self.members.len()));
        newest.filter(|_| failed > allowed).map(|step| self.halt(step, failed, allowed, "the region"))
    }

    fn halt(&self, step: &Step, failed: usize, allowed: usize, whole: &str) -> Event {
        let first = self.standings.iter().find(|(vm, s)| s.has_failed() && !self.accepted.contains(*vm));
        let evidence = first.and_then(|(vm, s)| Some(format!("; {vm}: {}", s.why()?))).unwrap_or_default();
        let why = format!("{failed} VMs of {whole} failed, {allowed} may{evidence}");
        Event::RunHalted { rollout: self.rollout.clone(), step: step.key.clone(), why }
    }

    fn advance(&self, now: Time) -> Vec<Event> {
        let rollout = self.rollout.clone();
        let Some(stage) = self.stages.iter().find(|stage| !self.ended_stages.contains(&stage.key)) else {
            return vec![self.completion()];
        };
        if !self.started_stages.contains(&stage.key) {
            return vec![Event::StageStarted { rollout, stage: stage.key.clone() }];
        }
        let mut steps = current_steps(self, stage).peekable();
        if steps.peek().is_none() {
            return vec![Event::StageEnded { rollout, stage: stage.key.clone() }];
        }
        steps.flat_map(|step| self.advance_step(step, now)).collect()
    }

    fn advance_step(&self, step: &Step, now: Time) -> Vec<Event> {
        let (rollout, key) = (self.rollout.clone(), step.key.clone());
        if !self.steps.contains_key(&step.key) {
            return vec![Event::StepStarted { rollout, step: key, vms: step.vms.clone() }];
        }
        let standings = || step.vms.iter().filter_map(|vm| Some((vm, self.standings.get(vm)?)));
        if standings().all(|(_, standing)| standing.is_terminal()) {
            let mut tally = crate::rollout::Tally::default();
            standings().for_each(|(_, standing)| standing.count(&mut tally));
            return vec![Event::StepEnded { rollout, step: key, tally }];
        }
        let mut places = step.at_once.saturating_sub(standings().filter(|(_, s)| s.takes_a_place()).count());
        let mut call = Vec::new();
        let mut events = Vec::new();
        for (vm, standing) in standings() {
            match self.next_for(vm, standing, now) {
                Next::Wait => {}
                Next::Do(event) => events.push(*event),
                Next::Call if *standing != Standing::Waiting => call.push(vm.clone()),
                Next::Call if places > 0 => {
                    places -= 1;
                    call.push(vm.clone());
                }
                Next::Call => {}
            }
        }
        if !call.is_empty() {
            events.push(Event::WatchRequested { rollout, vms: call });
        }
        events
    }

    fn next_for(&self, vm: &VmId, standing: &Standing, now: Time) -> Next {
        let rollout = self.rollout.clone();
        match standing {
            Standing::Baselined { baseline: Baseline::Ill { ailment }, .. } => {
                let why = format!("it was ill before its turn: {ailment}");
                Next::Do(Box::new(Event::VmSkipped { rollout, vm: vm.clone(), why }))
            }
            Standing::Baselined { baseline: Baseline::Silent, .. } => {
                let why = "no signal from it: powered off or cut off".to_owned();
                Next::Do(Box::new(Event::VmDeferred { rollout, vm: vm.clone(), why }))
            }
            Standing::Waiting | Standing::Baselined { .. } => match self.fit(vm, now) {
                None => {
                    let minutes = self.policy.longest_work.num_minutes();
                    let why = format!("its window is never long enough for work of {minutes} minutes");
                    Next::Do(Box::new(Event::VmSkipped { rollout, vm: vm.clone(), why }))
                }
                Some(opening) if opening.opens > now => Next::Wait,
                Some(opening) => match standing {
                    Standing::Baselined { at, .. } if now - *at <= self.policy.silence => {
                        Next::Do(Box::new(Event::OrderPlaced { order: self.order(vm, opening, now) }))
                    }
                    _ => Next::Call,
                },
            },
            _ => Next::Wait,
        }
    }

    /// The VM's opening in which an order can still arrive and the longest work be done: the one that is open, or the
    /// next.
    fn fit(&self, vm: &VmId, now: Time) -> Option<Opening> {
        let member = self.members.get(vm)?;
        member.window.next_fit(member.time_zone, now, DELIVERY + self.policy.longest_work)
    }

    fn order(&self, vm: &VmId, opening: Opening, now: Time) -> Order {
        // An order that nobody took up for a silence's length would only hold up its step.
        let not_after = (opening.closes - self.policy.longest_work).min(now + self.policy.silence);
        Order {
            id: self.order_id(vm),
            rollout: self.rollout.clone(),
            vm: vm.clone(),
            not_after,
            deadline: not_after + self.policy.longest_work,
            reboot: RebootSetting::IfRequired,
            classifications: vec![Classification::Critical, Classification::Security],
        }
    }

    /// The same for the same VM and rollout, whoever decides it and however often.
    fn order_id(&self, vm: &VmId) -> OrderId {
        let name = format!("{}/{}/{vm}", self.rollout, self.region);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).hyphenated().to_string();
        #[expect(
            clippy::expect_used,
            reason = "a hyphenated UUID is hex digits with dashes inside: an identifier"
        )]
        OrderId::new(id).expect("a UUID is an identifier")
    }

    fn current_steps(&self) -> impl Iterator<Item = &Step> {
        let stage = self.stages.iter().find(|stage| !self.ended_stages.contains(&stage.key));
        stage.into_iter().flat_map(|stage| current_steps(self, stage))
    }
}

/// The first step of each lane that has not ended.
fn current_steps<'a>(run: &'a Run, stage: &'a Stage) -> impl Iterator<Item = &'a Step> {
    stage
        .lanes
        .iter()
        .filter_map(|lane| lane.iter().find(|s| run.steps.get(&s.key) != Some(&StepState::Ended)))
}

impl Work {
    fn is_on_the_machine(&self) -> bool {
        matches!(self, Work::Placed | Work::Accepted)
    }
}

enum Next {
    Wait,
    /// Ask for its baseline.
    Call,
    Do(Box<Event>),
}
