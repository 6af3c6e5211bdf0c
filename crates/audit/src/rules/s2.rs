//! S2: no phase starts before every region of the phase before it has had its first turn, its bake time is over, its
//! health gate has passed and, where the policy asks for it, a person approved. Regions have their first turn in their
//! phase, and later ones one after another. All by position in partition `rollout`.

mod bake;
mod gate;

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S2;
use crate::rollouts::about;
use nightshift_domain::plan::PlannedPhase;
use nightshift_domain::policy::{Approvals, Policy};
use nightshift_domain::rollout::Tally;
use nightshift_domain::{Event, RegionName, RolloutId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    let mut phases = BTreeMap::<&RolloutId, Phases>::new();
    for record in &history.rollout {
        let Some(rollout) = about(&record.event) else { continue };
        phases.entry(rollout).or_insert_with(|| Phases::of(history, rollout)).take(record, findings);
    }
}

/// One rollout, up to some position.
struct Phases<'h, 'a> {
    history: &'h History<'a>,
    rollout: &'a RolloutId,
    /// The policy in force, and what made it so.
    policy: Option<(&'a Record, &'a Policy)>,
    planned: Option<(&'a Record, &'a [PlannedPhase])>,
    started: BTreeMap<u32, &'a Record>,
    current: Option<u32>,
    approved: BTreeSet<u32>,
    requested_by: Option<&'a String>,
    passed: BTreeMap<u32, &'a Record>,
    /// The last failure of each phase, and a person's last word to go on.
    failed: BTreeMap<u32, &'a Record>,
    resumed: Option<&'a Record>,
    /// Failures of each phase that a person accepted.
    accepted: BTreeMap<u32, usize>,
    /// The turns of each region, in their order.
    turns: BTreeMap<&'a RegionName, Vec<Turn<'a>>>,
    /// Regions that a person took out.
    skipped: BTreeMap<&'a RegionName, &'a Record>,
    /// Wishes to ask queries while a phase bakes, in their order.
    watches: Vec<bake::Watch<'a>>,
}

struct Turn<'a> {
    round: u32,
    granted: Option<&'a Record>,
    ended: Option<(&'a Record, Tally)>,
    /// A person had the failed tried again before the phase passed: a later turn counts.
    redone: bool,
}

impl<'h, 'a> Phases<'h, 'a> {
    fn of(history: &'h History<'a>, rollout: &'a RolloutId) -> Self {
        Self {
            history,
            rollout,
            policy: None,
            planned: None,
            started: BTreeMap::new(),
            current: None,
            approved: BTreeSet::new(),
            requested_by: None,
            passed: BTreeMap::new(),
            failed: BTreeMap::new(),
            resumed: None,
            accepted: BTreeMap::new(),
            turns: BTreeMap::new(),
            skipped: BTreeMap::new(),
            watches: Vec::new(),
        }
    }

    fn take(&mut self, record: &'a Record, findings: &mut Findings) {
        match &record.event {
            Event::RolloutRequested { policy, actor, .. } => {
                self.policy = Some((record, policy));
                self.requested_by = Some(&actor.name);
            }
            Event::PolicyChanged { policy, .. } => self.policy = Some((record, policy)),
            Event::RolloutPlanned { phases, .. } => self.planned = Some((record, phases)),
            Event::PhaseApproved { phase, actor, .. } => {
                if let Some((said, policy)) = self.policy
                    && policy.approvals == Approvals::SecondPerson
                    && self.requested_by == Some(&actor.name)
                {
                    let (rollout, name) = (self.rollout, &actor.name);
                    let sentence = format!(
                        "phase {phase} of rollout {rollout} was approved by {name}, who requested it"
                    );
                    findings.collide(S2, said, record, sentence);
                }
                self.approved.insert(*phase);
            }
            Event::PhaseStarted { phase, .. } => {
                findings.tested(S2);
                self.may_start(*phase, record, findings);
                self.started.entry(*phase).or_insert(record);
                self.current = Some(*phase);
            }
            Event::TurnGranted { phase, region, round, .. } => {
                findings.tested(S2);
                self.may_grant(*phase, region, *round, record, findings);
                let turn = Turn { round: *round, granted: Some(record), ended: None, redone: false };
                self.turns.entry(region).or_default().push(turn);
            }
            Event::TurnEnded { region, round, tally, .. } => {
                let turns = self.turns.entry(region).or_default();
                let open = turns.iter_mut().rfind(|turn| turn.round == *round && turn.ended.is_none());
                match open {
                    Some(turn) => turn.ended = Some((record, *tally)),
                    // A turn that was never granted is told where it was used (S1).
                    None => {
                        let ended = Some((record, *tally));
                        turns.push(Turn { round: *round, granted: None, ended, redone: false });
                    }
                }
            }
            Event::PhasePassed { phase, .. } => {
                findings.tested(S2);
                self.may_pass(*phase, record, findings);
                self.passed.insert(*phase, record);
            }
            Event::PhaseFailed { phase, .. } => {
                self.failed.insert(*phase, record);
            }
            Event::BakeWatchRequested { phase, watch, queries, .. } => {
                self.watches.push(bake::Watch { record, phase: *phase, watch: *watch, queries });
            }
            Event::RolloutRetried { regions, .. } => self.retry(regions),
            Event::RegionSkipped { region, .. } => {
                self.skipped.entry(region).or_insert(record);
            }
            Event::RolloutResumed { accepted, .. } => {
                self.resumed = Some(record);
                if *accepted > 0 {
                    self.accept(*accepted as usize, record, findings);
                }
            }
            _ => {}
        }
    }

