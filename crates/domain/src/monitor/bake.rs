//! A region whose phase bakes: nobody soaks there any more, and the policy's queries go on being asked about it.

use super::Monitor;
use crate::event::{Chain, Event};
use crate::id::{RegionName, RolloutId, SourceName};
use crate::mind::{Decision, Time};
use crate::policy::Query;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a rollout's bakes in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bakes {
    /// The newest watch that was answered: the wish for it may be read later, for it is in another partition.
    answered: u32,
    pub open: Option<Bake>,
}

/// One that is under watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bake {
    pub phase: u32,
    watch: u32,
    pub queries: Vec<Query>,
    silence_seconds: u32,
    until: Time,
    #[serde(skip)]
    heard: BTreeMap<SourceName, Heard>,
}

#[derive(Debug, Clone, PartialEq)]
struct Heard {
    at: Time,
    ailment: Option<String>,
    ailments: u32,
}

impl Monitor {
    /// What partition `rollout` says of bakes.
    pub(super) fn apply_of_rollouts(&mut self, event: &Event) {
        match event {
            Event::BakeWatchRequested { rollout, phase, watch, regions, queries, silence_seconds, until } => {
                for region in regions {
                    let of_region = self.bakes.entry(region.clone()).or_default();
                    let bakes = of_region.entry(rollout.clone()).or_default();
                    if *watch > bakes.answered {
                        let (queries, heard) = (queries.clone(), BTreeMap::new());
                        let (phase, watch, silence_seconds, until) =
                            (*phase, *watch, *silence_seconds, *until);
                        bakes.open = Some(Bake { phase, watch, queries, silence_seconds, until, heard });
                    }
                }
            }
            Event::PhasePassed { rollout, .. } => {
                self.bakes_of(rollout).for_each(|bakes| bakes.open = None);
            }
            Event::RolloutCancelled { rollout, .. }
            | Event::RolloutExpired { rollout, .. }
            | Event::RolloutCompleted { rollout, .. } => {
                self.bakes.values_mut().for_each(|bakes| drop(bakes.remove(rollout)));
            }
            _ => {}
        }
    }

    /// A region's watch has its answer.
    pub(super) fn answered(&mut self, region: &RegionName, rollout: &RolloutId, watch: u32) {
        let bakes = self.bakes.entry(region.clone()).or_default().entry(rollout.clone()).or_default();
        bakes.answered = bakes.answered.max(watch);
        bakes.open.take_if(|bake| bake.watch <= watch);
    }

    /// Regions of this monitor that are under watch.
    pub(super) fn baking(&self) -> impl Iterator<Item = (&RegionName, &RolloutId, &Bake)> {
        let mine = self.bakes.iter().filter(|(region, _)| self.is_mine(region));
        mine.flat_map(|(region, bakes)| {
            bakes.iter().filter_map(move |(rollout, bakes)| Some((region, rollout, bakes.open.as_ref()?)))
        })
    }

    /// A query was answered.
    pub(super) fn hear_of_bake(
        &mut self,
        region: &RegionName,
        rollout: &RolloutId,
        query: &SourceName,
        at: Time,
        ailment: Option<&String>,
    ) {
        let bakes = self.bakes.get_mut(region).and_then(|bakes| bakes.get_mut(rollout));
        if let Some(bake) = bakes.and_then(|bakes| bakes.open.as_mut()) {
            let heard = bake.heard.entry(query.clone());
            let heard = heard.or_insert(Heard { at, ailment: None, ailments: 0 });
            (heard.at, heard.ailment) = (at, ailment.cloned());
            heard.ailments += u32::from(ailment.is_some());
        }
    }

    pub(super) fn decide_bakes(&self, now: Time) -> impl Iterator<Item = Decision> {
        self.baking().filter_map(move |(region, rollout, bake)| {
            let event = bake.verdict(rollout, now)?;
            Some(Decision { chain: Chain::bake(region, rollout), events: vec![event] })
        })
    }

    pub(super) fn bakes_due(&self) -> impl Iterator<Item = Time> {
        self.baking().flat_map(|(_, _, bake)| [bake.until, bake.over() + Duration::seconds(1)])
    }

    fn bakes_of(&mut self, rollout: &RolloutId) -> impl Iterator<Item = &mut Bakes> {
        self.bakes.values_mut().filter_map(|bakes| bakes.get_mut(rollout))
    }
}

impl Bake {
    fn silence(&self) -> Duration {
        Duration::seconds(i64::from(self.silence_seconds))
    }

    /// When what is not known by then is unknown.
    fn over(&self) -> Time {
        self.until + self.silence()
    }

    /// The same rule as of a VM's soak: failed at once, confirmed at its end if every last word is fresh and well, and
    /// unknown one silence later.
    fn verdict(&self, rollout: &RolloutId, now: Time) -> Option<Event> {
        let (rollout, phase, watch) = (rollout.clone(), self.phase, self.watch);
        for query in &self.queries {
            let heard = self.heard.get(&query.name).filter(|heard| heard.ailments >= query.failures);
            if let Some(ailment) = heard.and_then(|heard| heard.ailment.clone()) {
                return Some(Event::BakeFailed { rollout, phase, watch, query: query.name.clone(), ailment });
            }
        }
        if now < self.until {
            return None;
        }
        let doubts: Vec<String> = self.queries.iter().filter_map(|query| self.doubt(query, now)).collect();
        if doubts.is_empty() {
            return Some(Event::BakeConfirmed { rollout, phase, watch });
        }
        (now > self.over()).then(|| Event::BakeUnknown { rollout, phase, watch, why: doubts.join("; ") })
    }

    fn doubt(&self, query: &Query, now: Time) -> Option<String> {
        let heard = self.heard.get(&query.name).filter(|heard| now - heard.at <= self.silence());
        match heard.map(|heard| &heard.ailment) {
            None => Some(format!("nothing from query {}", query.name)),
            Some(Some(ailment)) => Some(format!("the last word of query {}: {ailment}", query.name)),
            Some(None) => None,
        }
    }
}
