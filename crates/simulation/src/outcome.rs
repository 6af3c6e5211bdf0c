//! What a simulated month came to.

use crate::tape::Tape;
use chrono::Duration;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::explain::{Explanation, Reason};
use nightshift_domain::planner::Planner;
use nightshift_domain::rollout::{Ended, Rollout, Status, Tally};
use nightshift_domain::run::Standing;
use nightshift_domain::{Event, RegionName, RolloutId, Time, VmId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a simulated stretch of time came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Repeats it.
    pub seed: u64,
    /// From when …
    pub start: Time,
    /// … to when.
    pub end: Time,
    /// VMs of the fleet at the end.
    pub vms: usize,
    /// Events of the log.
    pub events: u64,
    /// Each rollout.
    pub rollouts: Vec<RolloutOutcome>,
    /// What people had installed on single VMs, each a rollout of that VM.
    pub installs: Vec<RolloutOutcome>,
    /// VMs that could have been patched by the deadline and were not.
    pub missed: Vec<VmId>,
    /// Waiting VMs without a reason.
    pub unexplained: Unexplained,
    /// What the auditor says; absent if the log was not kept.
    pub audit: Option<nightshift_audit::Report>,
    /// Orders of each region by the day (UTC) on which they were placed.
    pub calendar: BTreeMap<RegionName, BTreeMap<chrono::NaiveDate, u32>>,
}

/// One rollout.
#[derive(Debug, Clone, Serialize)]
pub struct RolloutOutcome {
    /// Which.
    pub rollout: RolloutId,
    /// `running`, `halted`, `passed`, `cancelled`, `expired` …
    pub state: &'static str,
    /// When it was asked for.
    pub requested: Time,
    /// When its last fact was recorded.
    pub changed: Time,
    /// VMs that ended so.
    pub healthy: u32,
    /// See [`Tally`].
    pub failed: u32,
    /// See [`Tally`].
    pub skipped: u32,
    /// See [`Tally`].
    pub deferred: u32,
    /// Phases in order.
    pub phases: Vec<PhaseOutcome>,
    /// Every VM that did not end healthy, and why; the first hundred.
    pub left: BTreeMap<VmId, String>,
}

/// One phase.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseOutcome {
    /// From 1.
    pub number: u32,
    /// Its regions.
    pub regions: Vec<RegionName>,
    /// VMs as planned.
    pub vms: u32,
    /// The first turn's start.
    pub started: Option<Time>,
    /// The last first turn's end.
    pub ended: Option<Time>,
    /// VMs that were ordered.
    pub ordered: u32,
    /// Of them, that failed.
    pub failed: u32,
}

/// Waiting VMs that nobody could say why of.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Unexplained {
    /// How often one was met.
    pub count: u64,
    /// How often one was looked at.
    pub looked_at: u64,
    /// The first.
    pub first: Option<(Time, Explanation)>,
    /// VMs whose last reason was that a service is about to act: that reason, and since when.
    #[serde(skip)]
    about_to: BTreeMap<VmId, (Reason, Time)>,
}

impl Unexplained {
    /// A chain that ends with something that is no reason to wait explains nothing; nor does one that says for longer
    /// than `patience` that a service is about to act.
    pub fn look(&mut self, explanation: &Explanation, now: Time, patience: Duration) {
        self.looked_at += 1;
        let last = explanation.reasons.last();
        let is_stuck = match last.filter(|reason| reason.is_transient) {
            // Another reason than before is a step further: whoever was about to act has acted.
            Some(reason) => {
                let before = self.about_to.remove(&explanation.vm).filter(|(before, _)| before == reason);
                let (_, since) = before.unwrap_or_else(|| (reason.clone(), now));
                self.about_to.insert(explanation.vm.clone(), (reason.clone(), since));
                now - since >= patience
            }
            None => {
                self.about_to.remove(&explanation.vm);
                false
            }
        };
        let is_silent = last.is_none_or(|reason| {
            matches!(reason.code.as_str(), "RolloutRunning" | "TurnHeld" | "PhaseWaits")
        });
        if is_silent || is_stuck {
            self.count += 1;
            self.first.get_or_insert_with(|| (now, explanation.clone()));
        }
    }

    /// Whether a VM waits for a service that is about to act.
    pub fn has_doubts(&self) -> bool {
        !self.about_to.is_empty()
    }
}

