//! One rollout's run in one region: stages, steps, orders, settlements. This file folds the facts; what follows from
//! them is in [`decide`].

mod beside;
mod controls;
mod decide;
mod explain;
mod flights;
mod parts;
mod progress;
mod standing;
mod time_limits;

pub use beside::Beside;
pub(crate) use controls::patched;
pub(crate) use decide::room_for;
pub use decide::{Ask, Wish};
pub use parts::Part;
pub use standing::{Flight, Standing, Work};
pub(crate) use time_limits::ANSWER;

use crate::agent::InstallReport;
use crate::event::{Event, Outcome};
use crate::health::{Baseline, Source};
use crate::id::{OrderId, RegionName, RolloutId, VmId};
use crate::layout::{Member, Stage, StageKey, Step, StepKey, stages};
use crate::mind::{Fact, Time};
use crate::patch::{Blame, PatchState, PatchTally};
use crate::policy::Policy;
use crate::rollout::Tally;
use crate::selection::PackageVersion;
use controls::Controls;
use flights::Flights;
use progress::{Failure, Patches, StepProgress};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A rollout's run in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    rollout: RolloutId,
    region: RegionName,
    /// As it was when the round started: the layout does not change within a round.
    policy: Policy,
    /// From 1; each later round catches up with VMs that were deferred or failed.
    round: u32,
    members: BTreeMap<VmId, Member>,
    standings: BTreeMap<VmId, Standing>,
    tally: Tally,
    in_flight: Flights,
    /// Follows from the members of the round; kept because it is asked for all the time.
    stages: Vec<Stage>,
    /// Of each stage, of each lane: how many of its steps have ended.
    ended_steps: Vec<Vec<usize>>,
    /// Which step each VM of the round is in.
    #[serde(with = "progress::as_list")]
    step_of: BTreeMap<VmId, StepKey>,
    started_stages: BTreeSet<StageKey>,
    ended_stages: BTreeSet<StageKey>,
    /// Steps that have started.
    #[serde(with = "progress::as_list")]
    steps: BTreeMap<StepKey, StepProgress>,
    /// Failures of the round that no person accepted, and that are no old ones.
    failures: BTreeMap<VmId, Failure>,
    /// VMs that failed in an earlier round: counted then, not again.
    known_failing: BTreeSet<VmId>,
    /// The same, whatever a person had tried again.
    ever_failed: BTreeSet<VmId>,
    /// What became of each version in the steps of the round that ended.
    patches: Patches,
    /// The coordinator acknowledged that the rollout is paused, halted or cancelled.
    held: bool,
    /// How many stops of the rollout had been seen then.
    held_stops: u32,
    /// The failure budget was spent, for this reason.
    halted: Option<String>,
    /// How often it was.
    halts: u32,
    completed: bool,
    /// How often a person had the failed tried again before the round began.
    retries: u32,
    /// They did so in the middle of the round.
    cut: bool,
    controls: Controls,
    /// Rollouts on demand that it keeps clear of while their run is not completed, each with its VM. Of all rounds.
    #[serde(default)]
    yielded: BTreeMap<RolloutId, Member>,
}

impl Run {
    /// A run that has just started, nobody enlisted yet.
    pub fn new(rollout: RolloutId, region: RegionName, policy: Policy) -> Self {
        Self {
            rollout,
            region,
            policy,
            round: 1,
            members: BTreeMap::new(),
            standings: BTreeMap::new(),
            tally: Tally::default(),
            in_flight: Flights::default(),
            stages: Vec::new(),
            ended_steps: Vec::new(),
            step_of: BTreeMap::new(),
            started_stages: BTreeSet::new(),
            ended_stages: BTreeSet::new(),
            steps: BTreeMap::new(),
            failures: BTreeMap::new(),
            known_failing: BTreeSet::new(),
            ever_failed: BTreeSet::new(),
            patches: Patches::default(),
            held: false,
            held_stops: 0,
            halted: None,
            halts: 0,
            completed: false,
            retries: 0,
            cut: false,
            controls: Controls::default(),
            yielded: BTreeMap::new(),
        }
    }

