//! The smallest world in which the minds can decide: facts reach both at once, and nothing is lost.

use chrono::Duration;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::event::Order;
use nightshift_domain::fleet::{Feature, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::health::{Baseline, Signal};
use nightshift_domain::patch::{Assessment, Classification, PatchOutcome, PatchState, RebootStatus};
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Actor, Rollout};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{
    Chain, Decision, Event, Fact, Mind, OrderId, Partition, Refusal, RegionName, RolloutId, SubscriptionId,
    Time, VmId,
};

/// What becomes of a machine that is called or ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    Healthy,
    /// No signal: deferred.
    Off,
    /// The installation of `bad 1` fails.
    Fails,
    /// Well installed, ill afterwards.
    Ill,
    /// Well before its patch; nothing is heard of it afterwards.
    Lost,
}

pub struct World {
    pub now: Time,
    pub planner: Planner,
    pub coordinator: Coordinator,
    pub facts: Vec<Fact>,
    /// What each machine installs, beside the package that may fail.
    pub installs: fn(&str) -> Vec<(&'static str, &'static str)>,
    /// Whether each machine's answer as a control comes after its own turn did.
    pub controls_late: bool,
    /// Which controls fall ill.
    pub controls_ill: fn(&str) -> bool,
    /// Whether machines that are to assess themselves do so, at once.
    pub assesses: bool,
}

pub fn rollout_id(name: &str) -> RolloutId {
    RolloutId::new(name).unwrap()
}

pub fn region(name: &str) -> RegionName {
    RegionName::new(name).unwrap()
}

pub fn vm_id(name: &str) -> VmId {
    VmId::new(name).unwrap()
}

pub fn actor() -> Actor {
    Actor { name: "tester".into(), reason: "to see".into() }
}

/// A machine `<region>-<number>` outside zones and sets.
pub fn vm(region_name: &str, number: usize) -> Vm {
    Vm {
        id: vm_id(&format!("{region_name}-{number}")),
        subscription: SubscriptionId::new("sub").unwrap(),
        resource_group: "group".into(),
        region: region(region_name),
        placement: Placement::Standalone,
        os: Os::Linux,
        image: Image { publisher: "Canonical".into(), offer: "UbuntuServer".into(), sku: "18.04-LTS".into() },
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: None,
        window: None,
        automatic_updates: None,
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    }
}

pub fn topology(pairs: &[(&str, &str)], others: &[&str]) -> Topology {
    let one = |name: &str, pair: Option<&str>| Region {
        name: region(name),
        time_zone: chrono_tz::Tz::UTC,
        pair: pair.map(region),
        zones: Default::default(),
    };
    let paired = pairs.iter().flat_map(|(a, b)| [one(a, Some(b)), one(b, None)]);
    Topology::new(Window::default_off_peak(), paired.chain(others.iter().map(|name| one(name, None))))
        .unwrap()
}

/// One after another, watched for a minute, over in a night.
pub fn policy() -> Policy {
    Policy {
        phase_shares: vec![50, 100],
        batch_percent: 50,
        soak: Duration::minutes(1),
        bake: Duration::hours(1),
        retry_nights: 3,
        ..Policy::default()
    }
}

impl World {
    pub fn new(topology: Topology, vms: Vec<Vm>) -> Self {
        let now = "2026-03-02T12:00:00Z".parse().unwrap();
        let (planner, coordinator) = (Planner::default(), Coordinator::default());
        let installs = |_: &str| vec![("good", "1")];
        let mut world = Self {
            now,
            planner,
            coordinator,
            facts: Vec::new(),
            installs,
            controls_late: false,
            controls_ill: |_| false,
            assesses: false,
        };
        let feature = (SubscriptionId::new("sub").unwrap(), Feature::InGuestAutoPatchVMPreview);
        let declared = world.planner.declare_fleet(topology, &[feature], vms).unwrap();
        world.append(declared);
        world
    }

    pub fn start(&mut self, id: &str, policy: Policy) {
        let started = self.planner.start(&rollout_id(id), policy, actor()).unwrap();
        self.append(started);
    }

    pub fn wish(&mut self, wished: Result<Vec<Decision>, Refusal>) {
        self.append(wished.unwrap());
    }

    pub fn rollout(&self, id: &str) -> &Rollout {
        &self.planner.rollouts[&rollout_id(id)]
    }

    /// Goes on for so many days, or until nothing will happen any more.
    pub fn run(&mut self, days: i64, fate: impl Fn(&str, Time) -> Fate) {
        self.run_while(days, fate, |_| true);
    }

    pub fn run_while(&mut self, days: i64, fate: impl Fn(&str, Time) -> Fate, go_on: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::days(days);
        while self.now < end && go_on(self) {
            self.turn(&fate);
            let wakes = [self.planner.next_wake(self.now), self.coordinator.next_wake(self.now)];
            match wakes.into_iter().flatten().min() {
                Some(wake) => self.now = wake.min(end),
                None => return,
            }
        }
    }

    /// All that happens at this moment.
    fn turn(&mut self, fate: &impl Fn(&str, Time) -> Fate) {
        for _ in 0..10_000 {
            let mut decisions = self.planner.decide(self.now);
            decisions.extend(self.coordinator.decide(self.now));
            if decisions.is_empty() {
                return;
            }
            let first = self.facts.len();
            self.append(decisions);
            for index in first..self.facts.len() {
                let fact = self.facts[index].clone();
                self.answer(&fact, fate);
            }
        }
        panic!("the minds do not come to rest: {:?}", self.facts.last());
    }

