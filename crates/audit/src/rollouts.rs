//! Rollouts, drawn from partition `rollout`: what was asked for, turns, stops and a person's word to go on.

use crate::Record;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, RegionName, RolloutId, Time};
use std::collections::BTreeMap;

/// A time in which a rollout may patch a region.
pub(crate) struct Turn<'a> {
    pub granted: &'a Record,
    /// `None` if it is not over.
    pub ended: Option<&'a Record>,
}

impl Turn<'_> {
    /// Whether that moment lies in the turn, edges included: what has the same time may have been inside.
    pub fn holds(&self, at: Time) -> bool {
        self.granted.at <= at && self.ended.is_none_or(|ended| at <= ended.at)
    }
}

/// What all rules may want to know of rollouts.
#[derive(Default)]
pub(crate) struct Rollouts<'a> {
    requested: BTreeMap<&'a RolloutId, (&'a Record, &'a Policy)>,
    turns: BTreeMap<&'a RolloutId, BTreeMap<&'a RegionName, Vec<Turn<'a>>>>,
    stops: BTreeMap<&'a RolloutId, Vec<&'a Record>>,
    resumes: BTreeMap<&'a RolloutId, Vec<&'a Record>>,
}

impl<'a> Rollouts<'a> {
    /// Draws them from the events of the partition, in their order.
    pub fn of(records: &[&'a Record]) -> Self {
        let mut rollouts = Self::default();
        for record in records {
            match &record.event {
                Event::RolloutRequested { rollout, policy, .. } => {
                    rollouts.requested.entry(rollout).or_insert((record, policy));
                }
                Event::TurnGranted { rollout, region, .. } => {
                    let turn = Turn { granted: record, ended: None };
                    rollouts.turns.entry(rollout).or_default().entry(region).or_default().push(turn);
                }
                Event::TurnEnded { rollout, region, .. } => {
                    let turns = rollouts.turns.entry(rollout).or_default().entry(region).or_default();
                    if let Some(open) = turns.iter_mut().find(|turn| turn.ended.is_none()) {
                        open.ended = Some(record);
                    }
                }
                Event::PhaseFailed { rollout, .. }
                | Event::RolloutHalted { rollout, .. }
                | Event::RolloutPaused { rollout, .. }
                | Event::RolloutCancelled { rollout, .. } => {
                    rollouts.stops.entry(rollout).or_default().push(record)
                }
                Event::RolloutResumed { rollout, .. } => {
                    rollouts.resumes.entry(rollout).or_default().push(record)
                }
                _ => {}
            }
        }
        rollouts
    }

    /// The event that asked for the rollout, and its policy.
    pub fn requested(&self, rollout: &RolloutId) -> Option<(&'a Record, &'a Policy)> {
        self.requested.get(rollout).copied()
    }

    /// The rollout's turns in the region, in their order.
    pub fn turns(&self, rollout: &RolloutId, region: &RegionName) -> &[Turn<'a>] {
        self.turns.get(rollout).and_then(|regions| regions.get(region)).map_or(&[], Vec::as_slice)
    }

    /// Whether a person had the rollout go on after this hold of a run, by the moment of its release.
    ///
    /// A run that halts does so for its own reasons: the person speaks after that. A run is held because the rollout
    /// was stopped before, which the coordinator may see late: the person may have spoken in between.
    pub fn resumed(&self, rollout: &RolloutId, hold: &Record, released: Time) -> bool {
        let resumes = self.resumes.get(rollout).map_or(&[][..], Vec::as_slice);
        let stops = self.stops.get(rollout).map_or(&[][..], Vec::as_slice);
        let cause = match hold.event {
            Event::RunHeld { .. } => stops.iter().rfind(|stop| stop.at <= hold.at),
            _ => None,
        };
        resumes.iter().filter(|resume| resume.at <= released).any(|resume| match cause {
            Some(stop) => resume.position > stop.position,
            None => resume.at >= hold.at,
        })
    }
}