    /// The same run in a later round: nobody enlisted yet, all standings as they were.
    pub fn begin_round(&mut self, round: u32, policy: Policy, retries: u32) {
        let failed = self.standings.iter().filter(|(_, standing)| standing.has_failed());
        let failed: Vec<VmId> = failed.map(|(vm, _)| vm.clone()).collect();
        self.ever_failed.extend(failed.iter().cloned());
        self.known_failing.extend(failed);
        if retries > self.retries {
            self.known_failing.clear();
        }
        self.retries = retries;
        self.cut = false;
        self.controls = Controls::default();
        self.policy = policy;
        self.round = round;
        self.stages = Vec::new();
        self.ended_steps = Vec::new();
        self.step_of = BTreeMap::new();
        self.started_stages = BTreeSet::new();
        self.ended_stages = BTreeSet::new();
        self.steps = BTreeMap::new();
        self.failures = BTreeMap::new();
        self.patches = Patches::default();
        self.halted = None;
        self.completed = false;
    }

    /// Takes a fact of the run's region: its own, an agent's or a health verdict's.
    pub fn apply(&mut self, fact: &Fact) {
        let at = fact.at;
        match &fact.event {
            Event::RunEnlisted { members, .. } => self.enlist(members),
            Event::StageStarted { stage, .. } => {
                self.started_stages.insert(stage.clone());
            }
            Event::StageEnded { stage, .. } => {
                self.ended_stages.insert(stage.clone());
            }
            Event::StepStarted { step, vms, .. } => {
                let members = vms.iter().filter_map(|vm| self.members.get(vm));
                self.steps.insert(step.clone(), StepProgress::started(members));
            }
            Event::StepEnded { step, .. } => {
                self.end_step(step);
                self.controls.step_ended(step);
            }
            Event::ControlsRequested { sample, vms, .. } => self.controls.begin(sample, vms, at),
            Event::ControlsJudged { ill, well, .. } => self.controls.judged(*ill, *well),
            Event::WatchRequested { vms, .. } => {
                vms.iter().for_each(|vm| self.controls.leave(vm));
                vms.iter().for_each(|vm| self.stand(vm, Standing::Called { since: at }));
            }
            Event::WatchOpened { vm, rollout, baseline, sample } if *rollout == self.rollout => {
                match sample {
                    Some(sample) => self.controls.baseline(vm, sample, baseline),
                    None => self.baseline(vm, baseline, at),
                }
            }
            Event::OrderPlaced { order } => self.stand(&order.vm, Standing::in_flight(order.clone())),
            Event::VmDeferred { vm, why, .. } => self.stand(vm, Standing::Deferred { why: why.clone() }),
            Event::VmSkipped { vm, why, .. } => self.stand(vm, Standing::Skipped { why: why.clone() }),
            Event::VmSettled { vm, outcome, blamed, .. } => self.settle_vm(vm, outcome, blamed, at),
            Event::OrderAccepted { vm, order, .. } => self.work(vm, order, Work::Accepted),
            Event::OrderFinished { vm, order, result, .. } => self.finished(vm, order, result, at),
            Event::OrderRefused { vm, order, refused, .. } => {
                let why = format!("the agent refused the order ({}): {}", refused.code, refused.why);
                self.work(vm, order, Work::Over(Outcome::Failed { why }));
            }
            Event::HealthConfirmed { vm, order } => {
                self.controls.verdict(vm, order, true);
                self.work(vm, order, Work::Over(Outcome::Healthy));
            }
            Event::HealthFailed { vm, order, signal } => {
                let ailment = signal.ailment.as_deref().unwrap_or("ill");
                let source = match &signal.source {
                    Source::Agent => String::new(),
                    source => format!("{source}: "),
                };
                self.ill(vm, order, format!("ill after its patch: {source}{ailment}"));
            }
            Event::HealthUnknown { vm, order, why } => {
                self.ill(vm, order, format!("health unknown after its patch: {why}"));
            }
            Event::RunHeld { stops, .. } => {
                self.held = true;
                self.held_stops = *stops;
            }
            Event::RunHalted { why, .. } => {
                self.halted = Some(why.clone());
                self.halts += 1;
            }
            Event::RunReleased { accepted, .. } => self.release(*accepted),
            Event::RunCut { why, .. } => self.end_early(why),
            Event::RunYielded { to, member, .. } => {
                self.yielded.insert(to.clone(), member.clone());
            }
            Event::RunCompleted { .. } => self.completed = true,
            _ => {}
        }
    }

