//! Regions over nights: when each had its turn, and how many machines were ordered and settled in each hour.

use chrono::DurationRound as _;
use nightshift_domain::event::Outcome;
use nightshift_domain::{Event, Fact, RegionName, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All rollouts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timelines(BTreeMap<RolloutId, Timeline>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Timeline {
    regions: BTreeMap<RegionName, Nights>,
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Nights {
    phase: u32,
    turns: Vec<(u32, Time, Option<Time>)>,
    /// By the hour: ordered, healthy, failed.
    hours: BTreeMap<Time, [u32; 3]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mark {
    at: Time,
    what: String,
    sentence: String,
}

impl Timelines {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        match (&fact.event, fact.region()) {
            (Event::OrderPlaced { order }, Some(region)) => {
                self.hour(&order.rollout, region, fact.at, 0);
            }
            (Event::VmSettled { rollout, outcome, .. }, Some(region)) => {
                let place = if *outcome == Outcome::Healthy { 1 } else { 2 };
                self.hour(rollout, region, fact.at, place);
            }
            (Event::TurnGranted { rollout, phase, region, round }, _) => {
                let nights = self.region(rollout, region);
                nights.phase = phase + 1;
                nights.turns.push((*round, fact.at, None));
            }
            (Event::TurnEnded { rollout, region, .. }, _) => {
                if let Some((_, _, to)) = self.region(rollout, region).turns.last_mut() {
                    *to = Some(fact.at);
                }
            }
            (event, _) => {
                if let Some((rollout, what, sentence)) = said(event) {
                    let mark = Mark { at: fact.at, what: what.to_owned(), sentence };
                    self.0.entry(rollout.clone()).or_default().marks.push(mark);
                }
            }
        }
    }

    fn region(&mut self, rollout: &RolloutId, region: &RegionName) -> &mut Nights {
        self.0.entry(rollout.clone()).or_default().regions.entry(region.clone()).or_default()
    }

    fn hour(&mut self, rollout: &RolloutId, region: &RegionName, at: Time, place: usize) {
        // A moment that cannot be cut to its hour is none that a clock shows.
        let hour = at.duration_trunc(chrono::Duration::hours(1)).unwrap_or(at);
        self.region(rollout, region).hours.entry(hour).or_default()[place] += 1;
    }

    /// One rollout, until now or its end.
    pub(crate) fn of(&self, rollout: &RolloutId, from: Time, to: Time) -> api::GetTimelineResponse {
        let nothing = Timeline::default();
        let timeline = self.0.get(rollout).unwrap_or(&nothing);
        let regions = timeline.regions.iter().map(|(region, nights)| api::RegionTimeline {
            region: region.to_string(),
            phase: nights.phase,
            turns: nights.turns.iter().map(turn).collect(),
            slots: nights.hours.iter().map(slot).collect(),
        });
        let mark = |mark: &Mark| api::Mark {
            at: Some(timestamp(mark.at)),
            what: mark.what.clone(),
            sentence: mark.sentence.clone(),
        };
        api::GetTimelineResponse {
            rollout: rollout.to_string(),
            from: Some(timestamp(from)),
            to: Some(timestamp(to)),
            regions: regions.collect(),
            marks: timeline.marks.iter().map(mark).collect(),
        }
    }
}

fn turn((round, from, to): &(u32, Time, Option<Time>)) -> api::TurnSpan {
    api::TurnSpan { round: *round, from: Some(timestamp(*from)), to: to.map(timestamp) }
}

fn slot((hour, [ordered, healthy, failed]): (&Time, &[u32; 3])) -> api::Slot {
    let (ordered, healthy, failed) = (*ordered, *healthy, *failed);
    api::Slot { hour: Some(timestamp(*hour)), ordered, healthy, failed }
}

/// What happened to a rollout as a whole.
fn said(event: &Event) -> Option<(&RolloutId, &'static str, String)> {
    let by = |actor: &nightshift_domain::rollout::Actor, did: &str| match actor.reason.as_str() {
        "" => format!("{} {did}", actor.name),
        reason => format!("{} {did}: {reason}", actor.name),
    };
    Some(match event {
        Event::RolloutRequested { rollout, actor, .. } => {
            (rollout, "RolloutRequested", by(actor, "started it"))
        }
        Event::PhaseStarted { rollout, phase } => {
            (rollout, "PhaseStarted", format!("phase {} began", phase + 1))
        }
        Event::PhasePassed { rollout, phase, .. } => {
            (rollout, "PhasePassed", format!("phase {} passed its gate", phase + 1))
        }
        Event::PhaseFailed { rollout, phase, why, .. } => {
            (rollout, "PhaseFailed", format!("phase {} failed: {why}", phase + 1))
        }
        Event::RolloutHalted { rollout, why, .. } => (rollout, "RolloutHalted", format!("it halted: {why}")),
        Event::RolloutPaused { rollout, actor } => (rollout, "RolloutPaused", by(actor, "paused it")),
        Event::RolloutResumed { rollout, actor, .. } => (rollout, "RolloutResumed", by(actor, "resumed it")),
        Event::RolloutRetried { rollout, actor, .. } => {
            (rollout, "RolloutRetried", by(actor, "had the failed tried again"))
        }
        Event::RegionSkipped { rollout, region, actor } => {
            (rollout, "RegionSkipped", by(actor, &format!("took {region} out")))
        }
        Event::PhaseApproved { rollout, phase, actor } => {
            (rollout, "PhaseApproved", by(actor, &format!("approved phase {}", phase + 1)))
        }
        Event::RolloutCancelled { rollout, actor } => {
            (rollout, "RolloutCancelled", by(actor, "cancelled it"))
        }
        Event::RolloutExpired { rollout, why } => (rollout, "RolloutExpired", format!("it expired: {why}")),
        Event::RolloutCompleted { rollout, .. } => (rollout, "RolloutCompleted", "it ended".to_owned()),
        Event::PatchBarred { rollout, patch, why, .. } => {
            let sentence = format!("{} {} is installed no more: {why}", patch.name, patch.version);
            (rollout, "PatchBarred", sentence)
        }
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;
    use nightshift_domain::{OrderId, Partition, VmId};

    #[test]
    fn what_happened_is_counted_in_its_hour_and_its_region() {
        let rollout = RolloutId::new("r").unwrap();
        let region = RegionName::new("here").unwrap();
        let settled = |outcome| Event::VmSettled {
            rollout: rollout.clone(),
            vm: VmId::new("vm").unwrap(),
            order: OrderId::new("order").unwrap(),
            outcome,
            blamed: Vec::new(),
        };
        let mut timelines = Timelines::default();
        let mut tell = |at: &str, partition, event| {
            timelines.apply(&Fact { partition, at: at.parse().unwrap(), event });
        };
        let (whole, here) = (Partition::Rollout, Partition::Region(region.clone()));
        let granted =
            Event::TurnGranted { rollout: rollout.clone(), phase: 1, region: region.clone(), round: 1 };
        tell("2026-01-13T21:00:00Z", whole, granted);
        tell("2026-01-13T22:10:00Z", here.clone(), settled(Outcome::Healthy));
        tell("2026-01-13T22:59:59Z", here.clone(), settled(Outcome::Failed { why: String::new() }));
        tell("2026-01-13T23:00:00Z", here, settled(Outcome::Healthy));
        let (from, to) = ("2026-01-13T00:00:00Z".parse().unwrap(), "2026-01-14T00:00:00Z".parse().unwrap());
        let seen = timelines.of(&rollout, from, to).regions.remove(0);
        assert_eq!((seen.region.as_str(), seen.phase, seen.turns.len()), ("here", 2, 1));
        let counts: Vec<_> =
            seen.slots.iter().map(|slot| (slot.ordered, slot.healthy, slot.failed)).collect();
        assert_eq!(counts, [(0, 1, 1), (0, 1, 0)]);
        assert!(seen.turns[0].to.is_none(), "it is held");
    }
}
