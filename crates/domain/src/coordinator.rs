//! The mind of region-coordinator: the runs of its regions, and their upkeep.

mod asked;
mod beside;
mod upkeep;

use crate::event::{Chain, Event, Partition};
use crate::fleet::Fleet;
use crate::id::{RegionName, RolloutId};
use crate::layout::Member;
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::run::{Ask, Run, Wish};
use asked::Asked;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use upkeep::Upkeep;

/// Members that one event enlists: keeps an event far below the log's largest message (1 MiB in NATS).
const MEMBERS_PER_EVENT: usize = 200;

/// The account of region-coordinator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Coordinator {
    /// The regions that this coordinator coordinates; all if absent.
    pub mine: Option<BTreeSet<RegionName>>,
    /// The fleet that runs enlist from.
    pub fleet: Fleet,
    rollouts: BTreeMap<RolloutId, Asked>,
    /// Each region's runs.
    pub runs: BTreeMap<RegionName, BTreeMap<RolloutId, Run>>,
    upkeep: Upkeep,
}

impl Mind for Coordinator {
    fn apply(&mut self, fact: &Fact) {
        self.fleet.apply(fact);
        self.upkeep.apply(fact, &self.fleet);
        match (fact.region(), &fact.event) {
            (Some(region), Event::RunStarted { rollout, round, policy, retries, .. }) => {
                let runs = self.runs.entry(region.clone()).or_default();
                let run = runs
                    .entry(rollout.clone())
                    .or_insert_with(|| Run::new(rollout.clone(), region.clone(), policy.clone()));
                if *round > 1 {
                    run.begin_round(*round, policy.clone(), *retries);
                }
            }
            (Some(region), event) => {
                let Some(runs) = self.runs.get_mut(region) else { return };
                let own = event.aggregate();
                if own.kind == "run" {
                    let run = RolloutId::new(own.id).ok().and_then(|rollout| runs.get_mut(&rollout));
                    run.into_iter().for_each(|run| run.apply(fact));
                } else {
                    runs.values_mut().filter(|run| !run.is_completed()).for_each(|run| run.apply(fact));
                }
            }
            (None, Event::RolloutRequested { rollout, policy, on_demand, .. }) => {
                self.rollouts.insert(rollout.clone(), Asked::of(policy, on_demand));
            }
            (None, Event::RolloutCompleted { rollout, .. }) if self.is_on_demand(rollout) => {
                // There may be many of them, and nothing is left to be decided.
                self.rollouts.remove(rollout);
            }
            (None, event) => {
                let aggregate = event.aggregate();
                let rollout =
                    (aggregate.kind == "rollout").then(|| RolloutId::new(aggregate.id).ok()).flatten();
                let asked = rollout.and_then(|rollout| self.rollouts.get_mut(&rollout));
                asked.into_iter().for_each(|asked| asked.apply(event));
            }
        }
    }

    fn decide(&self, now: Time) -> Vec<Decision> {
        let mut decisions = self.decide_upkeep(now);
        let regions = self.fleet.topology.regions.keys().filter(|region| self.is_mine(region));
        decisions.extend(regions.flat_map(|region| self.decide_in(region, now)));
        decisions
    }

    fn next_wake(&self, now: Time) -> Option<Time> {
        let runs = self.runs.keys().filter(|region| self.is_mine(region));
        runs.filter_map(|region| self.next_wake_in(region, now)).chain(self.next_upkeep(now)).min()
    }

    fn follows(&self) -> Vec<Follow> {
        let regions = self.fleet.topology.regions.keys().filter(|region| self.is_mine(region));
        [Follow::all(Partition::Fleet), Follow::all(Partition::Rollout)]
            .into_iter()
            .chain(regions.map(|region| Follow::all(Partition::Region(region.clone()))))
            .collect()
    }
}

impl Coordinator {
    /// The same account, for these regions; for all if absent.
    pub fn of(self, mine: Option<BTreeSet<RegionName>>) -> Self {
        Self { mine, ..self }
    }

    /// What [`Mind::decide`] says of assessments.
    pub fn decide_upkeep(&self, now: Time) -> Vec<Decision> {
        self.upkeep.decide(now, &self.fleet, |region| self.is_mine(region))
    }

    /// When the clock alone could change the answer of [`Coordinator::decide_upkeep`].
    pub fn next_upkeep(&self, now: Time) -> Option<Time> {
        self.upkeep.next_wake(now)
    }

