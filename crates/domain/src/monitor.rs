//! The mind of health-monitor: signals in, verdicts out (REQUIREMENTS.md B3; rules S7, S10).
//!
//! Signals are heard, not recorded: after a restart the monitor listens anew, and does not call a machine silent
//! before it has listened for as long as silence takes.

use crate::analysis::is_sample;
use crate::event::{Chain, Event, Partition};
use crate::health::{Baseline, Signal};
use crate::id::{OrderId, RegionName, RolloutId, VmId};
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::topology::Topology;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The account of health-monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    topology: Topology,
    /// How long each run watches, by region and rollout.
    runs: BTreeMap<RegionName, BTreeMap<RolloutId, Times>>,
    watches: BTreeMap<VmId, Watch>,
    /// From when on a verdict on each watch is possible: no decision looks at the others.
    agenda: BTreeSet<(Time, VmId)>,
    #[serde(skip)]
    signals: BTreeMap<VmId, Signal>,
    #[serde(skip)]
    listening_since: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Times {
    soak_seconds: i64,
    silence_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Watch {
    region: RegionName,
    rollout: RolloutId,
    state: WatchState,
    /// The sample that it is a control of; it waits for its patch.
    control: Option<OrderId>,
    /// Its place in the agenda, if it has one.
    look_from: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum WatchState {
    /// The coordinator wants to know how the VM is before its patch.
    Requested,
    /// It was told; the order may be at work.
    Open,
    /// The order is finished; the verdict is due after the soak.
    Soaking { order: OrderId, since: Time },
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            topology: Topology::empty(),
            runs: BTreeMap::new(),
            watches: BTreeMap::new(),
            agenda: BTreeSet::new(),
            signals: BTreeMap::new(),
            listening_since: None,
        }
    }
}

impl Mind for Monitor {
    fn apply(&mut self, fact: &Fact) {
        if let Event::TopologyDeclared { topology } = &fact.event {
            self.topology = topology.clone();
        }
        let Some(region) = fact.region() else { return };
        match &fact.event {
            Event::RunStarted { rollout, policy, .. } => {
                let (soak_seconds, silence_seconds) =
                    (policy.soak.num_seconds(), policy.silence.num_seconds());
                let times = Times { soak_seconds, silence_seconds };
                self.runs.entry(region.clone()).or_default().insert(rollout.clone(), times);
            }
            Event::RunCompleted { rollout, .. } => {
                if let Some(runs) = self.runs.get_mut(region) {
                    runs.remove(rollout);
                }
            }
            Event::WatchRequested { rollout, vms } => {
                for vm in vms {
                    self.forget(vm);
                    let (region, rollout) = (region.clone(), rollout.clone());
                    let (state, control) = (WatchState::Requested, None);
                    let watch = Watch { region, rollout, state, look_from: None, control };
                    self.watches.insert(vm.clone(), watch);
                    self.look_from(vm, Some(Time::MIN_UTC));
                }
            }
            Event::ControlsRequested { rollout, sample, vms } => {
                // One that is watched for its own patch is no control.
                for vm in vms.iter().filter(|vm| !self.is_watched(vm)).cloned().collect::<Vec<_>>() {
                    let (region, rollout) = (region.clone(), rollout.clone());
                    let state = WatchState::Requested;
                    let control = Some(sample.clone());
                    self.watches
                        .insert(vm.clone(), Watch { region, rollout, state, look_from: None, control });
                    self.look_from(&vm, Some(Time::MIN_UTC));
                }
            }
            Event::WatchOpened { vm, baseline, .. } => {
                let control = self.watches.get(vm).and_then(|watch| watch.control.clone());
                match control {
                    None => {
                        self.set(vm, WatchState::Open);
                        self.look_from(vm, None);
                    }
                    // A control soaks as if it had been patched at this moment.
                    Some(sample) if *baseline == Baseline::Well => self.soak(vm, &sample, fact.at),
                    Some(_) => self.forget(vm),
                }
            }
            Event::OrderFinished { vm, order, result, .. } if result.failure().is_none() => {
                self.soak(vm, order, fact.at);
            }
            Event::VmSettled { vm, .. } | Event::VmSkipped { vm, .. } | Event::VmDeferred { vm, .. } => {
                self.forget(vm)
            }
            Event::HealthConfirmed { vm, order }
            | Event::HealthFailed { vm, order, .. }
            | Event::HealthUnknown { vm, order, .. } => {
                // A control whose own turn came meanwhile is watched for that.
                let control = self.watches.get(vm).and_then(|watch| watch.control.as_ref());
                if !is_sample(order) || control == Some(order) {
                    self.forget(vm);
                }
            }
            _ => {}
        }
    }

    fn decide(&self, now: Time) -> Vec<Decision> {
        let verdicts = self.ready(now).filter_map(|(vm, watch)| {
            let event = self.verdict(vm, watch, now)?;
            Some(Decision { chain: Chain::health(&watch.region, vm), events: vec![event] })
        });
        verdicts.collect()
    }

    fn next_wake(&self, now: Time) -> Option<Time> {
        let due = self.ready(now).flat_map(|(vm, watch)| self.due(vm, watch)).filter(|at| *at > now);
        due.chain(self.agenda.iter().map(|(at, _)| *at).find(|at| *at > now)).min()
    }

    fn follows(&self) -> Vec<Follow> {
        let regions = self.topology.regions.keys().cloned();
        std::iter::once(Follow::all(Partition::Fleet))
            .chain(regions.map(|region| Follow::all(Partition::Region(region))))
            .collect()
    }
}

