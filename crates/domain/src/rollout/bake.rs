//! A phase that bakes under queries: what was asked about its regions, and what was answered.

use super::{Phase, Rollout};
use crate::event::Event;
use crate::id::RegionName;
use crate::mind::Time;
use crate::policy::Query;
use crate::run::ANSWER;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The bakes of a rollout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bakes {
    /// The newest watch, unless a person had the failed tried again since.
    watch: Option<Watch>,
    /// How many there were.
    watches: u32,
    /// The newest answer of each region; may be read before the wish, which is in another partition.
    answers: BTreeMap<RegionName, (u32, Answer)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Watch {
    phase: u32,
    queries: Vec<Query>,
    until: Time,
    overdue: Time,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Answer {
    Confirmed,
    Failed(String),
}

/// How far a phase's bake is by its queries.
#[derive(Debug, Clone, PartialEq)]
pub enum Baking {
    /// The policy asks nothing then.
    Unasked,
    /// Not all of its regions have been answered for; it is known by then at the latest, if it is asked at all yet.
    Waits(Option<Time>),
    /// Every query was well in every region.
    Confirmed,
    /// It is not, and why.
    Closed(String),
}

impl Bakes {
    pub(super) fn apply(&mut self, at: Time, region: Option<&RegionName>, event: &Event) {
        let (watch, answer) = match event {
            Event::BakeWatchRequested { phase, watch, queries, silence_seconds, until, .. } => {
                let silence = Duration::seconds(i64::from(*silence_seconds));
                // One silence of the queries, and one of a monitor that has just been restarted.
                let overdue = (*until).max(at) + silence + silence + ANSWER;
                let queries = queries.clone();
                self.watch = Some(Watch { phase: *phase, queries, until: *until, overdue });
                self.watches = *watch;
                return;
            }
            Event::BakeConfirmed { watch, .. } => (watch, Answer::Confirmed),
            Event::BakeFailed { watch, query, ailment, .. } => {
                (watch, Answer::Failed(format!("query {query}: {ailment}")))
            }
            Event::BakeUnknown { watch, why, .. } => (watch, Answer::Failed(format!("unknown: {why}"))),
            _ => return,
        };
        let Some(region) = region else { return };
        if self.answers.get(region).is_none_or(|(known, _)| known < watch) {
            self.answers.insert(region.clone(), (*watch, answer));
        }
    }

    /// What was asked is asked anew when the regions that are tried again have ended.
    pub(super) fn try_again(&mut self) {
        self.watch = None;
    }

    fn answer(&self, region: &RegionName) -> Option<&Answer> {
        self.answers.get(region).filter(|(watch, _)| *watch == self.watches).map(|(_, answer)| answer)
    }
}

impl Rollout {
    /// How far the bake of a phase (its number from 0) is by the policy's queries.
    pub fn baking(&self, number: u32, phase: &Phase, now: Time) -> Baking {
        if self.bake_queries().next().is_none() {
            return Baking::Unasked;
        }
        let Some(watch) = self.bake_watch(number, phase) else { return Baking::Waits(None) };
        let regions = || phase.turns.iter().filter(|(_, turn)| !turn.is_skipped()).map(|(region, _)| region);
        let failed = regions().find_map(|region| match self.bakes.answer(region) {
            Some(Answer::Failed(why)) => Some(format!("{region}, {why}")),
            _ => None,
        });
        if let Some(why) = failed {
            return Baking::Closed(why);
        }
        let mut open = regions().filter(|region| self.bakes.answer(region).is_none());
        match open.next() {
            None => Baking::Confirmed,
            Some(region) if now >= watch.overdue => {
                Baking::Closed(format!("{region}, no word on its queries came: the health-monitor is away"))
            }
            Some(_) => Baking::Waits(Some(watch.until)),
        }
    }

    /// The wish for the watch that the phase's bake lacks; `None` if it lacks none.
    pub(crate) fn bake_to_ask_for(&self, id: &crate::RolloutId, number: u32, phase: &Phase) -> Option<Event> {
        let queries: Vec<Query> = self.bake_queries().cloned().collect();
        if queries.is_empty() || phase.gate_waived || self.bake_watch(number, phase).is_some() {
            return None;
        }
        let regions = phase.turns.iter().filter(|(_, turn)| !turn.is_skipped());
        Some(Event::BakeWatchRequested {
            rollout: id.clone(),
            phase: number,
            watch: self.bakes.watches + 1,
            regions: regions.map(|(region, _)| region.clone()).collect(),
            queries,
            // A silence is a day at most (`Policy::validate`).
            silence_seconds: u32::try_from(self.policy.silence.num_seconds()).unwrap_or(u32::MAX),
            until: phase.ended()? + self.policy.bake,
        })
    }

    /// When the newest watch is given up, if it goes on.
    pub(crate) fn bake_overdue(&self) -> Option<Time> {
        self.bakes.watch.as_ref().map(|watch| watch.overdue)
    }

    fn bake_queries(&self) -> impl Iterator<Item = &Query> {
        self.policy.queries.iter().filter(|query| query.is_of_bake())
    }

    /// The watch that the phase bakes under, if it is still the one that the policy asks for.
    fn bake_watch(&self, number: u32, phase: &Phase) -> Option<&Watch> {
        let until = phase.ended()? + self.policy.bake;
        let is_asked = |watch: &&Watch| {
            watch.phase == number && watch.until == until && watch.queries.iter().eq(self.bake_queries())
        };
        self.bakes.watch.as_ref().filter(is_asked)
    }
}
