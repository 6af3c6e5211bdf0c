//! The machines of a world, and what can go wrong with them.

use crate::faults::Faults;
use chrono::Duration;
use nightshift_domain::agent::{InstallReport, RefusedOrder};
use nightshift_domain::event::Order;
use nightshift_domain::gateway::Report;
use nightshift_domain::health::Signal;
use nightshift_domain::patch::{Assessment, Classification, Patch, PatchOutcome, PatchState, RebootStatus};
use nightshift_domain::run::Work;
use nightshift_domain::selection::Choice;
use nightshift_domain::{OrderId, Time, VmId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng as _};
use std::collections::{BTreeMap, HashMap};

/// What an installation that was under way when the world began still takes.
const TYPICAL: Duration = Duration::minutes(20);

/// One machine.
#[derive(Debug, Default)]
struct Machine {
    /// Off until then; for ever if that is never.
    off_until: Option<Time>,
    ill: bool,
    /// It will not be heard of again.
    gone: bool,
    liar: bool,
    skew: Duration,
    reports: u64,
    last_report: Option<Time>,
    enabled: bool,
    /// The newest order that it took up: it runs no order twice.
    taken: Vec<OrderId>,
}

/// All machines, and the reports that are under way.
pub(crate) struct Machines {
    rng: StdRng,
    faults: Faults,
    machines: HashMap<VmId, Machine>,
    reports: BTreeMap<(Time, u64), (VmId, u64, Report)>,
    sent: u64,
}

/// A report under way.
pub(crate) type Sent = (VmId, u64, Report);

