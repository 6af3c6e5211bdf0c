//! Runs, drawn from the chains `run.<rollout>` of the regions.

use crate::Record;
use crate::rollouts::Rollouts;
use nightshift_domain::layout::Member;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, RegionName, RolloutId};
use std::collections::BTreeMap;

/// A time in which a run may place no order.
pub(crate) struct Hold<'a> {
    /// Every `RunHeld` and `RunHalted` of it.
    pub by: Vec<&'a Record>,
    /// What ended it: a release, or of one that only halted the beginning of another round. `None` if it lasts.
    pub released: Option<&'a Record>,
    /// The first event of `by` after which no person had the rollout go on before the release, though one had to.
    pub against: Option<&'a Record>,
    /// Whether a person thereby accepted the failures that halted the run.
    pub accepted: bool,
}

/// One round of a run.
pub(crate) struct Round<'a> {
    pub number: u32,
    pub phase: u32,
    pub started: &'a Record,
    /// The policy under which the round cuts its region into steps.
    pub policy: &'a Policy,
    /// How often a person had the failed tried again before it, as it says itself.
    pub retries: u32,
    /// Eligible VMs, as the run saw them; may come in several events.
    pub enlisted: Vec<(&'a Record, &'a [Member])>,
    /// `None` if it goes on.
    pub completed: Option<&'a Record>,
    /// What ended it early, for a person had the failed tried again.
    pub cut: Option<&'a Record>,
}

/// A rollout's run in a region.
#[derive(Default)]
pub(crate) struct Run<'a> {
    pub rounds: Vec<Round<'a>>,
    pub holds: Vec<Hold<'a>>,
}

impl<'a> Run<'a> {
    /// The round in which an event at that position of the region's partition is.
    pub fn round_at(&self, position: u64) -> Option<&Round<'a>> {
        let begun = self.rounds.partition_point(|round| round.started.position < position);
        self.rounds.get(begun.checked_sub(1)?)
    }

    /// What put the run on hold, if it is so at that position.
    pub fn held_at(&self, position: u64) -> Option<&'a Record> {
        let begun =
            self.holds.partition_point(|hold| hold.by.first().is_some_and(|by| by.position < position));
        let hold = self.holds.get(begun.checked_sub(1)?)?;
        let lasts = hold.released.is_none_or(|released| position < released.position);
        hold.by.iter().rfind(|by| lasts && by.position < position).copied()
    }

    /// Whether a person accepted the run's failures with the release at that position.
    pub fn accepted_at(&self, position: u64) -> bool {
        let released = |hold: &&Hold<'_>| hold.released.is_some_and(|released| released.position == position);
        self.holds.iter().find(released).is_some_and(|hold| hold.accepted && hold.against.is_none())
    }

    fn take(&mut self, record: &'a Record, rollouts: &Rollouts<'a>) {
        match &record.event {
            Event::RunStarted { round, phase, policy, retries, .. } => {
                self.end_halts(record);
                let (number, phase, started, retries) = (*round, *phase, record, *retries);
                let (enlisted, completed, cut) = (Vec::new(), None, None);
                let round = Round { number, phase, started, policy, retries, enlisted, completed, cut };
                self.rounds.push(round);
            }
            Event::RunEnlisted { members, .. } => {
                if let Some(round) = self.rounds.last_mut() {
                    round.enlisted.push((record, members));
                }
            }
            Event::RunCompleted { .. } => {
                if let Some(round) = self.rounds.last_mut() {
                    round.completed.get_or_insert(record);
                }
            }
            Event::RunCut { .. } => {
                if let Some(round) = self.rounds.last_mut() {
                    round.cut.get_or_insert(record);
                }
            }
            Event::RunHeld { .. } | Event::RunHalted { .. } => match self.open_hold() {
                Some(open) => open.by.push(record),
                None => {
                    let hold = Hold { by: vec![record], released: None, against: None, accepted: false };
                    self.holds.push(hold);
                }
            },
            Event::RunReleased { rollout, accepted } => {
                let rollout = rollouts.get(rollout);
                let Some(open) = self.open_hold() else { return };
                // Where what failed was barred a halted run goes on without anybody's word; rule S7 sees to it that
                // nothing else counts as spent then.
                let needs_word = |by: &&&Record| *accepted || matches!(by.event, Event::RunHeld { .. });
                let resumed = |by| rollout.is_some_and(|rollout| rollout.resumed(by, record.at));
                open.against = open.by.iter().filter(needs_word).find(|by| !resumed(by)).copied();
                let halted = open.by.iter().any(|by| matches!(by.event, Event::RunHalted { .. }));
                open.accepted = *accepted && halted;
                open.released = Some(record);
            }
            _ => {}
        }
    }

    fn open_hold(&mut self) -> Option<&mut Hold<'a>> {
        self.holds.last_mut().filter(|hold| hold.released.is_none())
    }

    /// A run that halted by itself begins another round afresh; one that is held stays so.
    fn end_halts(&mut self, record: &'a Record) {
        let only_halted =
            |hold: &&mut Hold<'_>| hold.by.iter().all(|by| matches!(by.event, Event::RunHalted { .. }));
        if let Some(open) = self.open_hold().filter(only_halted) {
            open.released = Some(record);
        }
    }
}

/// Every run of every region.
#[derive(Default)]
pub(crate) struct Runs<'a>(BTreeMap<&'a RegionName, BTreeMap<&'a RolloutId, Run<'a>>>);

impl<'a> Runs<'a> {
    /// Draws the runs from the regions' events, in their order.
    pub fn of(regions: &BTreeMap<&'a RegionName, Vec<&'a Record>>, rollouts: &Rollouts<'a>) -> Self {
        let mut runs = Self::default();
        for (region, records) in regions {
            let of_region = runs.0.entry(region).or_default();
            for record in records {
                if let Some(rollout) = about(&record.event) {
                    of_region.entry(rollout).or_default().take(record, rollouts);
                }
            }
        }
        runs
    }

    /// A rollout's run in a region.
    pub fn get(&self, region: &RegionName, rollout: &RolloutId) -> Option<&Run<'a>> {
        self.0.get(region)?.get(rollout)
    }

    /// All of them, each with its region and its rollout.
    pub fn all(&self) -> impl Iterator<Item = (&'a RegionName, &'a RolloutId, &Run<'a>)> {
        self.0.iter().flat_map(|(region, runs)| runs.iter().map(|(rollout, run)| (*region, *rollout, run)))
    }

    /// Every event that enlisted VMs, with its region and what it enlisted.
    pub fn enlisted(&self) -> impl Iterator<Item = (&'a RegionName, &'a Record, &'a Member)> {
        let rounds =
            self.all().flat_map(|(region, _, run)| run.rounds.iter().map(move |round| (region, round)));
        rounds.flat_map(|(region, round)| {
            let events = round.enlisted.iter();
            events.flat_map(move |(record, members)| members.iter().map(move |m| (region, *record, m)))
        })
    }
}

/// The rollout whose run an event of a region's partition is about, as far as the account of runs needs it.
fn about(event: &Event) -> Option<&RolloutId> {
    match event {
        Event::RunStarted { rollout, .. }
        | Event::RunEnlisted { rollout, .. }
        | Event::RunHeld { rollout, .. }
        | Event::RunHalted { rollout, .. }
        | Event::RunReleased { rollout, .. }
        | Event::RunCut { rollout, .. }
        | Event::RunCompleted { rollout, .. } => Some(rollout),
        _ => None,
    }
}
