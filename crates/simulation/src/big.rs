//! The fast world: one instance of each mind, every fact heard at once, only what is due is asked. It forecasts, and it
//! answers what-if questions over a million machines.

use crate::attention::Attention;
use crate::faults::Faults;
use crate::machines::Machines;
use crate::outcome::{Outcome, Unexplained};
use crate::people::{self, PERSON_LOOKS};
use crate::tape::Tape;
use chrono::{Duration, DurationRound as _};
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::explain::explain;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::Status;
use nightshift_domain::run::{Run, Standing};
use nightshift_domain::{
    Decision, Event, Fact, Mind as _, Partition, Refusal, RegionName, RolloutId, Time, VmId,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What happens within a minute is seen together: one decision serves many machines.
const TICK: Duration = Duration::minutes(1);
/// How often a watched machine is heard.
const HEARTBEAT: Duration = Duration::minutes(5);

/// VMs that are asked every day why they wait, about.
const LOOKED_AT: usize = 500;

/// A patch that makes machines ill.
#[derive(Debug, Clone, Copy)]
pub struct BadPatch {
    /// The share of the machines that it makes ill, in percent.
    pub percent: u32,
    /// From this phase on (from 1).
    pub from_phase: u32,
}

/// The fast world.
pub struct Big {
    now: Time,
    start: Time,
    rng: StdRng,
    faults: Faults,
    bad_patch: Option<BadPatch>,
    tape: Tape,
    planner: Planner,
    coordinator: Coordinator,
    monitor: Monitor,
    machines: Machines,
    watched: BTreeSet<VmId>,
    /// Each machine's newest stored report.
    stored: HashMap<VmId, u64>,
    next_heartbeat: Time,
    /// When a person looks after a rollout that waits for one.
    next_duty: Option<Time>,
    attention: Attention,
    orders_of_day: BTreeMap<RegionName, BTreeMap<chrono::NaiveDate, u32>>,
    ordered_vms: BTreeMap<VmId, Time>,
    remember_vms: bool,
    unexplained: Unexplained,
    harmed: BTreeSet<VmId>,
}

impl Big {
    /// A world that begins with this fleet at this moment; `tape` says whether its log is kept.
    pub fn new(seed: u64, start: Time, fleet: Vec<Event>, faults: Faults, tape: Tape) -> Self {
        let vms = fleet.iter().filter_map(|event| match event {
            Event::VmRegistered { vm } => Some(&vm.id),
            _ => None,
        });
        let machines = Machines::new(seed, start, vms, faults);
        let mut monitor = Monitor::default();
        monitor.listen(start - Duration::days(1));
        let mut world = Self {
            now: start,
            start,
            rng: StdRng::seed_from_u64(seed),
            faults,
            bad_patch: None,
            tape,
            planner: Planner::default(),
            coordinator: Coordinator::default(),
            monitor,
            machines,
            watched: BTreeSet::new(),
            stored: HashMap::new(),
            next_heartbeat: start,
            next_duty: None,
            attention: Attention::default(),
            orders_of_day: BTreeMap::new(),
            ordered_vms: BTreeMap::new(),
            remember_vms: false,
            unexplained: Unexplained::default(),
            harmed: BTreeSet::new(),
        };
        for event in fleet {
            world.record(&Partition::Fleet, event);
        }
        world
    }

    /// The world that this log leads to, from this moment on: its fleet, its rollouts, what is in flight.
    pub fn continuing(seed: u64, now: Time, facts: &[Fact]) -> Self {
        let mut world = Self::new(seed, now, Vec::new(), Faults::none(), Tape::counting());
        facts.iter().for_each(|fact| world.learn(fact));
        for vm in world.planner.fleet.vms.keys() {
            world.machines.add(vm, now);
        }
        let runs = world.coordinator.runs.values().flat_map(|runs| runs.values());
        for (vm, standing) in runs.flat_map(Run::standings) {
            match standing {
                Standing::InFlight(flight) => world.machines.go_on(&flight.order, &flight.work, now),
                Standing::Called { .. } | Standing::Baselined { .. } => {}
                _ => continue,
            }
            world.watched.insert(vm.clone());
        }
        world
    }

    /// The same with a patch that makes machines ill.
    pub fn with_bad_patch(self, bad_patch: Option<BadPatch>) -> Self {
        Self { bad_patch, ..self }
    }

    /// The same, remembering when each VM is ordered first.
    pub fn remembering_vms(self) -> Self {
        Self { remember_vms: true, ..self }
    }

    /// A person starts a rollout.
    ///
    /// # Errors
    /// The planner's refusal.
    pub fn start(&mut self, rollout: &RolloutId, policy: Policy) -> Result<(), Refusal> {
        let decisions = self.planner.start(rollout, policy, people::actor())?;
        self.carry_out(decisions);
        Ok(())
    }

    /// Turns until the moment, or until nothing will happen any more; tells of each day that passes.
    pub fn run(&mut self, until: Time, mut day: impl FnMut(Time)) {
        let mut today = self.now.date_naive();
        while self.now < until {
            self.turn();
            if self.now.date_naive() != today {
                today = self.now.date_naive();
                self.check();
                day(self.now);
            }
            let Some(next) = self.next() else { return };
            let tick =
                next.duration_trunc(TICK).map_or(next, |tick| if tick < next { tick + TICK } else { tick });
            self.now = tick.max(self.now + TICK).min(until);
        }
    }

    /// Whether the rollout halted, and is so still.
    pub fn is_halted(&self, rollout: &RolloutId) -> bool {
        let rollout = self.planner.rollouts.get(rollout);
        rollout.is_some_and(|rollout| matches!(rollout.status, Status::Halted { .. }))
    }

    /// The planner as it is now.
    pub fn planner(&self) -> &Planner {
        &self.planner
    }

    /// When each VM was ordered first, where that was asked for.
    pub fn first_orders(&self) -> &BTreeMap<VmId, Time> {
        &self.ordered_vms
    }

    /// Machines that the bad patch made ill.
    pub fn harmed(&self) -> usize {
        self.harmed.len()
    }

    /// The log.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// What it came to.
    pub fn outcome(&self, seed: u64) -> Outcome {
        let mut outcome =
            Outcome::of(seed, self.start, self.now, &self.tape, &self.planner, &self.coordinator);
        outcome.calendar = self.orders_of_day.clone();
        outcome.unexplained = self.unexplained.clone();
        outcome.count_missed(&self.planner, &self.coordinator, |vm| {
            self.machines.is_reachable(vm) && !self.faults.machines_can_miss() && self.bad_patch.is_none()
        });
        outcome
    }

    fn turn(&mut self) {
        if self.next_duty.is_some_and(|at| at <= self.now) {
            self.next_duty = None;
            self.do_duties();
        }
        if self.now >= self.next_heartbeat && !self.watched.is_empty() {
            self.heartbeats();
        }
        while let Some((vm, number, report)) = self.machines.due(self.now) {
            // One gateway, which loses nothing: what is new is a fact.
            let stored = self.stored.entry(vm.clone()).or_default();
            if number <= *stored {
                continue;
            }
            *stored = number;
            let Some(region) = self.planner.fleet.vms.get(&vm).map(|vm| vm.region.clone()) else { continue };
            if let Some(event) = fact_of(vm, number, report) {
                self.record(&Partition::Region(region), event);
            }
        }
        loop {
            let mut decisions = self.planner.decide(self.now);
            decisions.extend(self.attention.decide(&self.coordinator, self.now));
            decisions.extend(self.monitor.decide(self.now));
            if decisions.is_empty() {
                break;
            }
            self.carry_out(decisions);
        }
        if self.next_duty.is_none() && self.planner.rollouts.keys().any(|id| self.duty(id).is_some()) {
            self.next_duty = Some(self.now + PERSON_LOOKS);
        }
    }

    fn do_duties(&mut self) {
        let rollouts: Vec<RolloutId> = self.planner.rollouts.keys().cloned().collect();
        for rollout in rollouts {
            if let Some(Ok(decisions)) = self.duty(&rollout) {
                self.carry_out(decisions);
            }
        }
    }

    /// What a person must do for the rollout to go on. Nobody goes on with a bad patch: what it reaches before the halt is
    /// the question.
    fn duty(&self, rollout: &RolloutId) -> Option<Result<Vec<Decision>, Refusal>> {
        let is_bad = self.bad_patch.is_some() && self.is_halted(rollout);
        (!is_bad).then(|| people::duties(&self.planner, rollout)).flatten()
    }

    /// Is every VM explained? Of a large fleet some are looked at, every day others. Everything that could be decided is:
    /// nothing is excused.
    fn check(&mut self) {
        let vms = &self.planner.fleet.vms;
        let stride = vms.len().div_ceil(LOOKED_AT).max(1);
        let first = self.rng.random_range(0..stride);
        for vm in vms.keys().skip(first).step_by(stride) {
            let explanation = explain(vm, &self.planner, &self.coordinator, self.now);
            self.unexplained.look(&explanation, self.now, Duration::zero());
        }
    }

    fn next(&self) -> Option<Time> {
        let heartbeat = (!self.watched.is_empty()).then_some(self.next_heartbeat);
        let wakes = self.attention.next_wake().into_iter().chain(self.planner.next_wake(self.now));
        let wakes = wakes.chain(self.next_duty);
        wakes
            .chain(self.monitor.next_wake(self.now))
            .chain(self.machines.next_report_at())
            .chain(heartbeat)
            .min()
    }

    fn heartbeats(&mut self) {
        for vm in &self.watched {
            if let Some(signal) = self.machines.signal(vm, self.now) {
                self.monitor.hear(signal, self.now);
            }
        }
        self.next_heartbeat = self.now + HEARTBEAT;
    }

    fn carry_out(&mut self, decisions: Vec<Decision>) {
        for Decision { chain, events } in decisions {
            let partition = chain.partition();
            events.into_iter().for_each(|event| self.record(&partition, event));
        }
    }

    fn record(&mut self, partition: &Partition, event: Event) {
        if self.tape.is_kept() {
            self.tape.push(partition, event.clone(), self.now);
        } else {
            self.tape.events += 1;
        }
        let fact = Fact { partition: partition.clone(), at: self.now, event };
        self.learn(&fact);
        self.see(fact);
    }

    fn learn(&mut self, fact: &Fact) {
        self.planner.apply(fact);
        self.coordinator.apply(fact);
        self.monitor.apply(fact);
        self.attention.heed(fact, &self.coordinator);
    }

    fn see(&mut self, fact: Fact) {
        match &fact.event {
            Event::WatchRequested { vms, .. } | Event::ControlsRequested { vms, .. } => {
                for vm in vms {
                    self.watched.insert(vm.clone());
                    if let Some(signal) = self.machines.signal(vm, self.now) {
                        self.monitor.hear(signal, self.now);
                    }
                }
            }
            Event::VmSettled { vm, .. } | Event::VmSkipped { vm, .. } | Event::VmDeferred { vm, .. } => {
                self.watched.remove(vm);
            }
            Event::OrderPlaced { order } => {
                self.machines.take_up(order, self.now);
                if let Some(region) = fact.region() {
                    let days = self.orders_of_day.entry(region.clone()).or_default();
                    *days.entry(self.now.date_naive()).or_default() += 1;
                    self.poison(order, region.clone());
                }
                if self.remember_vms {
                    self.ordered_vms.entry(order.vm.clone()).or_insert(self.now);
                }
            }
            _ => {}
        }
    }

    /// The bad patch does its harm.
    fn poison(&mut self, order: &nightshift_domain::event::Order, region: RegionName) {
        let Some(bad) = self.bad_patch else { return };
        let phase = self.planner.rollouts.get(&order.rollout).and_then(|rollout| {
            rollout.turns().find(|(_, known, _)| **known == region).map(|(phase, ..)| phase + 1)
        });
        if phase.is_some_and(|phase| phase >= bad.from_phase) && self.rng.random_range(0..100) < bad.percent {
            self.machines.poison(&order.vm);
            self.harmed.insert(order.vm.clone());
        }
    }
}

fn fact_of(vm: VmId, report: u64, said: nightshift_domain::gateway::Report) -> Option<Event> {
    use nightshift_domain::gateway::Report;
    Some(match said {
        Report::Enabled => Event::AgentEnabled { vm, report },
        Report::Assessed(assessment) => Event::AgentAssessed { vm, report, assessment },
        Report::NotAssessed(why) => Event::AssessmentFailed { vm, report, why },
        Report::Checked(requirements) => Event::AgentChecked { vm, report, requirements },
        Report::Accepted(order, began) => Event::OrderAccepted { vm, report, order, began },
        Report::Finished(order, _) if order.as_str().starts_with("invented-") => return None,
        Report::Finished(order, result) => Event::OrderFinished { vm, report, order, result },
        Report::Refused(order, refused) => Event::OrderRefused { vm, report, order, refused },
        Report::Rebooted(order, boot_id) => Event::AgentRebooted { vm, report, order, boot_id },
    })
}