impl Machines {
    pub fn new<'a>(seed: u64, start: Time, vms: impl Iterator<Item = &'a VmId>, faults: Faults) -> Self {
        let mut machines = Self {
            rng: StdRng::seed_from_u64(seed ^ 0x6d61_6368),
            faults,
            machines: HashMap::new(),
            reports: BTreeMap::new(),
            sent: 0,
        };
        vms.for_each(|vm| machines.add(vm, start));
        machines
    }

    pub fn add(&mut self, vm: &VmId, now: Time) {
        let faults = self.faults;
        let machine = Machine {
            off_until: if self.happens(faults.always_off) {
                Some(Time::MAX_UTC)
            } else {
                self.happens(faults.off_at_first)
                    .then(|| now + Duration::hours(self.rng.random_range(6..150)))
            },
            ill: self.happens(faults.ill),
            liar: self.happens(faults.lies),
            skew: self.skew(),
            ..Machine::default()
        };
        self.machines.insert(vm.clone(), machine);
    }

    fn skew(&mut self) -> Duration {
        let most = i64::from(self.faults.skew) * 10;
        Duration::seconds(if most == 0 { 0 } else { self.rng.random_range(-most..=most) })
    }

    fn happens(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    fn is_up(&self, vm: &VmId, now: Time) -> bool {
        let up = |machine: &Machine| !machine.gone && machine.off_until.is_none_or(|until| now >= until);
        self.machines.get(vm).is_some_and(up)
    }

    /// Whether the machine could be patched, if it were asked at the right moment.
    pub fn is_reachable(&self, vm: &VmId) -> bool {
        self.machines
            .get(vm)
            .is_some_and(|machine| !machine.gone && !machine.ill && machine.off_until != Some(Time::MAX_UTC))
    }

    /// What is heard of the machine now; nothing of one that is off.
    pub fn signal(&mut self, vm: &VmId, now: Time) -> Option<Signal> {
        if !self.is_up(vm, now) || self.happens(self.faults.lost_signals) {
            return None;
        }
        let ill = self.machines.get(vm).is_some_and(|machine| machine.ill) || self.happens(self.faults.flaps);
        let ailment = ill.then(|| "ill".to_owned());
        Some(Signal::heartbeat(vm.clone(), now, "boot", ailment))
    }

    /// The machine makes itself ill after its patch: a bad one.
    pub fn poison(&mut self, vm: &VmId) {
        if let Some(machine) = self.machines.get_mut(vm) {
            machine.ill = true;
        }
    }

    /// The order reaches the machine. Its reports will come in time.
    pub fn take_up(&mut self, order: &Order, now: Time) {
        let vm = &order.vm;
        if !self.is_up(vm, now) {
            return;
        }
        let begins = now + Duration::seconds(self.rng.random_range(1..120));
        let Some(machine) = self.machines.get_mut(vm) else { return };
        if machine.taken.contains(&order.id) {
            return;
        }
        machine.taken.push(order.id.clone());
        let own_clock = begins + machine.skew;
        if own_clock > order.not_after {
            let refused = RefusedOrder { code: "Expired".into(), why: "too late".into() };
            self.send(vm, begins, Report::Refused(order.id.clone(), refused));
            return;
        }
        let first = !std::mem::replace(&mut machine.enabled, true);
        self.send(vm, begins, Report::Accepted(order.id.clone(), own_clock));
        if first {
            self.send(vm, begins, Report::Enabled);
        }
        let faults = self.faults;
        if self.happens(faults.vanishes) {
            self.machines.get_mut(vm).into_iter().for_each(|machine| machine.gone = true);
            return;
        }
        if self.happens(faults.hangs) {
            return;
        }
        let longest = (order.deadline - order.not_after).num_seconds().clamp(61, 3_000);
        let ends =
            (begins + Duration::seconds(self.rng.random_range(60..longest))).min(order.deadline.max(begins));
        let fails = self.happens(faults.install_fails);
        if !fails && self.happens(faults.falls_ill) {
            self.poison(vm);
        }
        let result = install(order, fails);
        self.send(vm, ends, Report::Finished(order.id.clone(), result));
        if self.machines.get(vm).is_some_and(|machine| machine.liar) {
            self.lie(vm, ends);
        }
    }

    /// The order was placed before this world began: the machine is as far with it as the log says.
    pub fn go_on(&mut self, order: &Order, work: &Work, now: Time) {
        match work {
            Work::Placed => self.take_up(order, now),
            Work::Accepted => {
                let ends = (now + TYPICAL).min(order.deadline).max(now);
                self.send(&order.vm, ends, Report::Finished(order.id.clone(), install(order, false)));
            }
            Work::Soaking { .. } | Work::Over(_) => {}
        }
    }

    /// The machine is asked what it lacks.
    pub fn assess(&mut self, vm: &VmId, now: Time, not_after: Time) {
        if self.is_up(vm, now) && now <= not_after {
            let at = now + Duration::seconds(self.rng.random_range(1..300));
            self.send(vm, at, Report::Assessed(assessment()));
        }
    }

    /// A report on an order that nobody gave.
    fn lie(&mut self, vm: &VmId, at: Time) {
        if let Ok(order) = OrderId::new(format!("invented-{}", self.sent)) {
            let result = InstallReport {
                patches: Vec::new(),
                reboot: RebootStatus::NotNeeded,
                boot_id: "boot".into(),
                window_exceeded: false,
                error: None,
            };
            self.send(vm, at, Report::Finished(order, result));
        }
    }

    fn send(&mut self, vm: &VmId, at: Time, report: Report) {
        let Some(machine) = self.machines.get_mut(vm) else { return };
        machine.reports += 1;
        let number = machine.reports;
        let faults = self.faults;
        let late = self.happens(faults.late_reports);
        let at = if late { at + Duration::minutes(self.rng.random_range(30..600)) } else { at };
        // A report waits for the one before it.
        let at =
            self.machines.get(vm).and_then(|machine| machine.last_report).map_or(at, |last| last.max(at));
        self.machines.get_mut(vm).into_iter().for_each(|machine| machine.last_report = Some(at));
        self.push(at, (vm.clone(), number, report.clone()));
        if self.happens(faults.repeats) {
            let again = at + Duration::seconds(self.rng.random_range(1..7_200));
            self.push(again, (vm.clone(), number, report));
        }
    }

    fn push(&mut self, at: Time, sent: Sent) {
        self.sent += 1;
        self.reports.insert((at, self.sent), sent);
    }

    pub fn next_report_at(&self) -> Option<Time> {
        self.reports.keys().next().map(|(at, _)| *at)
    }

    /// The next report whose time has come.
    pub fn due(&mut self, now: Time) -> Option<Sent> {
        let first = self.reports.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}

fn lacks() -> [Patch; 3] {
    let patch = |name: &str, version: &str, classification| Patch {
        name: name.into(),
        version: version.into(),
        classification,
        obstacle: None,
    };
    [
        patch("openssl", "3.0.2", Classification::Critical),
        patch("curl", "8.5", Classification::Security),
        patch("vim", "9.1", Classification::Other),
    ]
}

fn assessment() -> Assessment {
    Assessment { patches: lacks().to_vec(), reboot_pending: false, warnings: Vec::new() }
}

/// The order's selection is obeyed, as a real agent obeys it.
fn install(order: &Order, fails: bool) -> InstallReport {
    let outcome = |patch: Patch| {
        let (state, detail) = match order.selection.choose(&patch) {
            Choice::Selected if fails => (PatchState::Failed, "boom".to_owned()),
            Choice::Selected => (PatchState::Installed, String::new()),
            Choice::NotSelected => (PatchState::NotSelected, String::new()),
            Choice::Excluded(why) => (PatchState::Excluded, why),
        };
        let Patch { name, version, classification, .. } = patch;
        PatchOutcome { name, version, classification, state, detail }
    };
    InstallReport {
        patches: lacks().into_iter().map(outcome).collect(),
        reboot: RebootStatus::NotNeeded,
        boot_id: "boot".into(),
        window_exceeded: false,
        error: None,
    }
}
