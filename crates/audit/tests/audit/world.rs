//! The real minds (planner, coordinator, health-monitor), with machines that take their time and do as they are told:
//! the smallest world that writes a whole log.

use chrono::Duration;
use nightshift_audit::Record;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::event::Order;
use nightshift_domain::fleet::{Feature, Vm};
use nightshift_domain::health::Signal;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::patch::{Classification, Patch, PatchOutcome, PatchState, RebootStatus};
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Actor, Status};
use nightshift_domain::selection::Choice;
use nightshift_domain::topology::Topology;
use nightshift_domain::{Decision, Event, Fact, Mind, Partition, Refusal, RegionName, RolloutId, Time, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a machine in a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// It gives no signal and takes no orders.
    Off,
    /// Ill before anything is done to it.
    IllBefore,
    /// The installation of `bad 1` fails, if it is ordered.
    Fails,
    /// Ill after its patch.
    IllAfter,
    /// It accepts its order and is never heard of again.
    Vanishes,
}

pub struct World {
    pub now: Time,
    pub planner: Planner,
    coordinator: Coordinator,
    monitor: Monitor,
    /// What machines report, and when.
    due: BTreeMap<(Time, u64), (RegionName, Event)>,
    count: u64,
    /// Machines that ended an order, and when it is felt.
    patched: BTreeSet<VmId>,
    pub facts: Vec<Fact>,
}

impl World {
    pub fn new(now: Time, topology: Topology, vms: Vec<Vm>) -> Self {
        let mut monitor = Monitor::default();
        monitor.listen(now - Duration::days(1));
        let (planner, coordinator) = (Planner::default(), Coordinator::default());
        let (due, patched, facts) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut world = Self { now, planner, coordinator, monitor, due, count: 0, patched, facts };
        let subscriptions: BTreeSet<_> = vms.iter().map(|vm| vm.subscription.clone()).collect();
        let features: Vec<_> =
            subscriptions.into_iter().map(|id| (id, Feature::InGuestAutoPatchVMPreview)).collect();
        let enabled: Vec<_> = vms.iter().map(|vm| (vm.region.clone(), vm.id.clone())).collect();
        let declared = world.planner.declare_fleet(topology, &features, vms).unwrap();
        world.append(declared);
        for (region, vm) in enabled {
            let event = Event::AgentEnabled { vm, report: 1 };
            world.take(Fact { partition: Partition::Region(region), at: now, event });
        }
        world
    }

    pub fn start(&mut self, name: &str, policy: Policy) {
        let started = self.planner.start(&rollout_id(name), policy, actor());
        self.wish(started);
    }

    pub fn wish(&mut self, wished: Result<Vec<Decision>, Refusal>) {
        self.append(wished.unwrap());
    }

    pub fn is_over(&self) -> bool {
        self.planner.rollouts.values().all(|rollout| matches!(rollout.status, Status::Completed { .. }))
    }

    /// Goes on until then, or until nothing will happen any more; `person` has a look whenever the minds have come
    /// to rest.
    pub fn run(&mut self, end: Time, fate: &dyn Fn(&VmId, Time) -> Fate, person: &dyn Fn(&mut World)) {
        while self.now < end && !self.is_over() {
            self.settle(fate);
            person(self);
            self.settle(fate);
            let minds: [&dyn Mind; 3] = [&self.planner, &self.coordinator, &self.monitor];
            let wakes = minds.into_iter().filter_map(|mind| mind.next_wake(self.now));
            let due = self.due.keys().map(|(at, _)| *at).next();
            let Some(next) = wakes.chain(due).min() else { return };
            self.now = next.min(end);
        }
    }