impl Monitor {
    /// From this moment signals are heard; none was before. To be said once, when the service starts.
    pub fn listen(&mut self, now: Time) {
        self.signals.clear();
        self.listening_since = Some(now);
    }

    /// Hears a signal. One that is older than the newest of its VM changes nothing.
    pub fn hear(&mut self, signal: Signal) {
        if self.signals.get(&signal.vm).is_some_and(|known| known.at > signal.at) {
            return;
        }
        let soaks = |watch: &Watch| matches!(watch.state, WatchState::Soaking { .. });
        if signal.ailment.is_some() && self.watches.get(&signal.vm).is_some_and(soaks) {
            // A failure does not wait for the end of the soak.
            self.look_from(&signal.vm, Some(Time::MIN_UTC));
        }
        self.signals.insert(signal.vm.clone(), signal);
    }

    /// The newest signal of a VM.
    pub fn signal(&self, vm: &VmId) -> Option<&Signal> {
        self.signals.get(vm)
    }

    /// Whether a run watches the VM.
    pub fn is_watched(&self, vm: &VmId) -> bool {
        self.watches.contains_key(vm)
    }

    fn set(&mut self, vm: &VmId, state: WatchState) {
        if let Some(watch) = self.watches.get_mut(vm) {
            watch.state = state;
        }
    }

    fn soak(&mut self, vm: &VmId, order: &OrderId, since: Time) {
        self.set(vm, WatchState::Soaking { order: order.clone(), since });
        let times = self.watches.get(vm).and_then(|watch| self.times(watch));
        self.look_from(vm, Some(times.map_or(since, |times| since + times.soak())));
    }

    fn forget(&mut self, vm: &VmId) {
        self.look_from(vm, None);
        self.watches.remove(vm);
    }

    fn look_from(&mut self, vm: &VmId, at: Option<Time>) {
        let Some(watch) = self.watches.get_mut(vm) else { return };
        if let Some(before) = std::mem::replace(&mut watch.look_from, at) {
            self.agenda.remove(&(before, vm.clone()));
        }
        self.agenda.extend(at.map(|at| (at, vm.clone())));
    }

    /// Watches on which a verdict is possible.
    fn ready(&self, now: Time) -> impl Iterator<Item = (&VmId, &Watch)> {
        let ready = self.agenda.iter().take_while(move |(at, _)| *at <= now);
        ready.filter_map(|(_, vm)| Some((vm, self.watches.get(vm)?)))
    }

    fn verdict(&self, vm: &VmId, watch: &Watch, now: Time) -> Option<Event> {
        let times = self.times(watch)?;
        match &watch.state {
            WatchState::Open => None,
            WatchState::Requested => {
                let baseline = self.baseline(vm, times, now)?;
                Some(Event::WatchOpened { vm: vm.clone(), rollout: watch.rollout.clone(), baseline })
            }
            WatchState::Soaking { order, since } => self.after_patch(vm, order, *since, times, now),
        }
    }

    fn baseline(&self, vm: &VmId, times: Times, now: Time) -> Option<Baseline> {
        let fresh = self.signals.get(vm).filter(|signal| now - signal.at <= times.silence());
        match fresh {
            Some(Signal { ailment: None, .. }) => Some(Baseline::Well),
            Some(Signal { ailment: Some(ailment), .. }) => Some(Baseline::Ill { ailment: ailment.clone() }),
            None => self.heard_long_enough(times, now).then_some(Baseline::Silent),
        }
    }

    /// Whether the monitor has listened for so long that hearing nothing means something.
    fn heard_long_enough(&self, times: Times, now: Time) -> bool {
        self.listening_since.is_some_and(|since| now - since > times.silence())
    }

    fn after_patch(&self, vm: &VmId, order: &OrderId, since: Time, times: Times, now: Time) -> Option<Event> {
        let (vm_id, order) = (vm.clone(), order.clone());
        // What was signalled before the patch was finished says nothing about it.
        let signal = self.signals.get(vm).filter(|signal| signal.at > since);
        if let Some(ill) = signal.filter(|signal| signal.ailment.is_some()) {
            return Some(Event::HealthFailed { vm: vm_id, order, signal: ill.clone() });
        }
        let soaked = since + times.soak();
        if now < soaked {
            return None;
        }
        if signal.is_some_and(|signal| now - signal.at <= times.silence()) {
            return Some(Event::HealthConfirmed { vm: vm_id, order });
        }
        if now < soaked + times.silence() || !self.heard_long_enough(times, now) {
            return None;
        }
        let minutes = times.silence().num_minutes();
        Some(Event::HealthUnknown { vm: vm_id, order, why: format!("no signal for {minutes} minutes") })
    }

    fn due(&self, vm: &VmId, watch: &Watch) -> Vec<Time> {
        let Some(times) = self.times(watch) else { return Vec::new() };
        // Silence is over the limit, not at it: one second later it is.
        let tick = Duration::seconds(1);
        let silent = self.signals.get(vm).map(|signal| signal.at + times.silence() + tick);
        let listened = self.listening_since.map(|since| since + times.silence() + tick);
        let soaked = match &watch.state {
            WatchState::Soaking { since, .. } => {
                let soaked = *since + times.soak();
                vec![soaked, soaked + times.silence()]
            }
            _ => Vec::new(),
        };
        soaked.into_iter().chain(silent).chain(listened).collect()
    }

    fn times(&self, watch: &Watch) -> Option<Times> {
        self.runs.get(&watch.region)?.get(&watch.rollout).copied()
    }
}

impl Times {
    fn soak(self) -> Duration {
        Duration::seconds(self.soak_seconds)
    }

    fn silence(self) -> Duration {
        Duration::seconds(self.silence_seconds)
    }
}
