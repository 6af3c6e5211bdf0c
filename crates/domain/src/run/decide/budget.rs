//! Whether a failure budget of the run is spent (rule S7).

use super::{Ask, Run};
use crate::event::Event;
use crate::halt::{Failed, HaltEvidence};
use crate::id::VmId;
use crate::layout::{StageKey, StepKey};
use crate::run::Standing;
use crate::run::progress::Failure;
use crate::selection::PackageVersion;
use std::collections::BTreeMap;

impl Run {
    /// Failures within a step, a stage or the region that the policy does not allow, no person accepted and no barred
    /// version excuses.
    pub(super) fn spent_budget(&self, ask: &Ask<'_>) -> Option<Event> {
        if self.failures.is_empty() {
            return None;
        }
        let excused = |failure: &&Failure| failure.blamed.iter().any(|patch| ask.barred.contains(patch));
        let counting: BTreeMap<&VmId, &Failure> =
            self.failures.iter().filter(|(_, failure)| !excused(failure)).collect();
        let (_, newest) = counting.last_key_value()?;
        let budgets = &ask.policy.budgets;
        for stage in &self.stages {
            let mut failed_of: BTreeMap<&StepKey, usize> = BTreeMap::new();
            for failure in counting.values() {
                if stage_of(&failure.step) == stage.key {
                    *failed_of.entry(&failure.step).or_default() += 1;
                }
            }
            for step in stage.lanes.iter().flatten() {
                let failed = failed_of.get(&step.key).copied().unwrap_or_default();
                let allowed = budgets.step.of(step.vms.len());
                if failed > allowed {
                    return Some(self.halt(&step.key, failed, allowed, &step.key.to_string(), &counting));
                }
            }
            let (failed, allowed) = (failed_of.values().sum(), budgets.zone.of(stage.vms().count()));
            if failed > allowed {
                return Some(self.halt(&newest.step, failed, allowed, &stage.key.to_string(), &counting));
            }
        }
        let (failed, allowed) = (counting.len(), budgets.region.of(self.step_of.len()));
        (failed > allowed).then(|| self.halt(&newest.step, failed, allowed, "the region", &counting))
    }

    fn halt(
        &self,
        step: &StepKey,
        failed: usize,
        allowed: usize,
        whole: &str,
        counting: &BTreeMap<&VmId, &Failure>,
    ) -> Event {
        let said = |vm| self.standings.get(vm).and_then(Standing::why);
        let first = counting.keys().find_map(|vm| Some((vm, said(vm)?)));
        let first = first.map(|(vm, why)| format!("; {vm}: {why}")).unwrap_or_default();
        let why = format!("{failed} VMs of {whole} failed, {allowed} may{first}");
        let tallies = self.patch_tallies();
        let healthy = |patch: &PackageVersion| tallies.iter().find(|tally| tally.patch == *patch);
        let failed = counting.iter().map(|(vm, failure)| Failed {
            vm,
            why: said(vm).unwrap_or_default(),
            blamed: &failure.blamed,
        });
        let evidence = HaltEvidence::of(failed, |patch| healthy(patch).map_or(0, |tally| tally.healthy));
        Event::RunHalted { rollout: self.rollout.clone(), step: step.clone(), why, evidence }
    }
}

fn stage_of(step: &StepKey) -> StageKey {
    match step {
        StepKey::ZoneBatch { zone, .. } => StageKey::Zone(zone.clone()),
        StepKey::UpdateDomain { .. } | StepKey::Batch(_) => StageKey::Zoneless,
    }
}