    /// All that happens at this moment.
    fn settle(&mut self, fate: &dyn Fn(&VmId, Time) -> Fate) {
        for _ in 0..10_000 {
            let mut decisions = Vec::new();
            while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (region, event) = entry.remove();
                self.take(Fact { partition: Partition::Region(region), at: self.now, event });
            }
            self.signals(fate);
            let minds: [&dyn Mind; 3] = [&self.planner, &self.coordinator, &self.monitor];
            minds.into_iter().for_each(|mind| decisions.extend(mind.decide(self.now)));
            if decisions.is_empty() {
                return;
            }
            let first = self.facts.len();
            self.append(decisions);
            let new: Vec<Fact> = self.facts[first..].to_vec();
            for fact in new {
                if let (Some(region), Event::OrderPlaced { order }) = (fact.region(), &fact.event) {
                    self.ordered(region, order, fate(&order.vm, self.now));
                }
            }
        }
        panic!("the minds do not come to rest: {:?}", self.facts.last());
    }

    /// Every machine that is on says how it is.
    fn signals(&mut self, fate: &dyn Fn(&VmId, Time) -> Fate) {
        for vm in self.planner.fleet.vms.keys() {
            if !self.monitor.is_watched(vm) {
                continue;
            }
            let fate = fate(vm, self.now);
            let ailment = match fate {
                Fate::Off => continue,
                Fate::Vanishes if self.patched.contains(vm) => continue,
                Fate::IllBefore => Some("ill".to_owned()),
                Fate::IllAfter if self.patched.contains(vm) => Some("ill".to_owned()),
                _ => None,
            };
            let signal = Signal::heartbeat(vm.clone(), self.now, "b", ailment);
            self.monitor.hear(signal, self.now);
        }
    }

    fn ordered(&mut self, region: &RegionName, order: &Order, fate: Fate) {
        let (vm, id) = (order.vm.clone(), order.id.clone());
        self.patched.remove(&vm);
        if fate == Fate::Off {
            return;
        }
        let began = self.now + Duration::minutes(1);
        let accepted = Event::OrderAccepted { vm: vm.clone(), report: 2, order: id.clone(), began };
        self.after(Duration::minutes(1), region, accepted);
        if fate != Fate::Vanishes {
            let result = report(order, fate);
            self.after(
                Duration::minutes(4),
                region,
                Event::OrderFinished { vm, report: 3, order: id, result },
            );
        }
    }

    fn after(&mut self, delay: Duration, region: &RegionName, event: Event) {
        self.count += 1;
        self.due.insert((self.now + delay, self.count), (region.clone(), event));
    }

    fn append(&mut self, decisions: Vec<Decision>) {
        for Decision { chain, events } in decisions {
            for event in events {
                self.take(Fact { partition: chain.partition(), at: self.now, event });
            }
        }
    }

    fn take(&mut self, fact: Fact) {
        match &fact.event {
            Event::OrderFinished { vm, .. } => {
                self.patched.insert(vm.clone());
            }
            Event::WatchRequested { vms, .. } => vms.iter().for_each(|vm| {
                self.patched.remove(vm);
            }),
            _ => {}
        }
        self.planner.apply(&fact);
        self.coordinator.apply(&fact);
        self.monitor.apply(&fact);
        self.facts.push(fact);
    }

    /// What was written, as a log.
    pub fn records(&self) -> Vec<Record> {
        let mut next = BTreeMap::<Partition, u64>::new();
        let record = |fact: &Fact| {
            let position = next.entry(fact.partition.clone()).or_default();
            *position += 1;
            Record {
                partition: fact.partition.clone(),
                position: *position,
                at: fact.at,
                event: fact.event.clone(),
            }
        };
        self.facts.iter().map(record).collect()
    }
}

pub fn rollout_id(name: &str) -> RolloutId {
    name.parse().unwrap()
}

pub fn actor() -> Actor {
    Actor { name: "someone".into(), reason: "it is time".into() }
}

/// The machine does what the order's selection says, with packages that go by its name.
fn report(order: &Order, fate: Fate) -> InstallReport {
    let number = order.vm.as_str().bytes().map(u32::from).sum::<u32>();
    let mut packages = vec![("good", "1"), ("noise", "7")];
    packages.extend(number.is_multiple_of(3).then_some(("rare", "2")));
    packages.extend((fate == Fate::Fails).then_some(("bad", "1")));
    let outcome = |(name, version): (&str, &str)| {
        let classification = if name == "noise" { Classification::Other } else { Classification::Security };
        let (name, version) = (name.to_owned(), version.to_owned());
        let patch = Patch { name, version, classification, obstacle: None };
        let state = match order.selection.choose(&patch) {
            Choice::Selected if patch.name == "bad" => PatchState::Failed,
            Choice::Selected => PatchState::Installed,
            Choice::NotSelected => PatchState::NotSelected,
            Choice::Excluded(_) => PatchState::Excluded,
        };
        let Patch { name, version, .. } = patch;
        PatchOutcome { name, version, classification, state, detail: String::new() }
    };
    InstallReport {
        patches: packages.into_iter().map(outcome).collect(),
        reboot: RebootStatus::NotNeeded,
        boot_id: "b".into(),
        window_exceeded: false,
        error: None,
    }
}
