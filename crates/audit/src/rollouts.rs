//! Rollouts, drawn from partition `rollout`: what was asked for, turns, stops and a person's word to go on.

use crate::Record;
use crate::timeline::Timeline;
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::policy::Policy;
use nightshift_domain::selection::PackageVersion;
use nightshift_domain::{Event, Partition, RegionName, RolloutId, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A time in which a rollout may patch a region.
pub(crate) struct Turn<'a> {
    pub phase: u32,
    pub round: u32,
    pub granted: &'a Record,
    /// `None` if it is not over.
    pub ended: Option<&'a Record>,
    /// Whether a person had the failed tried again before its phase passed: the gate goes by a later one.
    redone: bool,
}

impl Turn<'_> {
    /// Whether that moment lies in the turn, edges included: what has the same time may have been inside.
    pub fn holds(&self, at: Time) -> bool {
        self.granted.at <= at && self.ended.is_none_or(|ended| at <= ended.at)
    }
}

/// One rollout.
#[derive(Default)]
pub(crate) struct Rollout<'a> {
    /// Present if a person asked for it, on one VM.
    pub on_demand: Option<&'a OnDemand>,
    /// The policy with which it was asked for, and every change of it.
    pub policies: Timeline<'a, &'a Policy>,
    turns: BTreeMap<&'a RegionName, Vec<Turn<'a>>>,
    /// What stopped it; `None` from a person's word on.
    pub stopped: Timeline<'a, Option<&'a Record>>,
    ended: bool,
    /// The stops that a coordinator counts, in the order of the log: the `stops` of a hold are the first so many that
    /// concern its region. All do but those that take out another one.
    counted: Vec<(&'a Record, Option<&'a RegionName>)>,
    resumes: Vec<&'a Record>,
    passed: BTreeSet<u32>,
    /// Phases of which a person accepted something: failures, or that the gate failed.
    accepted: BTreeSet<u32>,
    started: BTreeSet<u32>,
    /// When a person had the failed of each region tried again.
    retries: BTreeMap<&'a RegionName, Vec<&'a Record>>,
    /// Regions that a person took out.
    skipped: BTreeMap<&'a RegionName, &'a Record>,
    /// Versions that were barred, in the order of the log.
    pub barred: Vec<(&'a Record, &'a PackageVersion)>,
    /// Versions that were certified, in the order of the log.
    pub certified: Vec<(&'a Record, &'a [PackageVersion])>,
}

