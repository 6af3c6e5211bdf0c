//! Who may patch: turns, first ones and those that catch up, over all rollouts together (rule S1).

use super::Planner;
use crate::event::Event;
use crate::id::{RegionName, RolloutId};
use crate::mind::Time;
use crate::rollout::{PhaseState, Rollout, Status, Turn};
use chrono::Duration;
use std::collections::BTreeSet;

/// After a turn, how long until the region is tried again: the next night, not the same (REQUIREMENTS.md A9).
const RETRY_PAUSE: Duration = Duration::hours(12);

/// Turns whose run completed are over.
pub(super) fn ended(id: &RolloutId, rollout: &Rollout) -> Vec<Event> {
    let held = rollout.turns().filter(|(_, _, turn)| turn.is_held());
    held.filter_map(|(phase, region, turn)| {
        let (round, tally, patches) = turn.completed.clone().filter(|(round, ..)| *round >= turn.round)?;
        let (rollout, region) = (id.clone(), region.clone());
        Some(Event::TurnEnded { rollout, phase, region, round, tally, patches })
    })
    .collect()
}

/// When each region that has VMs left may be tried again.
pub(super) fn catch_ups_due(rollout: &Rollout) -> impl Iterator<Item = Time> {
    rollout.turns().filter_map(|(_, _, turn)| catch_up_due(rollout, turn))
}

/// When the region may be tried again, if anybody is left and tries are; at once where a person asked for it.
pub(crate) fn catch_up_due(rollout: &Rollout, turn: &Turn) -> Option<Time> {
    if turn.is_held() || turn.is_skipped() {
        return None;
    }
    let due = match turn.retry {
        Some(asked) => asked,
        None => {
            let tries_left = turn.round <= rollout.policy.retry_nights;
            turn.ended.filter(|_| turn.newest.left() > 0 && tries_left)? + RETRY_PAUSE
        }
    };
    (due < rollout.deadline()).then_some(due)
}

/// All turns that are held now.
pub(super) struct Turns {
    held: BTreeSet<RegionName>,
    /// Of rollouts on demand: they keep nobody of their own region waiting, and its pairs.
    on_demand: BTreeSet<RegionName>,
}

impl Turns {
    pub fn of(planner: &Planner) -> Self {
        let mut turns = Self { held: BTreeSet::new(), on_demand: BTreeSet::new() };
        for rollout in planner.rollouts.values() {
            let held = rollout.turns().filter(|(_, _, turn)| turn.is_held());
            let regions = held.map(|(_, region, _)| region.clone());
            match &rollout.on_demand {
                None => turns.held.extend(regions),
                Some(_) => turns.on_demand.extend(regions),
            }
        }
        turns
    }

    /// What a person asked for on demand goes first. Then first turns before those that catch up: a region that was never
    /// patched does not wait for one whose machines are off.
    pub fn grant(mut self, planner: &Planner, now: Time) -> Vec<Event> {
        let running = || {
            let running = planner.rollouts.iter().filter(|(_, rollout)| rollout.status == Status::Running);
            let (on_demand, others): (Vec<_>, Vec<_>) =
                running.partition(|(_, rollout)| rollout.on_demand.is_some());
            on_demand.into_iter().chain(others)
        };
        let mut events = Vec::new();
        let mut wanted: BTreeSet<&RegionName> = BTreeSet::new();
        for (id, rollout) in running() {
            let Some((phase, current)) = rollout.current_phase() else { continue };
            if current.state != PhaseState::Running {
                continue;
            }
            for (region, _) in current.turns.iter().filter(|(_, turn)| turn.waits_for_its_first()) {
                if rollout.on_demand.is_some() {
                    events
                        .extend(self.take_on_demand(planner, region).then(|| granted(id, phase, region, 1)));
                } else if self.take(planner, region) {
                    events.push(granted(id, phase, region, 1));
                } else {
                    wanted.insert(region);
                }
            }
        }
        for (id, rollout) in running() {
            for (phase, region, turn) in rollout.turns() {
                let due = catch_up_due(rollout, turn).is_some_and(|due| now >= due);
                if due && free(planner, region, wanted.iter().copied()) && self.take(planner, region) {
                    events.push(granted(id, phase, region, turn.round + 1));
                }
            }
        }
        events
    }

    /// Takes the turn, unless the region or one that it is paired with holds one, whatever rollout gave it.
    fn take(&mut self, planner: &Planner, region: &RegionName) -> bool {
        let free = free(planner, region, self.held.iter()) && self.has_no_pair(planner, region);
        if free {
            self.held.insert(region.clone());
        }
        free
    }

    /// Takes a turn beside whatever turns the region holds, unless one that it is paired with holds any.
    fn take_on_demand(&mut self, planner: &Planner, region: &RegionName) -> bool {
        let free = self.has_no_pair(planner, region);
        if free {
            self.on_demand.insert(region.clone());
        }
        free
    }

    fn has_no_pair(&self, planner: &Planner, region: &RegionName) -> bool {
        let mut held = self.held.iter().chain(&self.on_demand);
        !held.any(|other| planner.fleet.topology.paired(other, region))
    }
}

fn free<'a>(
    planner: &Planner,
    region: &RegionName,
    mut others: impl Iterator<Item = &'a RegionName>,
) -> bool {
    !others.any(|other| other == region || planner.fleet.topology.paired(other, region))
}

fn granted(id: &RolloutId, phase: u32, region: &RegionName, round: u32) -> Event {
    Event::TurnGranted { rollout: id.clone(), phase, region: region.clone(), round }
}
