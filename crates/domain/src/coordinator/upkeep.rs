//! Assessment rounds: every VM every few days, several times in any thirty, in its own off-peak hours
//! (REQUIREMENTS.md A4); once in every 24 hours where its model asks for that (A10).

use crate::event::{Aggregate, Chain, Event};
use crate::fleet::{AssessmentMode, Feature, Fleet, Vm};
use crate::id::{RegionName, VmId};
use crate::mind::{Decision, Fact, Time};
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long an assessment is good for.
const EVERY: Duration = Duration::days(3);
/// When a VM that is to be assessed once in 24 hours is due again: every night has one, also the night after a person's
/// wish by day.
const DAILY: Duration = Duration::hours(12);
/// When a VM that was asked and did not answer, as one that is off, is asked again: the next night.
const AGAIN: Duration = Duration::hours(20);
/// An assessment reads; it fits into whatever is left of the window but this.
const LONGEST: Duration = Duration::minutes(15);
/// VMs that one event names.
const VMS_PER_EVENT: usize = 500;

/// When each VM is to be assessed next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Upkeep {
    due: BTreeMap<VmId, Time>,
    agenda: BTreeSet<(Time, VmId)>,
}

impl Upkeep {
    /// Takes a fact; the fleet has seen it already.
    pub fn apply(&mut self, fact: &Fact, fleet: &Fleet) {
        match &fact.event {
            Event::VmRegistered { vm } => self.plan(&vm.id, fact.at, fleet),
            Event::VmModelChanged { vm } => {
                let due = self.due.get(&vm.id).copied().unwrap_or(fact.at);
                self.plan(&vm.id, due.min(fact.at + every(vm)).max(fact.at), fleet);
            }
            Event::VmRemoved { vm } => self.forget(vm),
            Event::AssessmentsRequested { vms, .. } => {
                vms.iter().for_each(|vm| self.plan(vm, fact.at + AGAIN, fleet));
            }
            Event::AgentAssessed { vm, .. } => {
                let every = fleet.vms.get(vm).map_or(EVERY, every);
                self.plan(vm, fact.at + every, fleet);
            }
            _ => {}
        }
    }

    pub fn decide(&self, now: Time, fleet: &Fleet, is_mine: impl Fn(&RegionName) -> bool) -> Vec<Decision> {
        let due = self.agenda.iter().take_while(|(at, _)| *at <= now).map(|(_, vm)| vm);
        let mut asked: BTreeMap<(&RegionName, Time), Vec<VmId>> = BTreeMap::new();
        for vm in due.filter_map(|vm| fleet.vms.get(vm)) {
            if !is_mine(&vm.region) || !is_assessed(vm, fleet) {
                continue;
            }
            if let Some(opening) = opening(vm, now, fleet).filter(|opening| opening.opens <= now) {
                asked.entry((&vm.region, opening.closes)).or_default().push(vm.id.clone());
            }
        }
        let request = |((region, closes), vms): ((&RegionName, Time), Vec<VmId>)| {
            let aggregate = Aggregate { kind: "upkeep".into(), id: "assessments".into() };
            let events = vms.chunks(VMS_PER_EVENT).map(|vms| Event::AssessmentsRequested {
                region: region.clone(),
                vms: vms.to_vec(),
                not_after: closes - LONGEST,
            });
            Decision { chain: Chain::Of(region.clone(), aggregate), events: events.collect() }
        };
        let mut decisions: Vec<Decision> = Vec::new();
        // One decision a chain: a second one would not know what the first appends.
        for Decision { chain, events } in asked.into_iter().map(request) {
            match decisions.iter_mut().find(|decision| decision.chain == chain) {
                Some(known) => known.events.extend(events),
                None => decisions.push(Decision { chain, events }),
            }
        }
        decisions
    }

    pub fn next_wake(&self, now: Time) -> Option<Time> {
        let later = self.agenda.iter().map(|(at, _)| *at).find(|at| *at > now);
        later.filter(|_| !self.agenda.is_empty())
    }

    /// The VM's first off-peak moment from here on.
    fn plan(&mut self, vm: &VmId, from: Time, fleet: &Fleet) {
        self.forget(vm);
        let Some(model) = fleet.vms.get(vm) else { return };
        if let Some(opening) = opening(model, from, fleet) {
            let due = opening.opens.max(from);
            self.due.insert(vm.clone(), due);
            self.agenda.insert((due, vm.clone()));
        }
    }

    fn forget(&mut self, vm: &VmId) {
        if let Some(due) = self.due.remove(vm) {
            self.agenda.remove(&(due, vm.clone()));
        }
    }
}

fn every(vm: &Vm) -> Duration {
    match vm.assessment_mode {
        AssessmentMode::AutomaticByPlatform => DAILY,
        AssessmentMode::ImageDefault => EVERY,
    }
}

/// Whether the VM has assessments: those that rollouts patch, and those whose model asks for it.
fn is_assessed(vm: &Vm, fleet: &Fleet) -> bool {
    let asks = vm.assessment_mode == AssessmentMode::AutomaticByPlatform
        && fleet.feature_refusal(&vm.subscription, Feature::InGuestPatchVMPreview).is_none();
    asks || fleet.ineligible(vm).is_none()
}

fn opening(vm: &Vm, from: Time, fleet: &Fleet) -> Option<crate::window::Opening> {
    fleet.window(vm).next_fit(fleet.time_zone(vm)?, from, LONGEST, |_| false)
}