    fn answer(&mut self, fact: &Fact, fate: &impl Fn(&str, Time) -> Fate) {
        let Some(region) = fact.region().cloned() else { return };
        match &fact.event {
            Event::WatchRequested { rollout, vms } => {
                for vm in vms {
                    let off = fate(vm.as_str(), self.now) == Fate::Off;
                    let baseline = if off { Baseline::Silent } else { Baseline::Well };
                    let (vm, rollout) = (vm.clone(), rollout.clone());
                    if self.controls_late {
                        let sample = Some(OrderId::new("controls-1").unwrap());
                        let (vm, rollout, baseline) = (vm.clone(), rollout.clone(), Baseline::Well);
                        self.fact(&region, Event::WatchOpened { vm, rollout, baseline, sample });
                    }
                    self.fact(&region, Event::WatchOpened { vm, rollout, baseline, sample: None });
                }
            }
            Event::AssessmentsRequested { vms, .. } if self.assesses => {
                for vm in vms.clone() {
                    let assessment = Assessment::default();
                    self.fact(&region, Event::AgentAssessed { vm, report: 1, assessment });
                }
            }
            Event::ControlsRequested { rollout, sample, vms } => {
                for vm in vms {
                    let (vm, rollout, sample) = (vm.clone(), rollout.clone(), Some(sample.clone()));
                    self.fact(&region, Event::WatchOpened { vm, rollout, baseline: Baseline::Well, sample });
                }
                for vm in vms {
                    let (vm, order) = (vm.clone(), sample.clone());
                    let why = "silent".to_owned();
                    self.fact(
                        &region,
                        match (self.controls_ill)(vm.as_str()) {
                            true => Event::HealthUnknown { vm, order, why },
                            false => Event::HealthConfirmed { vm, order },
                        },
                    );
                }
            }
            Event::OrderPlaced { order } => {
                let fate = fate(order.vm.as_str(), self.now);
                let (vm, id) = (order.vm.clone(), order.id.clone());
                let result = self.report(order, fate);
                let fate =
                    if result.failure().is_none() && fate == Fate::Fails { Fate::Healthy } else { fate };
                self.fact(
                    &region,
                    Event::OrderFinished { vm: vm.clone(), report: 1, order: id.clone(), result },
                );
                let signal = Signal::heartbeat(vm.clone(), self.now, "b", Some("ill".into()));
                match fate {
                    Fate::Healthy => self.fact(&region, Event::HealthConfirmed { vm, order: id }),
                    Fate::Ill => self.fact(&region, Event::HealthFailed { vm, order: id, signal }),
                    Fate::Off | Fate::Fails | Fate::Lost => {}
                }
            }
            _ => {}
        }
    }

    fn report(&self, order: &Order, fate: Fate) -> InstallReport {
        let patch = |name: &str, version: &str, state| PatchOutcome {
            name: name.into(),
            version: version.into(),
            classification: Classification::Security,
            state,
            detail: String::new(),
        };
        let mut patches: Vec<PatchOutcome> = (self.installs)(order.vm.as_str())
            .into_iter()
            .map(|(name, version)| patch(name, version, PatchState::Installed))
            .collect();
        let barred = order.selection.barred.iter().any(|barred| barred.name == "bad");
        if fate == Fate::Fails && !barred {
            patches.push(patch("bad", "1", PatchState::Failed));
        }
        InstallReport {
            patches,
            reboot: RebootStatus::NotNeeded,
            boot_id: "b".into(),
            window_exceeded: false,
            error: None,
        }
    }

    pub fn append(&mut self, decisions: Vec<Decision>) {
        for Decision { chain, events } in decisions {
            for event in events {
                assert_eq!(chain, Chain::of(&chain.partition(), &event.aggregate()));
                self.take(Fact { partition: chain.partition(), at: self.now, event });
            }
        }
    }

    pub fn fact(&mut self, region: &RegionName, event: Event) {
        self.take(Fact { partition: Partition::Region(region.clone()), at: self.now, event });
    }

    fn take(&mut self, fact: Fact) {
        self.planner.apply(&fact);
        self.coordinator.apply(&fact);
        self.facts.push(fact);
    }

    /// Orders placed so far, each with when and for whom.
    pub fn orders(&self) -> Vec<(Time, &Order)> {
        let orders = self.facts.iter().filter_map(|fact| match &fact.event {
            Event::OrderPlaced { order } => Some((fact.at, order)),
            _ => None,
        });
        orders.collect()
    }

    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.facts.iter().filter(|fact| wanted(&fact.event)).count()
    }

    /// Both minds anew from the log alone, the partitions one after another: what a restart sees.
    pub fn replayed(&self) -> (Planner, Coordinator) {
        let (mut planner, mut coordinator) = (Planner::default(), Coordinator::default());
        for regions in [false, true] {
            for fact in self.facts.iter().filter(|fact| fact.region().is_some() == regions) {
                planner.apply(fact);
                coordinator.apply(fact);
            }
        }
        (planner, coordinator)
    }
}
