//! The machines of the world and what can go wrong with them.

use chrono::Duration;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Order;
use nightshift_domain::patch::{Classification, PatchOutcome, PatchState, RebootStatus};
use nightshift_domain::{Event, Time, VmId};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

/// How often things go wrong, each in percent of VMs or orders.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// VMs that are off all the time.
    pub powered_off: u32,
    /// VMs that are ill before anything is done to them.
    pub ill: u32,
    /// Orders whose installation fails.
    pub install_fails: u32,
    /// Orders after which the machine falls ill.
    pub bad_patch: u32,
    /// Orders after which nothing is heard of the machine again.
    pub vanishes: u32,
    /// Chance, each time the world turns, that one of the services is killed and reads the log anew.
    pub service_killed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Well,
    Ill,
    Silent,
}

/// All machines, and the reports that are under way.
pub(crate) struct Machines {
    states: BTreeMap<VmId, State>,
    enabled: BTreeMap<VmId, u64>,
    reports: BTreeMap<(Time, u64), Event>,
    sent: u64,
}

impl Machines {
    pub(crate) fn new<'a>(rng: &mut StdRng, vms: impl Iterator<Item = &'a VmId>, faults: &Faults) -> Self {
        let states = vms.map(|vm| {
            let state = match rng.random_range(0..100) {
                roll if roll < faults.powered_off => State::Silent,
                roll if roll < faults.powered_off + faults.ill => State::Ill,
                _ => State::Well,
            };
            (vm.clone(), state)
        });
        Self { states: states.collect(), enabled: BTreeMap::new(), reports: BTreeMap::new(), sent: 0 }
    }

    /// The machines that would be heard now, with what ails them.
    pub(crate) fn heartbeats(&self) -> impl Iterator<Item = (&VmId, Option<String>)> {
        let heard = self.states.iter().filter(|(_, state)| **state != State::Silent);
        heard.map(|(vm, state)| (vm, (*state == State::Ill).then(|| "ill".to_owned())))
    }

    /// The machine takes up an order: its reports will come in time.
    pub(crate) fn take_up(&mut self, rng: &mut StdRng, order: &Order, now: Time, faults: &Faults) {
        let vm = &order.vm;
        if self.states.get(vm) == Some(&State::Silent) {
            return;
        }
        let accepted = now + Duration::seconds(rng.random_range(1..120));
        if accepted > order.not_after {
            return;
        }
        let report = self.next_report(vm);
        self.report(accepted, Event::OrderAccepted { vm: vm.clone(), report, order: order.id.clone() });
        let enabled = self.next_report(vm);
        self.report(accepted, Event::AgentEnabled { vm: vm.clone(), report: enabled });
        let roll = rng.random_range(0..100);
        if roll < faults.vanishes {
            self.states.insert(vm.clone(), State::Silent);
            return;
        }
        let fails = roll < faults.vanishes + faults.install_fails;
        if !fails && roll < faults.vanishes + faults.install_fails + faults.bad_patch {
            self.states.insert(vm.clone(), State::Ill);
        }
        let finished = accepted + Duration::seconds(rng.random_range(60..3_000));
        let (vm, report) = (vm.clone(), self.next_report(vm));
        self.report(
            finished,
            Event::OrderFinished { vm, report, order: order.id.clone(), result: result(fails) },
        );
    }

    pub(crate) fn next_report_at(&self) -> Option<Time> {
        self.reports.keys().next().map(|(at, _)| *at)
    }

    /// A report whose time has come.
    pub(crate) fn due(&mut self, now: Time) -> Option<Event> {
        let first = self.reports.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    fn next_report(&mut self, vm: &VmId) -> u64 {
        let last = self.enabled.entry(vm.clone()).or_default();
        *last += 1;
        *last
    }

    fn report(&mut self, at: Time, event: Event) {
        self.sent += 1;
        self.reports.insert((at, self.sent), event);
    }
}

fn result(fails: bool) -> InstallReport {
    let patch = |name: &str, classification, state| PatchOutcome {
        name: name.into(),
        version: "1.1".into(),
        classification,
        state,
        detail: if state == PatchState::Failed { "boom".into() } else { String::new() },
    };
    let tried = if fails { PatchState::Failed } else { PatchState::Installed };
    InstallReport {
        patches: vec![
            patch("openssl", Classification::Security, tried),
            patch("vim", Classification::Other, PatchState::NotSelected),
        ],
        reboot: RebootStatus::NotNeeded,
        boot_id: "boot".into(),
        window_exceeded: false,
        error: None,
    }
}
