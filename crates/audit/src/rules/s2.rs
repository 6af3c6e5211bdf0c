//! S2: no phase starts before every region of the phase before it has ended, its bake time is over and its health
//! gate has passed; all by position in partition `rollout`.

use crate::Record;
use crate::allowance;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S2;
use nightshift_domain::plan::PlannedPhase;
use nightshift_domain::rollout::Tally;
use nightshift_domain::{Event, RegionName, RolloutId, VmId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    let mut phases = BTreeMap::<&RolloutId, Phases>::new();
    for record in &history.rollout {
        let Some(rollout) = rollout_of(&record.event) else { continue };
        phases.entry(rollout).or_insert_with(|| Phases::of(history, rollout)).take(record, findings);
    }
}

fn rollout_of(event: &Event) -> Option<&RolloutId> {
    match event {
        Event::RolloutPlanned { rollout, .. }
        | Event::PhaseStarted { rollout, .. }
        | Event::TurnGranted { rollout, .. }
        | Event::TurnEnded { rollout, .. }
        | Event::PhasePassed { rollout, .. }
        | Event::PhaseFailed { rollout, .. }
        | Event::RolloutResumed { rollout, .. } => Some(rollout),
        _ => None,
    }
}

/// How a phase came to its end.
#[derive(Clone, Copy)]
enum Gate<'a> {
    Passed(&'a Record),
    Failed(&'a Record),
}

/// One rollout, up to some position.
struct Phases<'h, 'a> {
    history: &'h History<'a>,
    rollout: &'a RolloutId,
    planned: Option<(&'a Record, &'a [PlannedPhase])>,
    started: BTreeMap<u32, &'a Record>,
    current: Option<u32>,
    gates: BTreeMap<u32, Gate<'a>>,
    /// The last failure of each phase, and a person's last word to go on.
    failed: BTreeMap<u32, &'a Record>,
    resumed: Option<&'a Record>,
    turns: BTreeMap<(u32, &'a RegionName), Turn<'a>>,
}

struct Turn<'a> {
    granted: Option<&'a Record>,
    ended: Option<(&'a Record, Tally)>,
}

impl<'h, 'a> Phases<'h, 'a> {
    fn of(history: &'h History<'a>, rollout: &'a RolloutId) -> Self {
        Self {
            history,
            rollout,
            planned: None,
            started: BTreeMap::new(),
            current: None,
            gates: BTreeMap::new(),
            failed: BTreeMap::new(),
            resumed: None,
            turns: BTreeMap::new(),
        }
    }

    fn take(&mut self, record: &'a Record, findings: &mut Findings) {
        match &record.event {
            Event::RolloutPlanned { phases, .. } => self.planned = Some((record, phases)),
            Event::PhaseStarted { phase, .. } => {
                findings.tested(S2);
                self.may_start(*phase, record, findings);
                self.started.insert(*phase, record);
                self.current = Some(*phase);
            }
            Event::TurnGranted { phase, region, .. } => {
                findings.tested(S2);
                self.may_grant(*phase, region, record, findings);
                self.turns.insert((*phase, region), Turn { granted: Some(record), ended: None });
            }
            Event::TurnEnded { phase, region, tally, .. } => {
                let turn = self.turns.entry((*phase, region)).or_insert(Turn { granted: None, ended: None });
                turn.ended = Some((record, *tally));
            }
            Event::PhasePassed { phase, .. } => {
                findings.tested(S2);
                self.may_pass(*phase, record, findings);
                self.gates.insert(*phase, Gate::Passed(record));
            }
            Event::PhaseFailed { phase, .. } => {
                self.gates.insert(*phase, Gate::Failed(record));
                self.failed.insert(*phase, record);
            }
            Event::RolloutResumed { .. } => self.resumed = Some(record),
            _ => {}
        }
    }

    fn may_start(&self, phase: u32, record: &Record, findings: &mut Findings) {
        let rollout = self.rollout;
        if self.regions(phase).is_none() {
            let first = self.planned.map(|(planned, _)| planned).unwrap_or(record);
            let sentence = format!("phase {phase} of rollout {rollout} starts, and is in no plan");
            findings.collide(S2, first, record, sentence);
        }
        let Some(before) = phase.checked_sub(1) else { return };
        match self.gates.get(&before) {
            Some(Gate::Passed(_)) => {}
            Some(Gate::Failed(_)) if self.accepted(before) => {
                // The person accepted its failures; that its regions have ended and its bake is over stays to be so.
                self.has_ended(before, record, findings);
                self.has_baked(before, record, findings);
            }
            Some(Gate::Failed(failed)) => {
                let sentence = format!(
                    "phase {phase} of rollout {rollout} starts after phase {before} failed, unaccepted"
                );
                findings.collide(S2, failed, record, sentence);
            }
            None => {
                let first = self.started.get(&before).copied().or(self.planned.map(|(planned, _)| planned));
                let sentence = format!(
                    "phase {phase} of rollout {rollout} starts before phase {before} passed its gate"
                );
                findings.collide(S2, first.unwrap_or(record), record, sentence);
            }
        }
    }

    fn may_grant(&self, phase: u32, region: &RegionName, record: &Record, findings: &mut Findings) {
        let rollout = self.rollout;
        let planned = self.regions(phase).is_some_and(|mut regions| regions.any(|planned| planned == region));
        if !planned {
            let first = self.planned.map(|(planned, _)| planned).unwrap_or(record);
            let sentence = format!(
                "region {region} is granted a turn in phase {phase} of rollout {rollout}, and is not in it"
            );
            findings.collide(S2, first, record, sentence);
        }
        if self.current != Some(phase) {
            let first =
                self.current.and_then(|current| self.started.get(&current)).copied().unwrap_or(record);
            let sentence = format!(
                "region {region} is granted a turn in phase {phase} of rollout {rollout}, not the one started"
            );
            findings.collide(S2, first, record, sentence);
        } else if let Some(Gate::Passed(passed)) = self.gates.get(&phase) {
            let sentence = format!(
                "region {region} is granted a turn in phase {phase} of rollout {rollout}, which is over"
            );
            findings.collide(S2, passed, record, sentence);
        }
    }

    fn may_pass(&self, phase: u32, record: &Record, findings: &mut Findings) {
        self.has_ended(phase, record, findings);
        self.has_baked(phase, record, findings);
        if self.accepted(phase) {
            return;
        }
        let policy = self.history.requested_policy(self.rollout);
        let verdict = |what, failed, ordered| {
            let budget = allowance::failures(policy, ordered);
            (failed > budget).then(|| {
                let who = format!("phase {phase} of rollout {}", self.rollout);
                format!("{who} passes with {failed} of {ordered} VMs failed {what}; its budget is {budget}")
            })
        };
        // Once by what the planner counted, and once by what the regions' own events say.
        let ended: Vec<_> = self.ended(phase).collect();
        let sum = |of: fn(&Tally) -> u32| ended.iter().map(|(_, tally)| of(tally) as usize).sum::<usize>();
        let (failed, ordered) =
            (sum(|tally| tally.failed), sum(|tally| tally.failed) + sum(|tally| tally.healthy));
        if let Some(sentence) = verdict("by the tallies of its turns", failed, ordered) {
            let most = ended.iter().max_by_key(|(_, tally)| tally.failed).map(|(ended, _)| *ended);
            findings.collide(S2, most.unwrap_or(record), record, sentence);
        }
        let settled = self.settled(phase, record);
        let failures: Vec<_> =
            settled.values().filter_map(|(settled, healthy)| (!healthy).then_some(settled)).collect();
        if let Some(sentence) = verdict("as they were settled", failures.len(), settled.len()) {
            let last =
                failures.iter().max_by_key(|settled| (settled.at, &settled.partition, settled.position));
            findings.collide(S2, last.map_or(record, |last| last), record, sentence);
        }
    }

    /// Each VM of the phase that was ordered by then and settled: its last outcome.
    fn settled(&self, phase: u32, by: &Record) -> BTreeMap<&'a VmId, (&'a Record, bool)> {
        let regions: BTreeSet<_> = self.regions(phase).into_iter().flatten().collect();
        let flights = regions.iter().filter_map(|region| self.history.flights.get(*region)).flatten();
        flights
            .filter(|flight| flight.order.rollout == *self.rollout && flight.placed.at <= by.at)
            .filter_map(|flight| Some((&flight.order.vm, (flight.settled?, flight.healthy()?))))
            .collect()
    }

    fn has_ended(&self, phase: u32, record: &Record, findings: &mut Findings) {
        for region in self.regions(phase).into_iter().flatten() {
            let turn = self.turns.get(&(phase, region));
            if turn.is_none_or(|turn| turn.ended.is_none()) {
                let first = turn.and_then(|turn| turn.granted).or(self.started.get(&phase).copied());
                let rollout = self.rollout;
                let sentence =
                    format!("phase {phase} of rollout {rollout} ends before the turn of region {region}");
                findings.collide(S2, first.unwrap_or(record), record, sentence);
            }
        }
    }

    fn has_baked(&self, phase: u32, record: &Record, findings: &mut Findings) {
        let bake = self.history.requested_policy(self.rollout).bake;
        let last = self.ended(phase).max_by_key(|(ended, _)| (ended.at, ended.position));
        if let Some((ended, _)) = last
            && record.at - ended.at < bake
        {
            let (rollout, minutes) = (self.rollout, bake.num_minutes());
            let sentence = format!(
                "phase {phase} of rollout {rollout} is to bake for {minutes} minutes after its last region"
            );
            findings.collide(S2, ended, record, sentence);
        }
    }

    fn ended(&self, phase: u32) -> impl Iterator<Item = (&'a Record, Tally)> {
        self.turns.iter().filter(move |((of, _), _)| *of == phase).filter_map(|(_, turn)| turn.ended)
    }

    /// Whether a person had the rollout go on after the phase failed.
    fn accepted(&self, phase: u32) -> bool {
        let failed = self.failed.get(&phase);
        failed.is_some_and(|failed| self.resumed.is_some_and(|resumed| resumed.position > failed.position))
    }

    /// The regions that are planned for the phase; `None` if there is no such phase.
    fn regions(&self, phase: u32) -> Option<impl Iterator<Item = &'a RegionName>> {
        let (_, phases) = self.planned?;
        let planned = phases.get(usize::try_from(phase).ok()?)?;
        Some(planned.regions.iter().map(|region| &region.region))
    }
}
