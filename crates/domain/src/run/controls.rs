//! Controls: machines that wait for their patch and are watched beside those that soak, so that a patch's harm can be told
//! from the rest of the world's ([`crate::analysis`]).

use super::time_limits::controls_overdue;
use super::{Ask, Run, Standing};
use crate::analysis::{Comparison, Finding, SAMPLE};
use crate::event::{Event, Outcome};
use crate::health::Baseline;
use crate::id::{OrderId, VmId};
use crate::layout::StepKey;
use crate::mind::Time;
use crate::patch::Blame;
use crate::policy::Policy;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of the round's patched machines and of its controls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Controls {
    /// How many samples there were in the round; the newest may be under watch.
    samples: u32,
    sample: Option<Sample>,
    /// When the newest was asked for.
    asked: Option<Time>,
    comparison: Comparison,
    /// The comparison as it was when a step last ended: what is decided rests on it, however often it is looked at.
    look: Option<(u32, StepKey, Comparison)>,
    looks: u32,
}

/// Machines under watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    id: OrderId,
    since: Time,
    answers: BTreeMap<VmId, Option<Answer>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Answer {
    Well,
    Ill,
    /// It was not well when it was chosen, or its own turn came: it tells nothing.
    Out,
}

impl Controls {
    pub fn begin(&mut self, id: &OrderId, vms: &[VmId], at: Time) {
        self.samples += 1;
        self.asked = Some(at);
        let answers = vms.iter().map(|vm| (vm.clone(), None)).collect();
        self.sample = Some(Sample { id: id.clone(), since: at, answers });
    }

    pub fn baseline(&mut self, vm: &VmId, sample: &OrderId, baseline: &Baseline) {
        let is_well = matches!(baseline, Baseline::Well | Baseline::Flawed { .. });
        if !is_well && self.is_under_watch(sample) {
            self.leave(vm);
        }
    }

    /// Its own turn came, or it tells nothing.
    pub fn leave(&mut self, vm: &VmId) {
        self.answer(vm, Answer::Out);
    }

    pub fn verdict(&mut self, vm: &VmId, order: &OrderId, is_well: bool) {
        if self.is_under_watch(order) {
            self.answer(vm, if is_well { Answer::Well } else { Answer::Ill });
        }
    }

    fn is_under_watch(&self, id: &OrderId) -> bool {
        self.sample.as_ref().is_some_and(|sample| sample.id == *id)
    }

    fn answer(&mut self, vm: &VmId, answer: Answer) {
        let known = self.sample.as_mut().and_then(|sample| sample.answers.get_mut(vm));
        if let Some(known @ None) = known {
            *known = Some(answer);
        }
    }

    pub fn judged(&mut self, ill: u32, well: u32) {
        self.sample = None;
        self.comparison += Comparison { control_ill: ill, control_well: well, ..Comparison::default() };
    }

    /// A machine that installed something and fell ill is compared; one whose installation failed is not.
    pub fn settled(&mut self, outcome: &Outcome, blamed: &[Blame]) {
        self.comparison += patched(outcome, blamed);
    }

    pub fn step_ended(&mut self, step: &StepKey) {
        self.looks += 1;
        self.look = Some((self.looks, step.clone(), self.comparison));
    }

    /// A person accepted what was found: what comes is compared afresh.
    pub fn accept(&mut self) {
        (self.comparison, self.look) = (Comparison::default(), None);
    }

    /// What is known now, with controls that have no verdict yet as they stand.
    pub fn so_far(&self) -> Comparison {
        let mut so_far = self.comparison;
        for answer in self.sample.iter().flat_map(|sample| sample.answers.values()) {
            match answer {
                Some(Answer::Ill) => so_far.control_ill += 1,
                Some(Answer::Well) | None => so_far.control_well += 1,
                Some(Answer::Out) => {}
            }
        }
        so_far
    }

    pub fn next_wake(&self, policy: &Policy) -> Option<Time> {
        self.sample.as_ref().map(|sample| controls_overdue(sample.since, policy))
    }
}

/// What one settled machine adds to a comparison.
pub(crate) fn patched(outcome: &Outcome, blamed: &[Blame]) -> Comparison {
    let mut comparison = Comparison::default();
    match outcome {
        Outcome::Healthy => comparison.patched_well = 1,
        Outcome::Failed { .. } if !blamed.is_empty() && blamed.iter().all(|blame| !blame.direct) => {
            comparison.patched_ill = 1;
        }
        Outcome::Failed { .. } => {}
    }
    comparison
}

impl Run {
    /// What the controls came to, once all have a verdict or their time is over.
    pub(super) fn judge_controls(&self, now: Time, policy: &Policy) -> Option<Event> {
        let sample = self.controls.sample.as_ref()?;
        let overdue = now >= controls_overdue(sample.since, policy);
        if !overdue && sample.answers.values().any(Option::is_none) {
            return None;
        }
        let count = |wanted: Answer| {
            let of_it = sample.answers.values().filter(|answer| **answer == Some(wanted)).count();
            u32::try_from(of_it).unwrap_or(u32::MAX)
        };
        let (ill, well) = (count(Answer::Ill), count(Answer::Well));
        Some(Event::ControlsJudged { rollout: self.rollout.clone(), sample: sample.id.clone(), ill, well })
    }

    /// Machines of steps that have not started are watched while others are in flight, where the policy asks for it.
    pub(super) fn ask_for_controls(&self, now: Time, ask: &Ask<'_>) -> Option<Event> {
        let analysis = ask.policy.analysis.filter(|_| self.controls.sample.is_none())?;
        // One that told nothing at once is not followed by the next at once.
        let pause = ask.policy.soak.max(Duration::minutes(1));
        if self.controls.asked.is_some_and(|asked| now < asked + pause) {
            return None;
        }
        let later = self.step_of.iter().filter(|(vm, step)| {
            !self.steps.contains_key(*step)
                && self.standings.get(*vm) == Some(&Standing::Waiting)
                && !self.ever_failed.contains(*vm)
                && !ask.beside.is_busy(vm)
        });
        let later: Vec<&VmId> = later.map(|(vm, _)| vm).collect();
        // From all over the region, not the first by name.
        let stride = later.len().div_ceil(analysis.controls as usize).max(1);
        let vms: Vec<VmId> = later.into_iter().step_by(stride).cloned().collect();
        let sample = self.named(SAMPLE, &(self.controls.samples + 1).to_string());
        let rollout = self.rollout.clone();
        (!vms.is_empty()).then_some(Event::ControlsRequested { rollout, sample, vms })
    }

    /// The halt for a patch's harm, if the last look found it.
    pub(super) fn harm(&self, ask: &Ask<'_>) -> Option<Event> {
        let analysis = ask.policy.analysis?;
        let (look, step, comparison) = self.controls.look.as_ref()?;
        if comparison.finding(&analysis, Some(*look)) != Finding::Harm {
            return None;
        }
        let why = format!("machines fall ill more often with the patch than without: {comparison}");
        let counting = self.failures.iter().collect();
        Some(self.halted_at(step, why, &counting, Some(*comparison)))
    }

    /// The patched and the controls of the round, as far as is known.
    pub fn comparison(&self) -> Comparison {
        self.controls.so_far()
    }
}
