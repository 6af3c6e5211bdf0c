//! A run as people see it: its stages, lanes and steps, and how far each is.

use super::Run;
use crate::layout::{StageKey, Step};

/// One step of a round.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The zone, or what is in no zone.
    pub stage: &'a StageKey,
    /// Of the stage's lanes, which run side by side, from 0.
    pub lane: usize,
    /// The step itself.
    pub step: &'a Step,
    /// Whether it may be ordered, or could once.
    pub started: bool,
    /// Whether every VM of it is settled, skipped or deferred.
    pub ended: bool,
}

impl Run {
    /// All steps of the round, in the order of its stages and lanes.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.stages.iter().flat_map(move |stage| {
            stage.lanes.iter().enumerate().flat_map(move |(lane, steps)| {
                steps.iter().map(move |step| {
                    let progress = self.steps.get(&step.key);
                    let ended = progress.is_some_and(|progress| progress.ended);
                    Part { stage: &stage.key, lane, step, started: progress.is_some(), ended }
                })
            })
        })
    }

    /// Whether the stage has ended.
    pub fn has_ended(&self, stage: &StageKey) -> bool {
        self.ended_stages.contains(stage)
    }
}