    /// What [`Mind::decide`] says of the runs of one region.
    pub fn decide_in(&self, region: &RegionName, now: Time) -> Vec<Decision> {
        let runs = self.runs.get(region);
        let mut decisions = Vec::new();
        for (rollout, asked) in &self.rollouts {
            let run = runs.and_then(|runs| runs.get(rollout));
            // A run that another instance started goes on here only when its turn was read of: what the turn rests on
            // (certified versions, a changed policy) stands before it in the log.
            let Some((phase, round)) = asked.turn(region) else { continue };
            let events = match run {
                Some(run) if run.round() == round => {
                    let beside = self.beside(rollout, region, run);
                    run.decide(now, &asked.ask(region, phase, &self.fleet, beside))
                }
                Some(run) if run.round() > round => Vec::new(),
                _ => self.start(rollout, region, phase, round, asked),
            };
            if !events.is_empty() {
                decisions.push(Decision { chain: Chain::run(region, rollout), events });
            }
        }
        decisions
    }

    /// When the clock alone could change the answer of [`Coordinator::decide_in`].
    pub fn next_wake_in(&self, region: &RegionName, now: Time) -> Option<Time> {
        let runs = self.runs.get(region)?;
        let wake = |(rollout, run): (&RolloutId, &Run)| {
            let asked = self.rollouts.get(rollout)?;
            let too_late = asked.on_demand.as_ref().filter(|_| !run.is_completed());
            let too_late = too_late.map(|on_demand| on_demand.not_after + Duration::seconds(1));
            run.next_wake(now, &asked.policy).into_iter().chain(too_late).filter(|at| *at > now).min()
        };
        runs.iter().filter_map(wake).min()
    }

    /// What a rollout wants of its runs at the moment; held if it is not known.
    pub fn wish(&self, rollout: &RolloutId) -> Wish {
        self.rollouts.get(rollout).map_or(Wish::Hold { for_good: false }, Asked::wish)
    }

    /// What a run of the region rests its decisions on, beside its own facts.
    pub fn ask<'a>(&'a self, rollout: &RolloutId, region: &RegionName) -> Option<Ask<'a>> {
        let asked = self.rollouts.get(rollout)?;
        let phase = asked.turn(region).map_or(0, |(phase, _)| phase);
        let beside =
            self.run(region, rollout).map(|run| self.beside(rollout, region, run)).unwrap_or_default();
        Some(asked.ask(region, phase, &self.fleet, beside))
    }

    fn run(&self, region: &RegionName, rollout: &RolloutId) -> Option<&Run> {
        self.runs.get(region)?.get(rollout)
    }

    fn is_mine(&self, region: &RegionName) -> bool {
        self.mine.as_ref().is_none_or(|mine| mine.contains(region))
    }

    fn start(
        &self,
        rollout: &RolloutId,
        region: &RegionName,
        phase: u32,
        round: u32,
        asked: &Asked,
    ) -> Vec<Event> {
        let mut events = vec![Event::RunStarted {
            rollout: rollout.clone(),
            region: region.clone(),
            phase,
            round,
            policy: asked.policy.clone(),
            retries: asked.retries(region),
        }];
        let members: Vec<Member> = if let Some(on_demand) = &asked.on_demand {
            self.eligible(region).filter(|member| member.vm == on_demand.vm).collect()
        } else if round == 1 {
            self.eligible(region).collect()
        } else {
            let left = self.run(region, rollout).into_iter().flat_map(Run::leftovers);
            let vms = left.filter_map(|vm| self.fleet.vms.get(vm));
            let still = vms.filter(|vm| vm.region == *region && self.fleet.ineligible(vm).is_none());
            still.filter_map(|vm| Member::of(vm, &self.fleet)).collect()
        };
        events.extend(
            members
                .chunks(MEMBERS_PER_EVENT)
                .map(|members| Event::RunEnlisted { rollout: rollout.clone(), members: members.to_vec() }),
        );
        events
    }

    fn eligible(&self, region: &RegionName) -> impl Iterator<Item = Member> {
        let fleet = &self.fleet;
        let vms = fleet.vms.values().filter(move |vm| vm.region == *region && fleet.ineligible(vm).is_none());
        vms.filter_map(|vm| Member::of(vm, fleet))
    }
}