    /// A person has the failed of these regions tried again: what was accepted of the phase under way is not any more,
    /// and its gate goes by the turns that are to come.
    fn retry(&mut self, regions: &'a [RegionName]) {
        let under_way = self.started.keys().find(|phase| !self.passed.contains_key(phase)).copied();
        let Some(under_way) = under_way else { return };
        self.accepted.remove(&under_way);
        self.failed.remove(&under_way);
        let of_phase: BTreeSet<_> = self.regions(under_way).into_iter().flatten().collect();
        for region in regions.iter().filter(|region| of_phase.contains(region)) {
            let turns = self.turns.get_mut(region).into_iter().flatten();
            turns.for_each(|turn| turn.redone = true);
        }
    }

    /// A person accepts failures of the phase that is under way: not more than there were.
    fn accept(&mut self, accepted: usize, record: &'a Record, findings: &mut Findings) {
        let phase = self.started.keys().find(|phase| !self.passed.contains_key(phase)).copied();
        let failed = phase.map_or(0, |phase| self.ever_failed(phase, record));
        let first = phase.and_then(|phase| self.started.get(&phase).copied());
        let first = first.or(self.planned.map(|(planned, _)| planned)).unwrap_or(record);
        findings.test(S2, accepted <= failed, first, record, || {
            format!("{accepted} failures of rollout {} are accepted, and there were {failed}", self.rollout)
        });
        if let Some(phase) = phase {
            let known = self.accepted.entry(phase).or_default();
            *known = accepted.max(*known);
        }
    }

    fn may_start(&self, phase: u32, record: &Record, findings: &mut Findings) {
        let rollout = self.rollout;
        let mut collide = |first: Option<&Record>, why: &str| {
            let sentence = format!("phase {phase} of rollout {rollout} starts {why}");
            findings.collide(S2, first.unwrap_or(record), record, sentence);
        };
        if self.regions(phase).is_none() {
            collide(self.planned.map(|(planned, _)| planned), "and is in no plan");
        }
        if let Some(started) = self.started.get(&phase) {
            collide(Some(started), "for the second time");
        }
        let Some(before) = phase.checked_sub(1) else { return };
        if !self.passed.contains_key(&before) {
            let first = self.failed.get(&before).or(self.started.get(&before)).copied();
            let why = format!("before phase {before} passed its gate");
            collide(first.or(self.planned.map(|(planned, _)| planned)), &why);
        }
        if let Some((said, policy)) = self.policy
            && policy.approvals != Approvals::Never
            && !self.approved.contains(&phase)
        {
            collide(Some(said), "and no person approved it");
        }
    }

    fn may_grant(
        &self,
        phase: u32,
        region: &RegionName,
        round: u32,
        record: &Record,
        findings: &mut Findings,
    ) {
        let rollout = self.rollout;
        let mut collide = |first: Option<&Record>, why: &str| {
            let turn = format!("turn {round} in phase {phase} of rollout {rollout}");
            let sentence = format!("region {region} is granted {turn}, {why}");
            findings.collide(S2, first.unwrap_or(record), record, sentence);
        };
        let planned = self.regions(phase).is_some_and(|mut regions| regions.any(|planned| planned == region));
        if !planned {
            collide(self.planned.map(|(planned, _)| planned), "and is not in it");
        }
        let turns = self.turns.get(region).map_or(&[][..], Vec::as_slice);
        if let Some(out) = self.skipped.get(region) {
            collide(Some(out), "and was taken out of the rollout");
        }
        if let Some(open) = turns.iter().find(|turn| turn.ended.is_none()) {
            collide(open.granted, "while it holds one");
        }
        let newest = turns.iter().map(|turn| turn.round).max().unwrap_or(0);
        if round != newest + 1 {
            let last = turns.last().and_then(|turn| turn.ended.map(|(ended, _)| ended).or(turn.granted));
            collide(last, &format!("after {newest} turns"));
        }
        if round == 1 {
            if self.current != Some(phase) {
                let first = self.current.and_then(|current| self.started.get(&current)).copied();
                collide(first, "which is not the phase that started last");
            } else if let Some(passed) = self.passed.get(&phase) {
                collide(Some(passed), "which is over");
            }
        } else if !self.started.contains_key(&phase) {
            let first = self.current.and_then(|current| self.started.get(&current)).copied();
            collide(first, "which has not started");
        }
    }

    /// Whether a person had the rollout go on after the phase failed.
    fn waived(&self, phase: u32) -> bool {
        let failed = self.failed.get(&phase);
        failed.is_some_and(|failed| self.resumed.is_some_and(|resumed| resumed.position > failed.position))
    }

    /// The turn of a region that counts for its phase: the first, or one in which a person had the failed tried again.
    fn first_turn(&self, region: &RegionName) -> Option<&Turn<'a>> {
        self.turns.get(region)?.iter().find(|turn| !turn.redone)
    }

    /// The regions that are planned for the phase; `None` if there is no such phase.
    fn regions(&self, phase: u32) -> Option<impl Iterator<Item = &'a RegionName>> {
        let (_, phases) = self.planned?;
        let planned = phases.get(usize::try_from(phase).ok()?)?;
        Some(planned.regions.iter().map(|region| &region.region))
    }
}