impl Outcome {
    /// Reads it off the minds that folded the whole log, and lets the auditor read the log where it was kept.
    pub fn of(
        seed: u64,
        start: Time,
        end: Time,
        tape: &Tape,
        planner: &Planner,
        coordinator: &Coordinator,
    ) -> Self {
        let (installs, rollouts): (Vec<_>, Vec<_>) =
            planner.rollouts.iter().partition(|(_, rollout)| rollout.on_demand.is_some());
        let outcomes = |of: Vec<(&RolloutId, &Rollout)>| {
            of.into_iter().map(|(id, rollout)| rollout_outcome(id, rollout, coordinator)).collect()
        };
        Self {
            seed,
            start,
            end,
            vms: planner.fleet.vms.len(),
            events: tape.events,
            rollouts: outcomes(rollouts),
            installs: outcomes(installs),
            missed: Vec::new(),
            unexplained: Unexplained::default(),
            audit: tape.is_kept().then(|| nightshift_audit::audit(tape.records())),
            calendar: BTreeMap::new(),
        }
        .with_calendar(tape)
    }

    fn with_calendar(mut self, tape: &Tape) -> Self {
        for fact in tape.facts() {
            if let (Some(region), Event::OrderPlaced { .. }) = (fact.region(), &fact.event) {
                let days = self.calendar.entry(region.clone()).or_default();
                *days.entry(fact.at.date_naive()).or_default() += 1;
            }
        }
        self
    }

    /// Counts the VMs that were enlisted, could be reached and are not healthy although their rollout had its time.
    pub fn count_missed(
        &mut self,
        planner: &Planner,
        coordinator: &Coordinator,
        reachable: impl Fn(&VmId) -> bool,
    ) {
        let mut missed = BTreeSet::new();
        for (region, runs) in &coordinator.runs {
            for (id, run) in runs {
                let ended = planner.rollouts.get(id).is_some_and(|rollout| {
                    matches!(rollout.status, Status::Completed { ended: Ended::Passed | Ended::Expired })
                });
                let rollout = planner.rollouts.get(id);
                if rollout.is_some_and(|rollout| rollout.on_demand.is_some()) {
                    // A person's one try.
                    continue;
                }
                let turns = rollout.into_iter().flat_map(|rollout| rollout.turns());
                if turns.into_iter().any(|(_, known, turn)| known == region && turn.is_skipped()) {
                    // A person took it out.
                    continue;
                }
                let mut left =
                    run.standings().filter(|(_, standing)| !matches!(standing, Standing::Skipped { .. }));
                let unhealthy = |standing: &Standing| !standing.is_terminal() || standing.why().is_some();
                let here = |vm: &VmId| planner.fleet.vms.get(vm).is_some_and(|vm| vm.region == *region);
                missed.extend(
                    left.by_ref()
                        .filter(|(vm, standing)| ended && unhealthy(standing) && here(vm) && reachable(vm))
                        .map(|(vm, _)| vm.clone()),
                );
            }
        }
        self.missed = missed.into_iter().collect();
    }

    /// Broken rules, as far as the log was kept.
    pub fn violations(&self) -> usize {
        self.audit.as_ref().map_or(0, |report| report.violations.len())
    }

    /// Nights on which an order was placed anywhere.
    pub fn nights(&self) -> usize {
        self.calendar.values().flat_map(BTreeMap::keys).collect::<BTreeSet<_>>().len()
    }
}

fn rollout_outcome(id: &RolloutId, rollout: &Rollout, coordinator: &Coordinator) -> RolloutOutcome {
    let runs = || coordinator.runs.values().filter_map(|runs| runs.get(id));
    let mut tally = Tally::default();
    runs().for_each(|run| tally += run.tally());
    let left = runs().flat_map(|run| {
        run.standings().filter_map(|(vm, standing)| Some((vm.clone(), standing.why()?.to_owned())))
    });
    let phases = (1..).zip(&rollout.phases).map(|(number, phase)| PhaseOutcome {
        number,
        regions: phase.turns.keys().cloned().collect(),
        vms: phase.planned.regions.iter().map(|region| region.vms).sum(),
        started: phase.turns.values().filter_map(|turn| turn.first_granted).min(),
        ended: phase.ended(),
        ordered: phase.turns.values().map(|turn| turn.newest.ordered()).sum(),
        failed: phase.turns.values().map(|turn| turn.newest.failed).sum(),
    });
    let Tally { healthy, failed, skipped, deferred } = tally;
    RolloutOutcome {
        rollout: id.clone(),
        state: state(&rollout.status),
        requested: rollout.requested,
        changed: rollout.changed,
        healthy,
        failed,
        skipped,
        deferred,
        phases: phases.collect(),
        left: left.take(100).collect(),
    }
}

fn state(status: &Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Halted { .. } => "halted",
        Status::Cancelled => "cancelling",
        Status::Expired => "expiring",
        Status::Completed { ended: Ended::Passed } => "passed",
        Status::Completed { ended: Ended::Cancelled } => "cancelled",
        Status::Completed { ended: Ended::Expired } => "expired",
    }
}
