//! The mind of region-coordinator: the runs of its regions.

use crate::event::{Chain, Event, Partition};
use crate::fleet::Fleet;
use crate::id::{RegionName, RolloutId};
use crate::layout::Member;
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::policy::Policy;
use crate::run::{Run, Wish};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
}

/// What the rollout's own facts ask of its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    policy: Policy,
    held: bool,
    cancelled: bool,
    /// Regions that hold a turn, with their phase.
    turns: BTreeMap<RegionName, u32>,
}

impl Mind for Coordinator {
    fn apply(&mut self, fact: &Fact) {
        self.fleet.apply(fact);
        match (fact.region(), &fact.event) {
            (Some(region), Event::RunStarted { rollout, policy, .. }) => {
                let run = Run::new(rollout.clone(), region.clone(), policy.clone());
                self.runs.entry(region.clone()).or_default().insert(rollout.clone(), run);
            }
            (Some(region), event) => {
                let runs = self.runs.get_mut(region).into_iter().flatten();
                let own = event.aggregate();
                let concerned = runs.filter(|(rollout, _)| own.kind != "run" || own.id == rollout.as_str());
                concerned.for_each(|(_, run)| run.apply(fact));
            }
            (None, event) => self.apply_rollout(event),
        }
    }

    fn decide(&self, now: Time) -> Vec<Decision> {
        let started = self.granted_turns().filter_map(|(rollout, region, phase, asked)| {
            let missing = self.runs.get(region).is_none_or(|runs| !runs.contains_key(rollout));
            missing.then(|| self.start(rollout, region, phase, &asked.policy))
        });
        let advanced =
            self.runs.iter().filter(|(region, _)| self.is_mine(region)).flat_map(|(region, runs)| {
                runs.iter().filter_map(|(rollout, run)| {
                    let events = run.decide(now, self.wish(rollout));
                    (!events.is_empty()).then(|| Decision { chain: Chain::run(region, rollout), events })
                })
            });
        started.chain(advanced).collect()
    }

    fn next_wake(&self, now: Time) -> Option<Time> {
        self.runs.values().flatten().filter_map(|(_, run)| run.next_wake(now)).min()
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

    fn apply_rollout(&mut self, event: &Event) {
        if let Event::RolloutRequested { rollout, policy, .. } = event {
            let asked =
                Asked { policy: policy.clone(), held: false, cancelled: false, turns: BTreeMap::new() };
            self.rollouts.insert(rollout.clone(), asked);
        }
        let id = match event {
            Event::TurnGranted { rollout, .. }
            | Event::TurnEnded { rollout, .. }
            | Event::RolloutHalted { rollout, .. }
            | Event::RolloutPaused { rollout, .. }
            | Event::RolloutResumed { rollout, .. }
            | Event::RolloutCancelled { rollout, .. } => rollout,
            _ => return,
        };
        let Some(asked) = self.rollouts.get_mut(id) else { return };
        match event {
            Event::TurnGranted { region, phase, .. } => {
                asked.turns.insert(region.clone(), *phase);
            }
            Event::TurnEnded { region, .. } => {
                asked.turns.remove(region);
            }
            Event::RolloutHalted { .. } | Event::RolloutPaused { .. } => asked.held = true,
            Event::RolloutResumed { .. } => asked.held = false,
            Event::RolloutCancelled { .. } => asked.cancelled = true,
            _ => {}
        }
    }

    fn is_mine(&self, region: &RegionName) -> bool {
        self.mine.as_ref().is_none_or(|mine| mine.contains(region))
    }

    fn granted_turns(&self) -> impl Iterator<Item = (&RolloutId, &RegionName, u32, &Asked)> {
        let turns = self.rollouts.iter().flat_map(|(rollout, asked)| {
            asked.turns.iter().map(move |(region, phase)| (rollout, region, *phase, asked))
        });
        turns.filter(|(_, region, _, _)| self.is_mine(region))
    }

    /// A run without a known rollout is held: it goes on only by a fact that says so.
    fn wish(&self, rollout: &RolloutId) -> Wish {
        match self.rollouts.get(rollout) {
            Some(Asked { cancelled: true, .. }) => Wish::Hold { for_good: true },
            Some(Asked { held: false, .. }) => Wish::Go,
            _ => Wish::Hold { for_good: false },
        }
    }

    fn start(&self, rollout: &RolloutId, region: &RegionName, phase: u32, policy: &Policy) -> Decision {
        let (id, policy) = (rollout.clone(), policy.clone());
        let mut events = vec![Event::RunStarted { rollout: id, region: region.clone(), phase, policy }];
        let members: Vec<Member> = self.eligible(region).collect();
        events.extend(
            members
                .chunks(MEMBERS_PER_EVENT)
                .map(|members| Event::RunEnlisted { rollout: rollout.clone(), members: members.to_vec() }),
        );
        Decision { chain: Chain::run(region, rollout), events }
    }

    fn eligible(&self, region: &RegionName) -> impl Iterator<Item = Member> {
        let fleet = &self.fleet;
        let vms = fleet.vms.values().filter(move |vm| vm.region == *region && fleet.ineligible(vm).is_none());
        vms.filter_map(|vm| {
            Some(Member {
                vm: vm.id.clone(),
                subscription: vm.subscription.clone(),
                placement: vm.placement.clone(),
                window: fleet.window(vm),
                time_zone: fleet.time_zone(vm)?,
            })
        })
    }
}
