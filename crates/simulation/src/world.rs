//! The world turns: facts to the minds, decisions to the log, reports from machines, and time.

use crate::machines::{Faults, Machines};
use chrono::Duration;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::health::Signal;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Actor, Status};
use nightshift_domain::{
    Chain, Decision, Event, Fact, Mind, Partition, Refusal, RegionName, RolloutId, Time, VmId,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng as _};
use std::collections::BTreeMap;

/// An event of the world's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place in its partition, from 1.
    pub position: u64,
    /// The event, its time and its partition.
    pub fact: Fact,
}

/// A fleet, the minds that patch it, and its log.
pub struct World {
    now: Time,
    rng: StdRng,
    faults: Faults,
    planner: Planner,
    coordinator: Coordinator,
    monitor: Monitor,
    machines: Machines,
    regions: BTreeMap<VmId, RegionName>,
    log: Vec<Record>,
    ends: BTreeMap<Partition, u64>,
}

/// How long machines that nothing happens to are not looked at: the interval of heartbeats.
const HEARTBEAT: Duration = Duration::minutes(5);

impl World {
    /// A world that begins with this fleet at this moment.
    pub fn new(seed: u64, start: Time, fleet: Vec<Event>, faults: Faults) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let regions: BTreeMap<VmId, RegionName> = fleet
            .iter()
            .filter_map(|event| match event {
                Event::VmRegistered { vm } => Some((vm.id.clone(), vm.region.clone())),
                _ => None,
            })
            .collect();
        let machines = Machines::new(&mut rng, regions.keys(), &faults);
        let mut world = Self {
            now: start,
            rng,
            faults,
            planner: Planner::default(),
            coordinator: Coordinator::default(),
            monitor: Monitor::default(),
            machines,
            regions,
            log: Vec::new(),
            ends: BTreeMap::new(),
        };
        world.monitor.listen(start);
        fleet.into_iter().for_each(|event| world.append(Partition::Fleet, event));
        world
    }

    /// A person starts a rollout.
    ///
    /// # Errors
    /// The planner's refusal.
    pub fn start(&mut self, rollout: &RolloutId, policy: Policy) -> Result<(), Refusal> {
        let actor = Actor { name: "simulation".into(), reason: "monthly".into() };
        let decisions = self.planner.start(rollout, policy, actor)?;
        self.carry_out(decisions);
        Ok(())
    }

    /// A person lets a halted rollout go on.
    ///
    /// # Errors
    /// The planner's refusal.
    pub fn resume(&mut self, rollout: &RolloutId) -> Result<(), Refusal> {
        let actor = Actor { name: "simulation".into(), reason: "accepted".into() };
        let decisions = self.planner.resume(rollout, actor)?;
        self.carry_out(decisions);
        Ok(())
    }

    /// Turns the world until the rollout is completed or halted and nothing of it is in flight, or until the moment.
    pub fn run(&mut self, rollout: &RolloutId, until: Time) -> Option<Status> {
        while self.now < until {
            self.turn();
            let status = self.planner.rollouts.get(rollout).map(|rollout| rollout.status.clone());
            match status {
                Some(Status::Completed { .. }) => return status,
                Some(Status::Halted { .. }) if self.machines.next_report_at().is_none() => return status,
                _ => {}
            }
            self.wait(until);
        }
        None
    }

    /// What happened.
    pub fn log(&self) -> &[Record] {
        &self.log
    }

    /// The time of the world.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) {
        if self.rng.random_range(0..100) < self.faults.service_killed {
            self.kill_a_service();
        }
        self.heartbeats();
        loop {
            while let Some(report) = self.machines.due(self.now) {
                self.append_of_vm(report);
            }
            let mut decisions = self.planner.decide(self.now);
            decisions.extend(self.coordinator.decide(self.now));
            decisions.extend(self.monitor.decide(self.now));
            if decisions.is_empty() {
                return;
            }
            self.carry_out(decisions);
        }
    }

    fn wait(&mut self, until: Time) {
        let wakes = [
            self.planner.next_wake(self.now),
            self.coordinator.next_wake(self.now),
            self.monitor.next_wake(self.now),
            self.machines.next_report_at(),
        ];
        let next = wakes.into_iter().flatten().min().unwrap_or(until);
        // Heartbeats come in between, but only matter where something is under way.
        let busy = self.coordinator.next_wake(self.now).is_some();
        let bound = if busy { self.now + HEARTBEAT } else { until };
        self.now = next.min(bound).max(self.now + Duration::seconds(1));
    }

    fn heartbeats(&mut self) {
        let heard: Vec<Signal> = self
            .machines
            .heartbeats()
            .map(|(vm, ailment)| Signal { vm: vm.clone(), at: self.now, boot_id: "boot".into(), ailment })
            .collect();
        heard.into_iter().for_each(|signal| self.monitor.hear(signal));
    }

    fn carry_out(&mut self, decisions: Vec<Decision>) {
        for Decision { chain, events } in decisions {
            for event in events {
                debug_assert_eq!(chain, Chain::of(&chain.partition(), &event.aggregate()));
                self.append(chain.partition(), event);
            }
        }
    }

    fn append_of_vm(&mut self, event: Event) {
        if let Some(region) = event.vm().and_then(|vm| self.regions.get(vm)) {
            self.append(Partition::Region(region.clone()), event);
        }
    }

    fn append(&mut self, partition: Partition, event: Event) {
        let end = self.ends.entry(partition.clone()).or_default();
        *end += 1;
        let fact = Fact { partition, at: self.now, event };
        self.planner.apply(&fact);
        self.coordinator.apply(&fact);
        self.monitor.apply(&fact);
        if let Event::OrderPlaced { order } = &fact.event {
            self.machines.take_up(&mut self.rng, order, self.now, &self.faults);
        }
        self.log.push(Record { position: *end, fact });
    }

    /// kill -9 and a restart: everything but the log is gone.
    fn kill_a_service(&mut self) {
        match self.rng.random_range(0..3) {
            0 => self.planner = replayed(&self.log),
            1 => self.coordinator = replayed(&self.log),
            _ => {
                self.monitor = replayed(&self.log);
                self.monitor.listen(self.now);
            }
        }
    }
}

fn replayed<M: Mind + Default>(log: &[Record]) -> M {
    let mut mind = M::default();
    log.iter().for_each(|record| mind.apply(&record.fact));
    mind
}
