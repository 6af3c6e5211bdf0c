//! What people see of a VM's health.

use super::Monitor;
use super::watch::{Watch, WatchState};
use crate::event::Event;
use crate::health::{Baseline, Signal, Source};
use crate::id::{RegionName, RolloutId, VmId};
use crate::mind::Time;
use serde::{Deserialize, Serialize};

/// The newest facts on a VM's health.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Story {
    pub baseline: Option<(Time, Baseline)>,
    pub verdict: Option<(Time, Event)>,
}

/// How a VM is, and how it was.
#[derive(Debug, Clone, PartialEq)]
pub struct VmHealth {
    /// The machine.
    pub vm: VmId,
    /// Where it is.
    pub region: RegionName,
    /// The newest word of each source that was heard, and of each that the watch waits for.
    pub sources: Vec<SourceView>,
    /// The watch on it, if a run has one.
    pub watch: Option<WatchView>,
    /// How it was before its last patch, and when that was said.
    pub baseline: Option<(Time, Baseline)>,
    /// The last verdict (`HealthConfirmed`, `HealthFailed` or `HealthUnknown`), and when.
    pub verdict: Option<(Time, Event)>,
}

/// A source, and its newest word.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceView {
    /// Whose word.
    pub source: Source,
    /// `None` if it was never heard.
    pub newest: Option<Signal>,
    /// Whether the watch waits for it; false if nobody watches.
    pub required: bool,
}

/// How far a watch is.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchView {
    /// For whom.
    pub rollout: RolloutId,
    /// In words.
    pub state: String,
    /// When the verdict is due, if the VM soaks.
    pub due: Option<Time>,
}

impl Monitor {
    /// How a VM is; `None` if it is none of the fleet.
    pub fn health(&self, vm: &VmId) -> Option<VmHealth> {
        let patient = self.patients.get(vm)?;
        let watch = self.watches.get(vm);
        let rules = watch.and_then(|watch| self.rules(&watch.region, &watch.rollout));
        let mut sources: Vec<Source> = patient.heard.sources().cloned().collect();
        for source in rules.iter().flat_map(|rules| rules.required().chain(rules.advisory())) {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        sources.sort();
        let view = |source: Source| SourceView {
            newest: patient.heard.newest(vm, &source),
            required: rules.is_some_and(|rules| rules.failures(&source).is_some()),
            source,
        };
        let story = patient.story.as_deref();
        Some(VmHealth {
            vm: vm.clone(),
            region: self.region_of(vm)?.clone(),
            sources: sources.into_iter().map(view).collect(),
            watch: watch.map(|watch| self.watch_view(watch)),
            baseline: story.and_then(|story| story.baseline.clone()),
            verdict: story.and_then(|story| story.verdict.clone()),
        })
    }

    /// The VMs of a region, in the order of their names, after this one.
    pub fn vms_of<'a>(&'a self, region: &RegionName, after: Option<&VmId>) -> impl Iterator<Item = &'a VmId> {
        let number = self.regions.iter().position(|known| known == region);
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let vms = self.patients.range::<VmId, _>((from, std::ops::Bound::Unbounded));
        vms.filter(move |(_, patient)| Some(usize::from(patient.region)) == number).map(|(vm, _)| vm)
    }

    fn watch_view(&self, watch: &Watch) -> WatchView {
        let rules = self.rules(&watch.region, &watch.rollout);
        let (state, due) = match &watch.state {
            WatchState::Requested { .. } => ("how it is before its patch is being asked", None),
            WatchState::Open => ("its patch is due or at work", None),
            WatchState::Soaking { since, .. } => ("soaking", rules.map(|rules| *since + rules.soak())),
        };
        WatchView { rollout: watch.rollout.clone(), state: state.to_owned(), due }
    }
}
