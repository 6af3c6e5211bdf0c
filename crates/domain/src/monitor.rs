//! The mind of health-monitor: signals in, verdicts out (REQUIREMENTS.md B3; rules S7, S10; docs/health.md).
//!
//! Signals are heard, not recorded: after a restart the monitor listens anew, and does not call a machine silent
//! before it has listened for as long as silence takes.

mod heard;
mod questions;
mod rules;
mod verdict;
mod view;
mod watch;

pub use questions::Question;
pub use view::{SourceView, VmHealth, WatchView};

use crate::analysis::is_sample;
use crate::event::{Chain, Event, Partition};
use crate::health::{Baseline, Signal};
use crate::id::{RegionName, RolloutId, VmId};
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::topology::Topology;
use chrono::Duration;
use heard::Heard;
use questions::Asked;
use rules::Rules;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use view::Story;
use watch::{Watch, WatchState};

/// How far a signal may be ahead of the monitor's clock. One from further in the future is passed over: it would hide
/// everything that comes after it.
const SKEW: Duration = Duration::minutes(1);

/// The account of health-monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    /// The regions whose verdicts are this monitor's; all if absent.
    mine: Option<BTreeSet<RegionName>>,
    topology: Topology,
    /// The names of the regions, by the numbers that patients keep.
    regions: Vec<RegionName>,
    patients: BTreeMap<VmId, Patient>,
    /// What each run goes by, by region and rollout.
    runs: BTreeMap<RegionName, BTreeMap<RolloutId, Rules>>,
    watches: BTreeMap<VmId, Watch>,
    /// From when on a verdict on each watch is possible: no decision looks at the others.
    agenda: BTreeSet<(Time, VmId)>,
    #[serde(skip)]
    asked: Asked,
    #[serde(skip)]
    listening_since: Option<Time>,
}

/// A VM of the fleet. There are many: it is to be small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Patient {
    /// Its place in the list of regions.
    region: u16,
    #[serde(skip)]
    heard: Heard,
    /// Its newest baseline and verdict, if it ever had one.
    story: Option<Box<Story>>,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            mine: None,
            topology: Topology::empty(),
            regions: Vec::new(),
            patients: BTreeMap::new(),
            runs: BTreeMap::new(),
            watches: BTreeMap::new(),
            agenda: BTreeSet::new(),
            asked: Asked::default(),
            listening_since: None,
        }
    }
}

impl Mind for Monitor {
    fn apply(&mut self, fact: &Fact) {
        match (fact.region().cloned(), &fact.event) {
            (None, Event::TopologyDeclared { topology }) => self.topology = topology.clone(),
            (None, Event::VmRegistered { vm } | Event::VmModelChanged { vm }) => {
                let region = self.number_of(&vm.region);
                let new = || Patient { region, heard: Heard::default(), story: None };
                self.patients.entry(vm.id.clone()).or_insert_with(new).region = region;
            }
            (None, Event::VmRemoved { vm }) => {
                self.patients.remove(vm);
            }
            (None, _) => {}
            (Some(region), event) => self.apply_of_region(&region, event, fact.at),
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
        let regions = self.topology.regions.keys().filter(|region| self.is_mine(region)).cloned();
        std::iter::once(Follow::all(Partition::Fleet))
            .chain(regions.map(|region| Follow::all(Partition::Region(region))))
            .collect()
    }
}

impl Monitor {
    /// With these regions for its own; all if absent. Two monitors that share a region do no harm.
    pub fn of(self, mine: Option<BTreeSet<RegionName>>) -> Self {
        Self { mine, ..self }
    }

    /// From this moment signals are heard; none was before. To be said once, when the service starts.
    pub fn listen(&mut self, now: Time) {
        self.patients.values_mut().for_each(|patient| patient.heard = Heard::default());
        self.listening_since = Some(now);
    }

    /// Hears a signal; whether it was one: of a VM of the fleet, and not from the future. Doubled, late and reordered ones
    /// change nothing that the same signals in order would not.
    pub fn hear(&mut self, signal: Signal, now: Time) -> bool {
        let Some(patient) = self.patients.get_mut(&signal.vm) else { return false };
        if signal.at > now + SKEW {
            return false;
        }
        if let Some(watch) = self.watches.get_mut(&signal.vm) {
            let rules = self.runs.get(&watch.region).and_then(|runs| runs.get(&watch.rollout));
            if rules.is_some_and(|rules| watch.note(&signal, rules)) {
                // A failure does not wait for the end of the soak.
                let vm = signal.vm.clone();
                patient.heard.hear(signal);
                self.look_from(&vm, Some(Time::MIN_UTC));
                return true;
            }
        }
        patient.heard.hear(signal);
        true
    }

    /// Whether a run watches the VM.
    pub fn is_watched(&self, vm: &VmId) -> bool {
        self.watches.contains_key(vm)
    }