    /// The members in the order of their names, each with where it stands.
    pub fn standings(&self) -> impl Iterator<Item = (&VmId, &Standing)> {
        self.standings.iter()
    }

    /// Where one VM stands; `None` if it is no member.
    pub fn standing(&self, vm: &VmId) -> Option<&Standing> {
        self.standings.get(vm)
    }

    /// How many members ended how, so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The round that runs, or ran last.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Whether nothing will happen in this round any more.
    pub fn is_completed(&self) -> bool {
        self.completed
    }

    /// Why the run halted by itself, if it did and no person resumed since.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// The stage that has its turn.
    pub fn current_stage(&self) -> Option<&StageKey> {
        self.open_stage().map(|(_, stage)| &stage.key).filter(|key| self.started_stages.contains(*key))
    }

    /// The step that a VM of the round is in, and whether that has started.
    pub fn step_of(&self, vm: &VmId) -> Option<(&StepKey, bool)> {
        let step = self.step_of.get(vm)?;
        Some((step, self.steps.contains_key(step)))
    }

    /// Members that a later round tries again: deferred or failed.
    pub fn leftovers(&self) -> impl Iterator<Item = &VmId> {
        let left = |standing: &Standing| standing.has_failed() || standing.is_deferred();
        self.standings.iter().filter(move |(_, standing)| left(standing)).map(|(vm, _)| vm)
    }

    /// The first stage that has not ended, and its number.
    fn open_stage(&self) -> Option<(usize, &Stage)> {
        self.stages.iter().enumerate().find(|(_, stage)| !self.ended_stages.contains(&stage.key))
    }

    /// The first step of each lane of the open stage that has not ended.
    fn current_steps(&self) -> impl Iterator<Item = &Step> {
        self.open_stage().into_iter().flat_map(|(number, stage)| {
            let ended = self.ended_steps.get(number).into_iter().flatten();
            stage.lanes.iter().zip(ended).filter_map(|(lane, ended)| lane.get(*ended))
        })
    }

    fn enlist(&mut self, members: &[Member]) {
        for member in members {
            if let Some(before) = self.standings.insert(member.vm.clone(), Standing::Waiting) {
                before.uncount(&mut self.tally);
            }
            self.members.insert(member.vm.clone(), member.clone());
            // Which step it is comes out of the whole layout.
            self.step_of.insert(member.vm.clone(), StepKey::Batch(0));
        }
        let round = self.step_of.keys().filter_map(|vm| self.members.get(vm));
        self.stages = stages(round, self.policy.batch_percent);
        self.ended_steps = self.stages.iter().map(|stage| vec![0; stage.lanes.len()]).collect();
        let steps = self.stages.iter().flat_map(|stage| stage.lanes.iter().flatten());
        self.step_of =
            steps.flat_map(|step| step.vms.iter().map(|vm| (vm.clone(), step.key.clone()))).collect();
    }

    fn stand(&mut self, vm: &VmId, standing: Standing) {
        let Some(known) = self.standings.get_mut(vm) else { return };
        let before = std::mem::replace(known, standing);
        before.uncount(&mut self.tally);
        known.count(&mut self.tally);
        let kin = || self.members.get(vm).and_then(Member::kin);
        if let Standing::InFlight(flight) = &before {
            self.in_flight.end(&flight.order, kin());
        }
        if let Standing::InFlight(flight) = &*known {
            self.in_flight.begin(&flight.order, kin());
        }
        let step = self.step_of.get(vm).and_then(|step| self.steps.get_mut(step));
        if let Some((step, member)) = step.zip(self.members.get(vm)) {
            step.moved(member, &before, known);
        }
    }

    fn baseline(&mut self, vm: &VmId, baseline: &Baseline, at: Time) {
        if matches!(self.standings.get(vm), Some(Standing::Called { .. })) {
            self.stand(vm, Standing::Baselined { baseline: baseline.clone(), at });
        }
    }

