//! What a run's watches go by, of its policy as it was when the round started.

use crate::health::Source;
use crate::id::VmId;
use crate::layout::StepKey;
use crate::policy::{Need, Policy, Query};
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules {
    soak_seconds: i64,
    silence_seconds: i64,
    /// Sources that a verdict waits for, each with the number of its ailments that fails a VM; the agent first.
    required: Vec<(Source, u32)>,
    advisory: Vec<Source>,
    pub queries: Vec<Query>,
    pub phase: u32,
    /// The step that each VM of the round is in, where anything is asked of the monitoring system.
    steps: BTreeMap<VmId, StepKey>,
}

impl Rules {
    pub fn of(policy: &Policy, phase: u32) -> Self {
        let probes = policy.probes.iter().map(|p| (Source::Probe(p.name.clone()), p.need, p.failures));
        let reports = policy.reports.iter().map(|r| (Source::Report(r.name.clone()), r.need, r.failures));
        let of_soak = || policy.queries.iter().filter(|query| query.is_of_soak());
        let queries = of_soak().map(|q| (Source::Query(q.name.clone()), q.need, q.failures));
        let mut required = vec![(Source::Agent, 1)];
        let mut advisory = Vec::new();
        for (source, need, failures) in probes.chain(reports).chain(queries) {
            match need {
                Need::Required => required.push((source, failures)),
                Need::Advisory => advisory.push(source),
            }
        }
        Self {
            soak_seconds: policy.soak.num_seconds(),
            silence_seconds: policy.silence.num_seconds(),
            required,
            advisory,
            queries: of_soak().cloned().collect(),
            phase,
            steps: BTreeMap::new(),
        }
    }

    pub fn soak(&self) -> Duration {
        Duration::seconds(self.soak_seconds)
    }

    pub fn silence(&self) -> Duration {
        Duration::seconds(self.silence_seconds)
    }

    pub fn start_step(&mut self, step: &StepKey, vms: &[VmId]) {
        if !self.queries.is_empty() {
            self.steps.extend(vms.iter().map(|vm| (vm.clone(), step.clone())));
        }
    }

    pub fn step_of(&self, vm: &VmId) -> Option<&StepKey> {
        self.steps.get(vm)
    }

    pub fn required(&self) -> impl Iterator<Item = &Source> {
        self.required.iter().map(|(source, _)| source)
    }

    /// With how many ailments within the soak this source fails a VM; `None` if its word decides nothing.
    pub fn failures(&self, source: &Source) -> Option<usize> {
        let known = self.required.iter().find(|(known, _)| known == source);
        known.map(|(_, failures)| *failures as usize)
    }

    pub fn advisory(&self) -> impl Iterator<Item = &Source> {
        self.advisory.iter()
    }
}