    /// The region that a VM of the fleet is in.
    pub fn region_of(&self, vm: &VmId) -> Option<&RegionName> {
        self.regions.get(usize::from(self.patients.get(vm)?.region))
    }

    fn is_mine(&self, region: &RegionName) -> bool {
        self.mine.as_ref().is_none_or(|mine| mine.contains(region))
    }

    fn number_of(&mut self, region: &RegionName) -> u16 {
        let known = self.regions.iter().position(|known| known == region);
        let place = known.unwrap_or_else(|| {
            self.regions.push(region.clone());
            self.regions.len() - 1
        });
        // A fleet of more regions than that shows the last ones under a wrong name, and decides alike.
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    fn apply_of_region(&mut self, region: &RegionName, event: &Event, at: Time) {
        match event {
            Event::RunStarted { rollout, phase, policy, .. } => {
                let rules = Rules::of(policy, *phase);
                self.runs.entry(region.clone()).or_default().insert(rollout.clone(), rules);
            }
            Event::RunCompleted { rollout, .. } => {
                if let Some(runs) = self.runs.get_mut(region) {
                    runs.remove(rollout);
                }
            }
            Event::StepStarted { rollout, step, vms } => {
                let rules = self.runs.get_mut(region).and_then(|runs| runs.get_mut(rollout));
                rules.into_iter().for_each(|rules| rules.start_step(step, vms));
            }
            Event::WatchRequested { rollout, vms } => {
                for vm in vms {
                    self.forget(vm);
                    self.watches.insert(vm.clone(), Watch::requested(region.clone(), rollout.clone(), at));
                    self.look_from(vm, Some(Time::MIN_UTC));
                }
            }
            Event::ControlsRequested { rollout, sample, vms } => {
                for vm in vms {
                    // One that is watched for its own patch is no control.
                    if !self.is_watched(vm) {
                        let watch = Watch::requested(region.clone(), rollout.clone(), at);
                        self.watches.insert(vm.clone(), watch.control_of(sample.clone()));
                        self.look_from(vm, Some(Time::MIN_UTC));
                    }
                }
            }
            Event::WatchOpened { vm, baseline, sample, .. } => {
                self.story(vm, |story| story.baseline = Some((at, baseline.clone())));
                // The answer for a control may come after its own turn did.
                if self.watches.get(vm).is_some_and(|watch| watch.control == *sample) {
                    self.open(vm, baseline, at);
                }
            }
            Event::OrderFinished { vm, order, result, .. } if result.failure().is_none() => {
                let boot_id = result.boot_id.clone();
                self.soak(vm, WatchState::Soaking { order: order.clone(), since: at, boot_id });
            }
            Event::HealthConfirmed { vm, order }
            | Event::HealthFailed { vm, order, .. }
            | Event::HealthUnknown { vm, order, .. } => {
                self.story(vm, |story| story.verdict = Some((at, event.clone())));
                // A control whose own turn came meanwhile is watched for that.
                let control = self.watches.get(vm).and_then(|watch| watch.control.as_ref());
                if !is_sample(order) || control == Some(order) {
                    self.forget(vm);
                }
            }
            Event::VmSettled { vm, .. } | Event::VmSkipped { vm, .. } | Event::VmDeferred { vm, .. } => {
                self.forget(vm);
            }
            _ => {}
        }
    }

    fn open(&mut self, vm: &VmId, baseline: &Baseline, at: Time) {
        let Some(watch) = self.watches.get_mut(vm) else { return };
        watch.open(baseline);
        match (watch.control.clone(), baseline) {
            (None, _) => self.look_from(vm, None),
            // A control soaks as if it had been patched at this moment.
            (Some(order), Baseline::Well | Baseline::Flawed { .. }) => {
                self.soak(vm, WatchState::Soaking { order, since: at, boot_id: String::new() });
            }
            (Some(_), _) => self.forget(vm),
        }
    }

    fn soak(&mut self, vm: &VmId, state: WatchState) {
        let Some(watch) = self.watches.get_mut(vm) else { return };
        let rules = self.runs.get(&watch.region).and_then(|runs| runs.get(&watch.rollout));
        let from = watch.soak(state, rules);
        self.look_from(vm, Some(from));
    }

    fn story(&mut self, vm: &VmId, tell: impl FnOnce(&mut Story)) {
        if let Some(patient) = self.patients.get_mut(vm) {
            tell(patient.story.get_or_insert_default());
        }
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
        let watches = ready.filter_map(|(_, vm)| Some((vm, self.watches.get(vm)?)));
        watches.filter(|(_, watch)| self.is_mine(&watch.region))
    }

    fn rules(&self, region: &RegionName, rollout: &RolloutId) -> Option<&Rules> {
        self.runs.get(region)?.get(rollout)
    }
}