    fn settle_vm(&mut self, vm: &VmId, outcome: &Outcome, blamed: &[Blame], at: Time) {
        self.controls.settled(outcome, blamed);
        if let Some(step) = self.step_of.get(vm).and_then(|step| self.steps.get_mut(step)) {
            let installed = self.standings.get(vm).map(Standing::installed).unwrap_or_default();
            step.patches.count(installed, outcome, blamed);
        }
        if *outcome != Outcome::Healthy && !self.known_failing.contains(vm) {
            let step = self.step_of.get(vm).cloned().unwrap_or(StepKey::Batch(0));
            let patches = blamed.iter().map(|blame| blame.patch.clone()).collect();
            self.failures.insert(vm.clone(), Failure { step, blamed: patches });
        }
        self.stand(vm, Standing::Settled { outcome: outcome.clone(), at });
    }

    fn end_step(&mut self, step: &StepKey) {
        if let Some(progress) = self.steps.get_mut(step) {
            progress.ended = true;
            self.patches.add(std::mem::take(&mut progress.patches));
        }
        for (stage, ended) in self.stages.iter().zip(&mut self.ended_steps) {
            for (lane, ended) in stage.lanes.iter().zip(ended) {
                if lane.get(*ended).is_some_and(|first| first.key == *step) {
                    *ended += 1;
                }
            }
        }
    }

    /// Notes how far the work on an order is.
    fn work(&mut self, vm: &VmId, order: &OrderId, news: Work) {
        if let Some(flight) = self.flight(vm, order) {
            flight.work = news;
            self.look_at(vm);
        }
    }

    /// An order that did what was asked is watched; any other is over.
    fn finished(&mut self, vm: &VmId, order: &OrderId, result: &InstallReport, at: Time) {
        let Some(flight) = self.flight(vm, order) else { return };
        let of_state = |state| {
            let patches = result.patches.iter().filter(move |patch| patch.state == state);
            patches.map(|patch| PackageVersion { name: patch.name.clone(), version: patch.version.clone() })
        };
        flight.work = match result.failure() {
            Some(why) => Work::Over(Outcome::Failed { why }),
            None => Work::Soaking { since: at },
        };
        flight.installed = of_state(PatchState::Installed).collect();
        flight.blamed = of_state(PatchState::Failed).map(|patch| Blame { patch, direct: true }).collect();
        self.look_at(vm);
    }

    /// Whatever was installed may be to blame.
    fn ill(&mut self, vm: &VmId, order: &OrderId, why: String) {
        self.controls.verdict(vm, order, false);
        let Some(flight) = self.flight(vm, order) else { return };
        let suspects = flight.installed.iter();
        flight.blamed = suspects.map(|patch| Blame { patch: patch.clone(), direct: false }).collect();
        flight.work = Work::Over(Outcome::Failed { why });
        self.look_at(vm);
    }

    /// A flight with nothing more to wait for is settled next.
    fn look_at(&mut self, vm: &VmId) {
        if let Some(Standing::InFlight(flight)) = self.standings.get(vm)
            && matches!(flight.work, Work::Over(_))
        {
            self.in_flight.is_over(vm);
        }
    }

    /// The VM's order in flight, if it is this one; a report on any other means nothing here.
    fn flight(&mut self, vm: &VmId, order: &OrderId) -> Option<&mut Flight> {
        match self.standings.get_mut(vm) {
            Some(Standing::InFlight(flight)) if flight.order.id == *order => Some(flight),
            _ => None,
        }
    }

    fn release(&mut self, accepted: bool) {
        if accepted {
            self.controls.accept();
            self.known_failing.extend(std::mem::take(&mut self.failures).into_keys());
        }
        self.held = false;
        self.halted = None;
    }

    /// VMs that the round did not reach are for the next one.
    fn end_early(&mut self, why: &str) {
        self.cut = true;
        let of_round = |vm: &&VmId| self.standings.get(*vm).is_some_and(|standing| !standing.is_terminal());
        let left: Vec<VmId> = self.step_of.keys().filter(of_round).cloned().collect();
        left.iter().for_each(|vm| self.stand(vm, Standing::Deferred { why: why.to_owned() }));
    }

    /// What became of each version in this round, in steps that have not ended too.
    fn patch_tallies(&self) -> Vec<PatchTally> {
        let mut sum = self.patches.clone();
        self.steps.values().for_each(|step| sum.add(step.patches.clone()));
        sum.tallies()
    }
}
