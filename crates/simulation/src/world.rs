//! The hostile world: instances that see the log late and die, appends that come second, machines and people with a
//! will of their own.

use crate::faults::Faults;
use crate::machines::Machines;
use crate::outcome::{Outcome, Unexplained};
use crate::people::{self, PERSON_LOOKS};
use crate::service::{AnyMind, Service};
use crate::tape::Tape;
use chrono::Duration;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::explain::explain;
use nightshift_domain::gateway::Gateway;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rhythm::Rhythm;
use nightshift_domain::rollout::{Rollout, Status};
use nightshift_domain::{Decision, Event, Mind as _, Partition, Refusal, RolloutId, Time, VmId};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;

/// How often a watched machine is heard.
const HEARTBEAT: Duration = Duration::minutes(5);
/// The world looks at itself this often: is every waiting VM explained?
const CHECK: Duration = Duration::hours(5);
/// Services that hear late, crash and come second have acted after so long.
const PATIENCE: Duration = Duration::minutes(30);

/// A fleet, the services that patch it, and everything that stands in their way.
pub struct World {
    now: Time,
    start: Time,
    rng: StdRng,
    faults: Faults,
    tape: Tape,
    services: Vec<Service>,
    machines: Machines,
    /// What the log says, for people and for the world's own eyes: a planner and a coordinator without lag.
    truth: (Planner, Coordinator),
    watched: BTreeMap<VmId, Time>,
    next: BTreeMap<Chore, Time>,
    changes: u32,
    installs: u32,
    unexplained: Unexplained,
    /// Of each service since when how often it was killed.
    kills: BTreeMap<usize, (Time, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Chore {
    Heartbeats,
    Duties,
    Whims,
    FleetChanges,
    Installs,
    Check,
}

impl World {
    /// A world that begins with this fleet at this moment.
    pub fn new(seed: u64, start: Time, fleet: &[Event], faults: Faults) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let vms = fleet.iter().filter_map(|event| match event {
            Event::VmRegistered { vm } => Some(&vm.id),
            _ => None,
        });
        let machines = Machines::new(seed, start, vms, faults);
        let mut services = Vec::new();
        for _ in 0..faults.instances.max(1) {
            let mut monitor = Monitor::default();
            monitor.listen(start);
            let minds = [
                AnyMind::Planner(Box::default()),
                AnyMind::Coordinator(Box::default()),
                AnyMind::Monitor(Box::new(monitor)),
                AnyMind::Gateway(Box::<Gateway>::default()),
            ];
            for mind in minds {
                let most = i64::from(faults.skew);
                let skew = Duration::seconds(if most == 0 { 0 } else { rng.random_range(-most..=most) });
                services.push(Service::new(mind, skew, faults.longest_lag));
            }
        }
        let mut next = BTreeMap::from([
            (Chore::Heartbeats, start),
            (Chore::Duties, start + PERSON_LOOKS),
            (Chore::Check, start + CHECK),
        ]);
        if faults.wishes > 0 {
            next.insert(Chore::Whims, start + Duration::hours(11));
        }
        if faults.fleet_changes > 0 {
            next.insert(Chore::FleetChanges, start + Duration::hours(13));
        }
        if faults.installs > 0 {
            next.insert(Chore::Installs, start + Duration::hours(3));
        }
        let truth = (Planner::default(), Coordinator::default());
        let (watched, unexplained, tape) = (BTreeMap::new(), Unexplained::default(), Tape::keeping());
        let mut world = Self {
            now: start,
            start,
            rng,
            faults,
            tape,
            services,
            machines,
            truth,
            watched,
            next,
            changes: 0,
            installs: 0,
            unexplained,
            kills: BTreeMap::new(),
        };
        for event in fleet {
            world.record(&Partition::Fleet, event.clone());
        }
        for service in &mut world.services {
            service.restart(&mut world.rng, &world.tape, start);
        }
        world
    }

    /// A person starts a rollout.
    ///
    /// # Errors
    /// The planner's refusal.
    pub fn start(&mut self, rollout: &RolloutId, policy: Policy) -> Result<(), Refusal> {
        let decisions = self.truth.0.start(rollout, policy, people::actor())?;
        self.wish(Ok(decisions));
        Ok(())
    }

    /// A person declares the monthly rhythm.
    ///
    /// # Errors
    /// The planner's refusal.
    pub fn declare_rhythm(&mut self, rhythm: Rhythm) -> Result<(), Refusal> {
        let decisions = self.truth.0.declare_rhythm(Some(rhythm), people::actor())?;
        self.wish(Ok(decisions));
        Ok(())
    }

    /// Turns the world until the moment, or until every rollout is completed and nothing is under way.
    pub fn run(&mut self, until: Time) {
        while self.now < until && !self.is_over() {
            self.turn();
            self.wait(until);
        }
    }

    /// What happened, with the auditor's verdict.
    pub fn outcome(&self, seed: u64) -> Outcome {
        let mut outcome = Outcome::of(seed, self.start, self.now, &self.tape, &self.truth.0, &self.truth.1);
        outcome.unexplained = self.unexplained.clone();
        outcome.count_missed(&self.truth.0, &self.truth.1, |vm| {
            self.machines.is_reachable(vm) && !self.faults.machines_can_miss()
        });
        outcome
    }

    /// The log.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The time of the world.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The planner and the coordinator as the whole log makes them.
    pub fn truth(&self) -> (&Planner, &Coordinator) {
        (&self.truth.0, &self.truth.1)
    }

    fn is_over(&self) -> bool {
        let planner = &self.truth.0;
        let ended = |status: &Status| matches!(status, Status::Completed { .. });
        planner.rhythm.is_none()
            && !planner.rollouts.is_empty()
            && planner.rollouts.values().all(|rollout| ended(&rollout.status))
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) {
        self.chores();
        while let Some((vm, number, report)) = self.machines.due(self.now) {
            self.deliver(&vm, number, report);
        }
        let mut order: Vec<usize> = (0..self.services.len()).collect();
        order.shuffle(&mut self.rng);
        for index in order {
            self.serve(index);
        }
    }

    /// One instance reads on, decides and appends, until it has nothing more to say or is killed.
    fn serve(&mut self, index: usize) {
        if self.happens(self.faults.crashes) {
            self.kill(index);
        }
        for _ in 0..100 {
            self.services[index].read_on(&mut self.rng, &self.tape, self.now);
            self.services[index].ask(self.now, self.faults);
            let decisions = self.services[index].decide(self.now);
            let mut appended = false;
            for decision in decisions {
                let service = &self.services[index];
                let (expected, at) = (service.head(&decision.chain), service.stamp(self.now));
                let Some(entries) = self.tape.append(&decision, expected, at) else { continue };
                appended = true;
                entries.iter().for_each(|entry| self.see(&entry.fact.event, &entry.fact.partition, at));
                if self.happens(self.faults.unknown_appends) {
                    // It is killed before it hears that the append succeeded.
                    if self.kill(index) {
                        return;
                    }
                }
                entries.iter().for_each(|entry| self.services[index].take(entry));
            }
            if !appended {
                return;
            }
        }
    }

    /// A report reaches a gateway, which makes it a fact if it is new; who sent it is told only then.
    fn deliver(&mut self, vm: &VmId, number: u64, report: nightshift_domain::gateway::Report) {
        let gateways = self.services.iter().enumerate();
        let gateways = gateways.filter(|(_, service)| matches!(service.mind, AnyMind::Gateway(_)));
        let gateways: Vec<usize> = gateways.map(|(index, _)| index).collect();
        let index = gateways[self.rng.random_range(0..gateways.len())];
        for _ in 0..3 {
            let AnyMind::Gateway(gateway) = &self.services[index].mind else { return };
            let Ok(Some(decision)) = gateway.report(vm, number, report.clone()) else {
                // Stored already, or refused: it reads on and looks once more.
                self.services[index].catch_up(&self.tape);
                let AnyMind::Gateway(gateway) = &self.services[index].mind else { return };
                match gateway.report(vm, number, report.clone()) {
                    Ok(Some(_)) => continue,
                    _ => return,
                }
            };
            let service = &self.services[index];
            let (expected, at) = (service.head(&decision.chain), service.stamp(self.now));
            match self.tape.append(&decision, expected, at) {
                Some(entries) => {
                    for entry in &entries {
                        self.see(&entry.fact.event, &entry.fact.partition, at);
                        self.services[index].take(entry);
                    }
                    return;
                }
                None => self.services[index].catch_up(&self.tape),
            }
        }
    }

    /// A person's wish, decided on the newest state; one that comes second is simply lost.
    fn wish(&mut self, wished: Result<Vec<Decision>, Refusal>) {
        for decision in wished.unwrap_or_default() {
            for event in decision.events {
                self.record(&decision.chain.partition(), event);
            }
        }
    }

    fn record(&mut self, partition: &Partition, event: Event) {
        let at = self.now.max(self.tape.newest());
        self.tape.push(partition, event.clone(), at);
        self.see(&event, partition, at);
    }

    /// What follows from a fact outside of the services: orders reach machines, wishes to assess as well.
    fn see(&mut self, event: &Event, partition: &Partition, at: Time) {
        let fact = nightshift_domain::Fact { partition: partition.clone(), at, event: event.clone() };
        self.truth.0.apply(&fact);
        self.truth.1.apply(&fact);
        match event {
            Event::WatchRequested { vms, .. } | Event::ControlsRequested { vms, .. } => {
                self.watched.extend(vms.iter().map(|vm| (vm.clone(), self.now)));
                self.next.insert(Chore::Heartbeats, self.now);
            }
            Event::VmSettled { vm, .. } | Event::VmSkipped { vm, .. } | Event::VmDeferred { vm, .. } => {
                self.watched.remove(vm);
            }
            Event::OrderPlaced { order } => self.machines.take_up(order, self.now),
            Event::AssessmentsRequested { vms, not_after, .. } => {
                vms.iter().for_each(|vm| self.machines.assess(vm, self.now, *not_after));
            }
            _ => {}
        }
    }

    fn wait(&mut self, until: Time) {
        let services = self.services.iter();
        let wakes = services.flat_map(|service| {
            [service.next_wake(self.now), service.next_arrival(&self.tape)].into_iter().flatten()
        });
        let chores = self.next.values().copied();
        let next = wakes.chain(chores).chain(self.machines.next_report_at()).min().unwrap_or(until);
        self.now = next.min(until).max(self.now + Duration::seconds(1));
    }

    /// kill -9 and a restart; not all the time, or a large fleet would see nothing else.
    fn kill(&mut self, index: usize) -> bool {
        let (day, kills) = self.kills.entry(index).or_insert((self.now, 0));
        if self.now - *day >= Duration::days(1) {
            (*day, *kills) = (self.now, 0);
        }
        *kills += 1;
        // What a service does grows with the fleet, and so does what it costs to read it all anew.
        let most =
            u32::try_from(1_000 / self.truth.0.fleet.vms.len().max(1)).unwrap_or(u32::MAX).clamp(2, 10);
        let is_killed = *kills <= most;
        if is_killed {
            self.services[index].restart(&mut self.rng, &self.tape, self.now);
        }
        is_killed
    }

    fn happens(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    fn chores(&mut self) {
        let due: Vec<Chore> =
            self.next.iter().filter(|(_, at)| **at <= self.now).map(|(chore, _)| *chore).collect();
        for chore in due {
            let pause = match chore {
                Chore::Heartbeats => self.heartbeats(),
                Chore::Duties => self.duties(),
                Chore::Whims => self.whims(),
                Chore::FleetChanges => self.change_fleet(),
                Chore::Installs => self.install(),
                Chore::Check => self.check(),
            };
            self.next.insert(chore, self.now + pause);
        }
    }

    fn heartbeats(&mut self) -> Duration {
        let watched: Vec<VmId> = self.watched.keys().cloned().collect();
        for vm in watched {
            let Some(signal) = self.machines.signal(&vm, self.now) else { continue };
            for service in &mut self.services {
                if let AnyMind::Monitor(monitor) = &mut service.mind {
                    monitor.hear(signal.clone(), self.now);
                }
            }
        }
        if self.watched.is_empty() { Duration::days(1) } else { HEARTBEAT }
    }

    fn duties(&mut self) -> Duration {
        let rollouts: Vec<RolloutId> = self.truth.0.rollouts.keys().cloned().collect();
        for rollout in rollouts {
            let planner = &self.truth.0;
            let is_halted =
                |rollout: &Rollout| matches!(rollout.status, Status::Halted { .. }) && self.faults.wishes > 0;
            // One who has whims does not always accept what failed.
            let retried = planner.rollouts.get(&rollout).filter(|rollout| is_halted(rollout));
            let retried = retried
                .filter(|_| self.rng.random_bool(0.5))
                .map(|_| planner.retry(&rollout, people::actor()));
            let wish = retried.filter(Result::is_ok).or_else(|| people::duties(planner, &rollout));
            if let Some(wish) = wish {
                self.wish(wish);
            }
        }
        PERSON_LOOKS
    }

    fn whims(&mut self) -> Duration {
        let rollouts: Vec<RolloutId> = self.truth.0.rollouts.keys().cloned().collect();
        if !rollouts.is_empty() {
            let rollout = &rollouts[self.rng.random_range(0..rollouts.len())];
            let wish = people::whim(&mut self.rng, &self.truth.0, rollout);
            self.wish(wish);
        }
        self.often(self.faults.wishes)
    }

    fn change_fleet(&mut self) -> Duration {
        self.changes += 1;
        let (wish, new) = people::change_fleet(&mut self.rng, &self.truth.0, self.changes);
        if let (Ok(_), Some(vm)) = (&wish, new) {
            self.machines.add(&vm.id, self.now);
        }
        self.wish(wish);
        self.often(self.faults.fleet_changes)
    }

    fn install(&mut self) -> Duration {
        self.installs += 1;
        let wish = people::install(&mut self.rng, &self.truth.0, self.installs, self.now);
        self.wish(wish);
        self.often(self.faults.installs)
    }

    /// So many times a month, at no regular hour.
    fn often(&mut self, a_month: u32) -> Duration {
        let hours = i64::from(720 / a_month.max(1));
        Duration::minutes(self.rng.random_range(hours * 30..=hours * 90))
    }

    fn check(&mut self) -> Duration {
        let (planner, coordinator) = &self.truth;
        for vm in planner.fleet.vms.keys() {
            self.unexplained.look(&explain(vm, planner, coordinator, self.now), self.now, PATIENCE);
        }
        if self.unexplained.has_doubts() { PATIENCE } else { CHECK }
    }
}
