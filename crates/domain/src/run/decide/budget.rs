//! Whether a failure budget of the run is spent (rule S7).

use super::{Ask, Run};
use crate::analysis::{Comparison, Finding};
use crate::event::Event;
use crate::gate::{Condition, ConditionState, Gate};
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
        let counting = self.counting(ask);
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
                    return Some(self.halt(
                        ask,
                        &step.key,
                        (failed, allowed),
                        &step.key.to_string(),
                        &counting,
                    ));
                }
            }
            let (failed, allowed) = (failed_of.values().sum(), budgets.zone.of(stage.vms().count()));
            if failed > allowed {
                return Some(self.halt(
                    ask,
                    &newest.step,
                    (failed, allowed),
                    &stage.key.to_string(),
                    &counting,
                ));
            }
        }
        let (failed, allowed) = (counting.len(), budgets.region.of(self.step_of.len()));
        (failed > allowed).then(|| self.halt(ask, &newest.step, (failed, allowed), "the region", &counting))
    }

    fn halt(
        &self,
        ask: &Ask<'_>,
        step: &StepKey,
        (failed, allowed): (usize, usize),
        whole: &str,
        counting: &Counting<'_>,
    ) -> Event {
        let first = counting.keys().find_map(|vm| Some((vm, self.standings.get(vm)?.why()?)));
        let first = first.map(|(vm, why)| format!("; {vm}: {why}")).unwrap_or_default();
        let mut why = format!("{failed} VMs of {whole} failed, {allowed} may{first}");
        let comparison = ask.policy.analysis.map(|analysis| (analysis, self.comparison()));
        if let Some((analysis, comparison)) = comparison
            && comparison.finding(&analysis, None) == Finding::Outage
        {
            why += &format!("; an outage, and not the patch: {comparison}");
        }
        self.halted_at(step, why, counting, comparison.map(|(_, comparison)| comparison))
    }

    /// The halt with its evidence.
    pub(in crate::run) fn halted_at(
        &self,
        step: &StepKey,
        why: String,
        counting: &Counting<'_>,
        comparison: Option<Comparison>,
    ) -> Event {
        let tallies = self.patch_tallies();
        let healthy = |patch: &PackageVersion| tallies.iter().find(|tally| tally.patch == *patch);
        let failed = counting.iter().map(|(vm, failure)| Failed {
            vm,
            why: self.standings.get(*vm).and_then(Standing::why).unwrap_or_default(),
            blamed: &failure.blamed,
        });
        let evidence = HaltEvidence::of(failed, |patch| healthy(patch).map_or(0, |tally| tally.healthy));
        let evidence = HaltEvidence { comparison, ..evidence };
        Event::RunHalted { rollout: self.rollout.clone(), step: step.clone(), why, evidence }
    }

    /// How far the budgets of the open stage, its steps and the region are.
    pub(in crate::run) fn budgets(&self, ask: &Ask<'_>) -> Vec<Gate> {
        let counting = self.counting(ask);
        let of =
            |is: &dyn Fn(&StepKey) -> bool| counting.values().filter(|failure| is(&failure.step)).count();
        let budgets = &ask.policy.budgets;
        let gate = |whole: String, failed, vms, budget| {
            let conditions = vec![Condition::budget(failed, vms, budget)];
            Gate { whole, conditions }
        };
        let mut gates = Vec::new();
        if let Some((_, stage)) = self.open_stage() {
            for step in self.current_steps().filter(|step| self.steps.contains_key(&step.key)) {
                let failed = of(&|key| *key == step.key);
                let mut gate = gate(step.key.to_string(), failed, step.vms.len(), &budgets.step);
                let open = self.steps.get(&step.key).map_or(0, |progress| progress.open);
                let sentence = format!("{} of {} VMs are done with", step.vms.len() - open, step.vms.len());
                let state = if open == 0 { ConditionState::Met } else { ConditionState::Waits };
                gate.conditions.push(Condition::new(state, "StepRuns", sentence));
                gates.push(gate);
            }
            let failed = of(&|key| stage_of(key) == stage.key);
            gates.push(gate(stage.key.to_string(), failed, stage.vms().count(), &budgets.zone));
        }
        gates.push(gate("the region".to_owned(), counting.len(), self.step_of.len(), &budgets.region));
        gates
    }

    /// Failures of the round that no person accepted and no barred version excuses.
    fn counting(&self, ask: &Ask<'_>) -> Counting<'_> {
        let excused = |failure: &Failure| failure.blamed.iter().any(|patch| ask.barred.contains(patch));
        self.failures.iter().filter(|(_, failure)| !excused(failure)).collect()
    }
}

type Counting<'a> = BTreeMap<&'a VmId, &'a Failure>;

fn stage_of(step: &StepKey) -> StageKey {
    match step {
        StepKey::ZoneBatch { zone, .. } => StageKey::Zone(zone.clone()),
        StepKey::UpdateDomain { .. } | StepKey::Batch(_) => StageKey::Zoneless,
    }
}
