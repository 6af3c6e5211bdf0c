//! Everything, folded from the log by the same code that the services decide on; the console only looks at it.

use crate::changes::Changes;
use crate::deeds::Deeds;
use crate::index::Index;
use crate::operations::Operations;
use crate::patching::Patching;
use crate::promise::Promises;
use crate::timeline::Timelines;
use nightshift_domain::agent::{AgentIdentity, InstallReport, Requirement};
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::patch::Assessment;
use nightshift_domain::planner::Planner;
use nightshift_domain::{Decision, Event, Fact, Follow, Mind, Time, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The account of the console.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct View {
    /// Fleet and rollouts.
    pub(crate) planner: Planner,
    /// The runs of all regions.
    pub(crate) coordinator: Coordinator,
    /// What agents said.
    pub(crate) machines: BTreeMap<VmId, Machine>,
    /// VMs as resources.
    pub(crate) index: Index,
    /// What people asked of single machines.
    pub(crate) operations: Operations,
    /// When what they do began and ended.
    pub(crate) patching: Patching,
    /// Who wished what of rollouts.
    pub(crate) deeds: Deeds,
    /// Regions over nights.
    pub(crate) timelines: Timelines,
    /// Since when each machine waits for its patches.
    pub(crate) promise: Promises,
    /// Which region changed when.
    #[serde(skip)]
    pub(crate) changes: Changes,
}

/// What one VM's agent said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) identity: Option<AgentIdentity>,
    pub(crate) enabled: bool,
    pub(crate) assessed: Option<(Time, Assessment)>,
    pub(crate) installed: Option<(Time, InstallReport)>,
    /// Why the newest assessment failed, if it did.
    #[serde(default)]
    pub(crate) not_assessed: Option<(Time, String)>,
    #[serde(default)]
    pub(crate) requirements: Vec<Requirement>,
    /// When a person wished an assessment that has not ended.
    #[serde(default)]
    pub(crate) wished: Option<Time>,
}

impl Mind for View {
    fn apply(&mut self, fact: &Fact) {
        self.planner.apply(fact);
        self.coordinator.apply(fact);
        self.changes.apply(fact);
        self.deeds.apply(fact);
        self.timelines.apply(fact);
        if !self.is_of_an_install(&fact.event) {
            self.promise.apply(fact);
        }
        self.index.apply(&fact.event);
        self.patching.apply(fact);
        self.operations.apply(fact);
        match &fact.event {
            Event::AgentConnected { vm, identity } => self.machine(vm).identity = Some(identity.clone()),
            Event::AgentEnabled { vm, .. } => self.machine(vm).enabled = true,
            Event::AgentAssessed { vm, assessment, .. } => {
                let machine = self.machine(vm);
                machine.assessed = Some((fact.at, assessment.clone()));
                (machine.not_assessed, machine.wished) = (None, None);
            }
            Event::AssessmentFailed { vm, why, .. } => {
                let machine = self.machine(vm);
                machine.not_assessed = Some((fact.at, why.clone()));
                machine.wished = None;
            }
            Event::AssessmentWished { vm, .. } => self.machine(vm).wished = Some(fact.at),
            Event::AgentChecked { vm, requirements, .. } => {
                self.machine(vm).requirements = requirements.clone();
            }
            Event::OrderFinished { vm, result, .. } => {
                self.machine(vm).installed = Some((fact.at, result.clone()))
            }
            _ => {}
        }
    }

    /// The console decides nothing.
    fn decide(&self, _now: Time) -> Vec<Decision> {
        Vec::new()
    }

    fn next_wake(&self, _now: Time) -> Option<Time> {
        None
    }

    fn follows(&self) -> Vec<Follow> {
        self.coordinator.follows()
    }
}

impl View {
    /// A rollout of all patches is promised, which a person's choice of some on one machine is not.
    fn is_of_an_install(&self, event: &Event) -> bool {
        let Event::VmSettled { rollout, .. } = event else { return false };
        self.planner.rollouts.get(rollout).is_some_and(|rollout| rollout.on_demand.is_some())
    }

    fn machine(&mut self, vm: &VmId) -> &mut Machine {
        self.machines.entry(vm.clone()).or_default()
    }
}