impl<'a> Rollout<'a> {
    /// The event that asked for the rollout.
    pub fn requested(&self) -> Option<&'a Record> {
        self.policies.first().map(|version| version.record)
    }

    /// The rollout's turns in the region, in their order.
    pub fn turns(&self, region: &RegionName) -> &[Turn<'a>] {
        self.turns.get(region).map_or(&[], Vec::as_slice)
    }

    /// The round of the region that its phase's gate goes by: the first, or one that a person had tried again.
    pub fn gate_round(&self, region: &RegionName) -> u32 {
        let counts = self.turns(region).iter().find(|turn| !turn.redone);
        counts.map_or(u32::MAX, |turn| turn.round)
    }

    /// How often, by that moment, a person had the region's failed tried again; and the last time.
    pub fn retries(&self, region: &RegionName, at: Time) -> (usize, Option<&'a Record>) {
        let retries = self.retries.get(region).map_or(&[][..], Vec::as_slice);
        let by_then = retries.partition_point(|retry| retry.at <= at);
        (by_then, retries[..by_then].last().copied())
    }

    /// Whether a person accepted anything of the phase.
    pub fn accepted_in(&self, phase: u32) -> bool {
        self.accepted.contains(&phase)
    }

    /// What took the region out of the rollout.
    pub fn skipped(&self, region: &RegionName) -> Option<&'a Record> {
        self.skipped.get(region).copied()
    }

    /// How many versions were barred by that moment: these are the first ones of `barred`.
    pub fn barred_by(&self, at: Time) -> usize {
        self.barred.partition_point(|(record, _)| record.at <= at)
    }

    /// Whether a person had the rollout go on after this hold of a run, by the moment of its release.
    ///
    /// A run that halts does so for its own reasons: the person speaks after that. A run is held because the rollout
    /// was stopped before, which the coordinator may see late: the person may have spoken in between, and another stop
    /// may have followed. So the hold says of how many stops its coordinator had read.
    pub fn resumed(&self, hold: &Record, released: Time) -> bool {
        let mut spoken = self.resumes.iter().filter(|resume| resume.at <= released);
        match hold.event {
            Event::RunHeld { stops, .. } => {
                let concern = self.counted.iter().filter(|(_, only)| {
                    only.is_none_or(|region| hold.partition == Partition::Region(region.clone()))
                });
                let newest = (stops as usize)
                    .checked_sub(1)
                    .and_then(|newest| concern.map(|(stop, _)| stop).nth(newest));
                newest.is_some_and(|stop| spoken.any(|resume| resume.position > stop.position))
            }
            _ => spoken.any(|resume| resume.at >= hold.at),
        }
    }

    fn take(&mut self, record: &'a Record) {
        match &record.event {
            Event::RolloutRequested { policy, on_demand, .. } if self.requested().is_none() => {
                self.policies.push(record, policy);
                self.on_demand = on_demand.as_ref();
            }
            Event::PolicyChanged { policy, .. } => self.policies.push(record, policy),
            Event::TurnGranted { region, phase, round, .. } => {
                let turn = Turn { phase: *phase, round: *round, granted: record, ended: None, redone: false };
                self.turns.entry(region).or_default().push(turn);
            }
            Event::TurnEnded { region, round, .. } => {
                let turns = self.turns.entry(region).or_default();
                let open = turns.iter_mut().rfind(|turn| turn.ended.is_none() && turn.round == *round);
                if let Some(open) = open {
                    open.ended = Some(record);
                }
            }
            Event::PhaseFailed { .. } => self.stop(record),
            Event::RolloutHalted { .. } | Event::RolloutPaused { .. } => {
                self.counted.push((record, None));
                self.stop(record);
            }
            Event::RolloutCancelled { .. } | Event::RolloutExpired { .. } => {
                self.counted.push((record, None));
                self.stop(record);
                self.ended = true;
            }
            Event::RolloutCompleted { .. } => {
                self.stop(record);
                self.ended = true;
            }
            Event::RolloutResumed { .. } => {
                let under_way = self.started.iter().find(|phase| !self.passed.contains(phase)).copied();
                self.accepted.extend(under_way);
                self.resumes.push(record);
                if !self.ended {
                    self.stopped.push(record, None);
                }
            }
            Event::RolloutRetried { regions, .. } => {
                self.resumes.push(record);
                if !self.ended {
                    self.stopped.push(record, None);
                }
                for region in regions {
                    self.retries.entry(region).or_default().push(record);
                    let turns = self.turns.get_mut(region).into_iter().flatten();
                    let open = turns.filter(|turn| !self.passed.contains(&turn.phase));
                    open.for_each(|turn| turn.redone = true);
                }
            }
            Event::RegionSkipped { region, .. } if !self.skipped.contains_key(region) => {
                self.skipped.insert(region, record);
                self.counted.push((record, Some(region)));
            }
            Event::PhaseStarted { phase, .. } => {
                self.started.insert(*phase);
            }
            Event::PhasePassed { phase, .. } => {
                self.passed.insert(*phase);
            }
            Event::PatchBarred { patch, .. } => self.barred.push((record, patch)),
            Event::PatchesCertified { patches, .. } => self.certified.push((record, patches)),
            _ => {}
        }
    }

    fn stop(&mut self, record: &'a Record) {
        if !self.ended {
            self.stopped.push(record, Some(record));
        }
    }
}

/// Every rollout.
#[derive(Default)]
pub(crate) struct Rollouts<'a>(BTreeMap<&'a RolloutId, Rollout<'a>>);

impl<'a> Rollouts<'a> {
    /// Draws them from the events of the partition, in their order.
    pub fn of(records: &[&'a Record]) -> Self {
        let mut rollouts = Self::default();
        for record in records {
            if let Some(rollout) = about(&record.event) {
                rollouts.0.entry(rollout).or_default().take(record);
            }
        }
        rollouts
    }

    /// One of them; `None` if partition `rollout` says nothing of it.
    pub fn get(&self, rollout: &RolloutId) -> Option<&Rollout<'a>> {
        self.0.get(rollout)
    }
}

/// The rollout that an event of partition `rollout` is about.
pub(crate) fn about(event: &Event) -> Option<&RolloutId> {
    match event {
        Event::RolloutRequested { rollout, .. }
        | Event::RolloutPlanned { rollout, .. }
        | Event::PhaseStarted { rollout, .. }
        | Event::TurnGranted { rollout, .. }
        | Event::TurnEnded { rollout, .. }
        | Event::PhasePassed { rollout, .. }
        | Event::PhaseFailed { rollout, .. }
        | Event::RolloutHalted { rollout, .. }
        | Event::RolloutPaused { rollout, .. }
        | Event::RolloutResumed { rollout, .. }
        | Event::RolloutRetried { rollout, .. }
        | Event::RegionSkipped { rollout, .. }
        | Event::RolloutCancelled { rollout, .. }
        | Event::RolloutExpired { rollout, .. }
        | Event::RolloutCompleted { rollout, .. }
        | Event::PolicyChanged { rollout, .. }
        | Event::PhaseApproved { rollout, .. }
        | Event::BakeWatchRequested { rollout, .. }
        | Event::PatchesCertified { rollout, .. }
        | Event::PatchBarred { rollout, .. } => Some(rollout),
        _ => None,
    }
}
