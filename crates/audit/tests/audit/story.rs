//! A small log that keeps every rule, and the means to spoil it.
//!
//! Rollout `monthly`: phase 0 is region `west` (two zones, two availability sets, two other VMs), phase 1 is its
//! geo-pair `east`, a night later. Region `north` has no pair and nothing to do.

use chrono::{DateTime, Duration, Utc};
use nightshift_audit::{Record, Report, audit};
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::{Order, Outcome};
use nightshift_domain::fleet::{Feature, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::health::Baseline;
use nightshift_domain::layout::{Member, StageKey, StepKey};
use nightshift_domain::patch::{Classification, PatchOutcome, PatchState, RebootSetting, RebootStatus};
use nightshift_domain::plan::{PlannedPhase, PlannedRegion};
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::rollout::{Actor, Tally};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{Event, Partition, RegionName, RolloutId, Time, VmId};
use std::collections::BTreeMap;

/// 22:00 in Berlin: the windows open.
pub const NIGHT: &str = "2026-01-09T21:00:00Z";

pub struct Story {
    pub entries: Vec<(Partition, Time, Event)>,
    /// When the next event happens.
    pub now: Time,
    vms: BTreeMap<VmId, Vm>,
    /// Whether the tallies are as they are told; else they are counted when the story becomes a log.
    pub tallies_as_told: bool,
}

pub fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

pub fn monthly() -> RolloutId {
    id("monthly")
}

pub fn region(name: &str) -> Partition {
    Partition::Region(id(name))
}

pub fn set(name: &str, update_domain: u8) -> Placement {
    Placement::AvailabilitySet { set: id(name), update_domain }
}

pub fn vm(name: &str, region: &str, placement: Placement) -> Vm {
    Vm {
        id: id(name),
        subscription: id("sub"),
        resource_group: "group".into(),
        region: id(region),
        placement,
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

pub fn topology(pairs: &[(&str, &str)]) -> Topology {
    let region = |name: &str| Region {
        name: id(name),
        time_zone: chrono_tz::Europe::Berlin,
        pair: pairs.iter().find(|(from, _)| *from == name).map(|(_, to)| id(to)),
        zones: [id("z1"), id("z2")].into(),
    };
    Topology::new(Window::default_off_peak(), ["west", "east", "north"].map(region)).unwrap()
}

pub fn actor() -> Actor {
    Actor { name: "someone".into(), reason: "it is time".into() }
}

pub fn policy() -> Policy {
    Policy { budgets: Budgets::all(20, 0), soak: Duration::minutes(5), ..Policy::default() }
}

pub fn tally(healthy: u32, failed: u32) -> Tally {
    Tally { healthy, failed, skipped: 0, deferred: 0 }
}

/// A run halts at a step, whatever the evidence.
pub fn run_halted(step: StepKey, why: String) -> Event {
    Event::RunHalted { rollout: monthly(), step, why, evidence: Default::default() }
}

pub fn batch(number: u32) -> StepKey {
    StepKey::Batch(number)
}

pub fn phase(regions: &[&str]) -> PlannedPhase {
    let region = |name: &&str| PlannedRegion { region: id(name), vms: 1, why: "it is planned".into() };
    PlannedPhase { regions: regions.iter().map(region).collect() }
}

impl Story {
    /// A fleet of these VMs, on the eve.
    pub fn of(vms: Vec<Vm>) -> Self {
        let eve = NIGHT.parse::<DateTime<Utc>>().unwrap() - Duration::hours(3);
        let mut story = Self { entries: Vec::new(), now: eve, vms: BTreeMap::new(), tallies_as_told: false };
        story.tell(Partition::Fleet, Event::TopologyDeclared { topology: topology(&[("west", "east")]) });
        let feature = Feature::InGuestAutoPatchVMPreview;
        story.tell(Partition::Fleet, Event::FeatureRegistered { subscription: id("sub"), feature });
        for vm in vms {
            story.vms.insert(vm.id.clone(), vm.clone());
            story.tell(Partition::Fleet, Event::VmRegistered { vm: vm.clone() });
            let enabled = Event::AgentEnabled { vm: vm.id, report: 1 };
            story.tell(Partition::Region(vm.region), enabled);
        }
        story
    }

    /// The story that keeps every rule.
    pub fn clean() -> Self {
        let zone = |name: &str| Placement::Zone(id(name));
        let mut story = Self::of(vec![
            vm("z1a", "west", zone("z1")),
            vm("z2a", "west", zone("z2")),
            vm("s0", "west", set("two-domains", 0)),
            vm("s1", "west", set("two-domains", 1)),
            vm("t0", "west", set("one-domain", 0)),
            vm("t1", "west", set("one-domain", 0)),
            vm("a1", "west", Placement::Standalone),
            vm("a2", "west", Placement::Standalone),
            vm("e1", "east", Placement::Standalone),
            vm("e2", "east", Placement::Standalone),
        ]);
        let phases = vec![phase(&["west"]), phase(&["east"])];
        story.tell(
            Partition::Rollout,
            Event::RolloutRequested { rollout: monthly(), policy: policy(), actor: actor(), on_demand: None },
        );
        story.tell(Partition::Rollout, Event::RolloutPlanned { rollout: monthly(), phases });

        story.now = NIGHT.parse().unwrap();
        story.begin(0, "west", &["z1a", "z2a", "s0", "s1", "t0", "t1", "a1", "a2"]);
        for (zone, vm) in [("z1", "z1a"), ("z2", "z2a")] {
            let stage = StageKey::Zone(id(zone));
            story.tell(region("west"), Event::StageStarted { rollout: monthly(), stage: stage.clone() });
            story.step("west", StepKey::ZoneBatch { zone: id(zone), batch: 1 }, &[vm], 1);
            story.tell(region("west"), Event::StageEnded { rollout: monthly(), stage });
        }
        let update_domain = |set, update_domain| StepKey::UpdateDomain { set: id(set), update_domain };
        story.step("west", update_domain("two-domains", 0), &["s0"], 1);
        story.step("west", update_domain("two-domains", 1), &["s1"], 1);
        story.step("west", update_domain("one-domain", 0), &["t0", "t1"], 1);
        story.step("west", batch(1), &["a1"], 1);
        story.step("west", batch(2), &["a2"], 1);
        story.end(0, 1, "west");

        story.now += Duration::hours(12);
        story.tell(
            Partition::Rollout,
            Event::PhasePassed { rollout: monthly(), phase: 0, tally: Tally::default() },
        );
        story.now = NIGHT.parse::<DateTime<Utc>>().unwrap() + Duration::days(1);
        story.begin(1, "east", &["e1", "e2"]);
        story.step("east", batch(1), &["e1"], 1);
        story.step("east", batch(2), &["e2"], 1);
        story.end(1, 1, "east");
        story.now += Duration::hours(12);
        story.tell(
            Partition::Rollout,
            Event::PhasePassed { rollout: monthly(), phase: 1, tally: Tally::default() },
        );
        story.tell(
            Partition::Rollout,
            Event::RolloutCompleted { rollout: monthly(), tally: Tally::default() },
        );
        story
    }

    /// The clean story, but e2 is off in its night, and its region catches up with it in the next.
    pub fn catching_up() -> Self {
        let mut story = Self::of(vec![
            vm("e1", "east", Placement::Standalone),
            vm("e2", "east", Placement::Standalone),
            vm("w1", "west", Placement::Standalone),
        ]);
        let phases = vec![phase(&["east"]), phase(&["west"])];
        story.tell(
            Partition::Rollout,
            Event::RolloutRequested { rollout: monthly(), policy: policy(), actor: actor(), on_demand: None },
        );
        story.tell(Partition::Rollout, Event::RolloutPlanned { rollout: monthly(), phases });
        story.now = NIGHT.parse().unwrap();
        story.begin(0, "east", &["e1", "e2"]);
        story.step("east", batch(1), &["e1"], 1);
        story.step_off("east", batch(2), "e2");
        story.end(0, 1, "east");
        story.now += Duration::hours(12);
        story.tell(
            Partition::Rollout,
            Event::PhasePassed { rollout: monthly(), phase: 0, tally: Tally::default() },
        );
        story.now = NIGHT.parse::<DateTime<Utc>>().unwrap() + Duration::days(1);
        story.begin(1, "west", &["w1"]);
        story.step("west", batch(1), &["w1"], 1);
        story.end(1, 1, "west");
        // While west bakes.
        story.now += Duration::hours(1);
        story.round(0, 2, "east", &["e2"]);
        story.step("east", batch(1), &["e2"], 1);
        story.end(0, 2, "east");
        story.now += Duration::hours(12);
        story.tell(
            Partition::Rollout,
            Event::PhasePassed { rollout: monthly(), phase: 1, tally: Tally::default() },
        );
        story.tell(
            Partition::Rollout,
            Event::RolloutCompleted { rollout: monthly(), tally: Tally::default() },
        );
        story
    }

    /// A phase starts, with one region.
    pub fn begin(&mut self, phase: u32, name: &str, vms: &[&str]) {
        self.tell(Partition::Rollout, Event::PhaseStarted { rollout: monthly(), phase });
        self.round(phase, 1, name, vms);
    }

    /// A region begins a round.
    pub fn round(&mut self, phase: u32, round: u32, name: &str, vms: &[&str]) {
        let (rollout, region_name): (_, RegionName) = (monthly(), id(name));
        self.tell(
            Partition::Rollout,
            Event::TurnGranted { rollout: monthly(), phase, region: region_name.clone(), round },
        );
        let retries = 0;
        let (rollout_id, policy) = (monthly(), policy());
        let started =
            Event::RunStarted { rollout: rollout_id, region: region_name, phase, round, policy, retries };
        self.tell(region(name), started);
        let member = |vm: &&str| {
            let vm = &self.vms[&id::<VmId>(vm)];
            Member {
                vm: vm.id.clone(),
                subscription: vm.subscription.clone(),
                placement: vm.placement.clone(),
                window: Window::default_off_peak(),
                time_zone: chrono_tz::Europe::Berlin,
            }
        };
        let members = vms.iter().map(member).collect();
        self.tell(region(name), Event::RunEnlisted { rollout, members });
    }

    /// A region's run and its turn end.
    pub fn end(&mut self, phase: u32, round: u32, name: &str) {
        let (tally, patches) = (Tally::default(), Vec::new());
        self.tell(
            region(name),
            Event::RunCompleted { rollout: monthly(), round, tally, patches: patches.clone() },
        );
        let (rollout, region) = (monthly(), id(name));
        self.tell(Partition::Rollout, Event::TurnEnded { rollout, phase, region, round, tally, patches });
    }

    /// A VM is off, in a step of its own.
    pub fn step_off(&mut self, name: &str, step: StepKey, vm: &str) {
        let (rollout, vms) = (monthly, vec![id::<VmId>(vm)]);
        let started = Event::StepStarted { rollout: rollout(), step: step.clone(), vms: vms.clone() };
        self.tell(region(name), started);
        self.tell(region(name), Event::WatchRequested { rollout: rollout(), vms });
        let baseline = Baseline::Silent;
        self.tell(
            region(name),
            Event::WatchOpened { vm: id(vm), rollout: rollout(), baseline, sample: None },
        );
        let why = "it is off".to_owned();
        self.tell(region(name), Event::VmDeferred { rollout: rollout(), vm: id(vm), why });
        let (tally, patches) = (Tally::default(), Vec::new());
        self.tell(region(name), Event::StepEnded { rollout: rollout(), step, tally, patches });
    }

    /// A step, `at_once` VMs at a time; all of them are well.
    pub fn step(&mut self, name: &str, step: StepKey, vms: &[&str], at_once: usize) {
        let all: Vec<VmId> = vms.iter().map(|vm| id(vm)).collect();
        self.tell(
            region(name),
            Event::StepStarted { rollout: monthly(), step: step.clone(), vms: all.clone() },
        );
        self.tell(region(name), Event::WatchRequested { rollout: monthly(), vms: all.clone() });
        for wave in all.chunks(at_once) {
            self.wave(name, wave);
        }
        let (tally, patches) = (Tally::default(), Vec::new());
        self.tell(region(name), Event::StepEnded { rollout: monthly(), step, tally, patches });
    }

    fn wave(&mut self, name: &str, vms: &[VmId]) {
        let rollout = monthly;
        let round = self.entries.iter().rev().find_map(|(.., event)| match event {
            Event::RunStarted { round, .. } => Some(*round),
            _ => None,
        });
        let suffix = round.filter(|round| *round > 1).map(|round| format!("-{round}")).unwrap_or_default();
        let order = |vm: &VmId| id(&format!("monthly-{vm}{suffix}"));
        let each = |story: &mut Self, event: &dyn Fn(VmId) -> Event| {
            for vm in vms {
                story.tell(region(name), event(vm.clone()));
            }
            story.now += Duration::minutes(1);
        };
        each(self, &|vm| Event::WatchOpened {
            vm,
            rollout: rollout(),
            baseline: Baseline::Well,
            sample: None,
        });
        let now = self.now;
        each(self, &|vm| Event::OrderPlaced {
            order: Order {
                id: order(&vm),
                rollout: rollout(),
                vm,
                not_after: now + Duration::minutes(30),
                deadline: now + Duration::minutes(90),
                reboot: RebootSetting::IfRequired,
                selection: policy().selection(),
                signature: None,
            },
        });
        let began = self.now;
        each(self, &|vm| Event::OrderAccepted { order: order(&vm), vm, report: 2, began });
        each(self, &|vm| Event::OrderFinished { order: order(&vm), vm, report: 3, result: result() });
        self.now += Duration::minutes(5);
        each(self, &|vm| Event::HealthConfirmed { order: order(&vm), vm });
        let outcome = Outcome::Healthy;
        each(self, &|vm| Event::VmSettled {
            rollout: rollout(),
            order: order(&vm),
            vm,
            outcome: outcome.clone(),
            blamed: Vec::new(),
        });
    }

    /// An event happens now.
    pub fn tell(&mut self, partition: Partition, event: Event) {
        self.entries.push((partition, self.now, event));
    }

    /// The story as a log.
    pub fn records(&self) -> Vec<Record> {
        let mut entries = self.entries.clone();
        if !self.tallies_as_told {
            crate::count::count(&mut entries);
        }
        let mut next = BTreeMap::<&Partition, u64>::new();
        let record = |(partition, at, event): &'_ (Partition, Time, Event), position| Record {
            partition: partition.clone(),
            position,
            at: *at,
            event: event.clone(),
        };
        let mut records = Vec::new();
        for entry in &entries {
            let position = next.entry(&entry.0).or_insert(0);
            *position += 1;
            records.push(record(entry, *position));
        }
        records
    }

    /// What the auditor says of it.
    pub fn audit(&self) -> Report {
        audit(self.records())
    }
}

fn result() -> InstallReport {
    let patch = PatchOutcome {
        name: "openssl".into(),
        version: "3.0.2".into(),
        classification: Classification::Security,
        state: PatchState::Installed,
        detail: String::new(),
    };
    InstallReport {
        patches: vec![patch],
        reboot: RebootStatus::NotNeeded,
        boot_id: "boot-1".into(),
        window_exceeded: false,
        error: None,
    }
}
