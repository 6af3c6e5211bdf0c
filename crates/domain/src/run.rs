//! One rollout's run in one region: stages, steps, orders, settlements. This file folds the facts; what follows from
//! them is in [`decide`].

mod decide;
mod standing;

pub use decide::Wish;
pub use standing::{Standing, Work};

use crate::agent::InstallReport;
use crate::event::{Event, Order, Outcome};
use crate::health::Baseline;
use crate::id::{OrderId, RegionName, RolloutId, VmId};
use crate::layout::{Member, Stage, StageKey, StepKey, stages};
use crate::mind::{Fact, Time};
use crate::policy::Policy;
use crate::rollout::Tally;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A rollout's run in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    rollout: RolloutId,
    region: RegionName,
    policy: Policy,
    members: BTreeMap<VmId, Member>,
    standings: BTreeMap<VmId, Standing>,
    /// Follows from `members`; kept because it is asked for all the time.
    stages: Vec<Stage>,
    /// Set when the first stage starts: nobody enlists after that.
    started_stages: BTreeSet<StageKey>,
    ended_stages: BTreeSet<StageKey>,
    #[serde(with = "as_list")]
    steps: BTreeMap<StepKey, StepState>,
    /// The coordinator acknowledged that the rollout is paused, halted or cancelled.
    held: bool,
    /// The failure budget was spent.
    halted: Option<String>,
    /// Failures that a person accepted by resuming.
    accepted: BTreeSet<VmId>,
    completed: Option<Tally>,
}

/// How far a step is; a step that is not here has not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum StepState {
    Started,
    Ended,
}

impl Run {
    /// A run that has just started, nobody enlisted yet.
    pub fn new(rollout: RolloutId, region: RegionName, policy: Policy) -> Self {
        Self {
            rollout,
            region,
            policy,
            members: BTreeMap::new(),
            standings: BTreeMap::new(),
            stages: Vec::new(),
            started_stages: BTreeSet::new(),
            ended_stages: BTreeSet::new(),
            steps: BTreeMap::new(),
            held: false,
            halted: None,
            accepted: BTreeSet::new(),
            completed: None,
        }
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
            Event::StepStarted { step, .. } => {
                self.steps.insert(step.clone(), StepState::Started);
            }
            Event::StepEnded { step, .. } => {
                self.steps.insert(step.clone(), StepState::Ended);
            }
            Event::WatchRequested { vms, .. } => vms.iter().for_each(|vm| self.stand(vm, Standing::Called)),
            Event::WatchOpened { vm, rollout, baseline } if *rollout == self.rollout => {
                self.baseline(vm, baseline, at)
            }
            Event::OrderPlaced { order } => {
                self.stand(&order.vm, Standing::InFlight { order: order.clone(), work: Work::Placed });
            }
            Event::VmDeferred { vm, why, .. } => self.stand(vm, Standing::Deferred { why: why.clone() }),
            Event::VmSkipped { vm, why, .. } => self.stand(vm, Standing::Skipped { why: why.clone() }),
            Event::VmSettled { vm, outcome, .. } => {
                self.stand(vm, Standing::Settled { outcome: outcome.clone() })
            }
            Event::OrderAccepted { vm, order, .. } => self.work(vm, order, Work::Accepted),
            Event::OrderFinished { vm, order, result, .. } => self.work(vm, order, finished(result, at)),
            Event::OrderRefused { vm, order, refused, .. } => {
                let why = format!("the agent refused the order ({}): {}", refused.code, refused.why);
                self.work(vm, order, Work::Over(Outcome::Failed { why }));
            }
            Event::HealthConfirmed { vm, order } => self.work(vm, order, Work::Over(Outcome::Healthy)),
            Event::HealthFailed { vm, order, signal } => {
                let ailment = signal.ailment.as_deref().unwrap_or("ill");
                let why = format!("ill after its patch: {ailment}");
                self.work(vm, order, Work::Over(Outcome::Failed { why }));
            }
            Event::HealthUnknown { vm, order, why } => {
                let why = format!("health unknown after its patch: {why}");
                self.work(vm, order, Work::Over(Outcome::Failed { why }));
            }
            Event::RunHeld { .. } => self.held = true,
            Event::RunHalted { why, .. } => self.halted = Some(why.clone()),
            Event::RunReleased { .. } => self.release(),
            Event::RunCompleted { tally, .. } => self.completed = Some(*tally),
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
        let mut tally = Tally::default();
        self.standings.values().for_each(|standing| standing.count(&mut tally));
        tally
    }

    /// Whether nothing will happen in this run any more.
    pub fn is_completed(&self) -> bool {
        self.completed.is_some()
    }

    /// Why the run halted by itself, if it did and no person resumed since.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// The stage that has its turn.
    pub fn current_stage(&self) -> Option<&StageKey> {
        let started =
            self.stages.iter().map(|stage| &stage.key).find(|key| !self.ended_stages.contains(*key));
        started.filter(|key| self.started_stages.contains(*key))
    }

    fn enlist(&mut self, members: &[Member]) {
        for member in members {
            self.standings.insert(member.vm.clone(), Standing::Waiting);
            self.members.insert(member.vm.clone(), member.clone());
        }
        self.stages = stages(self.members.values(), self.policy.batch_percent);
    }

    fn stand(&mut self, vm: &VmId, standing: Standing) {
        if let Some(known) = self.standings.get_mut(vm) {
            *known = standing;
        }
    }

    fn baseline(&mut self, vm: &VmId, baseline: &Baseline, at: Time) {
        if self.standings.get(vm) == Some(&Standing::Called) {
            self.stand(vm, Standing::Baselined { baseline: baseline.clone(), at });
        }
    }

    /// Notes how far the work on an order is; a report on any other order than the one in flight means nothing here.
    fn work(&mut self, vm: &VmId, order: &OrderId, news: Work) {
        if let Some(Standing::InFlight { order: placed, work }) = self.standings.get_mut(vm)
            && placed.id == *order
        {
            *work = news;
        }
    }

    fn release(&mut self) {
        let failed = self.standings.iter().filter(|(_, standing)| standing.has_failed());
        self.accepted.extend(failed.map(|(vm, _)| vm.clone()));
        self.held = false;
        self.halted = None;
    }

    fn in_flight(&self) -> impl Iterator<Item = (&Order, &Work)> {
        self.standings.values().filter_map(|standing| match standing {
            Standing::InFlight { order, work } => Some((order, work)),
            _ => None,
        })
    }
}

/// An order that did what was asked is watched; any other is over.
fn finished(result: &InstallReport, at: Time) -> Work {
    match result.failure() {
        Some(why) => Work::Over(Outcome::Failed { why }),
        None => Work::Soaking { since: at },
    }
}

/// JSON has only texts as keys; a step's key is more than a text.
mod as_list {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<StepKey, StepState>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<StepKey, StepState>, D::Error> {
        Ok(Vec::<(StepKey, StepState)>::deserialize(deserializer)?.into_iter().collect())
    }
}
