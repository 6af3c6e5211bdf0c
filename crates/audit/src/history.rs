//! What happened, drawn from the events once for all rules.

use crate::Record;
use crate::fleet::{Fleet, Group};
use crate::flight::Flight;
use crate::rollouts::Rollouts;
use crate::run::Runs;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Partition, RegionName, RolloutId, Time};
use std::collections::BTreeMap;

/// A log, by partition, and what follows from it.
pub(crate) struct History<'a> {
    /// Partition `rollout`, in the order of the positions.
    pub rollout: Vec<&'a Record>,
    /// Each region's partition, in the order of the positions.
    pub regions: BTreeMap<&'a RegionName, Vec<&'a Record>>,
    pub fleet: Fleet<'a>,
    pub rollouts: Rollouts<'a>,
    pub runs: Runs<'a>,
    /// Each region's flights, in the order in which they began.
    pub flights: BTreeMap<&'a RegionName, Vec<Flight<'a>>>,
    /// The events of the other two partitions: an order among them is out of place (rule S9).
    pub elsewhere: Vec<&'a Record>,
    pub default_policy: Policy,
}

impl<'a> History<'a> {
    /// Draws the history of these records.
    pub fn of(records: &'a [Record]) -> Self {
        let (mut fleet, mut rollout, mut regions) = (Vec::new(), Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for record in records {
            match &record.partition {
                Partition::Fleet => fleet.push(record),
                Partition::Rollout => rollout.push(record),
                Partition::Region(region) => regions.entry(region).or_default().push(record),
            }
        }
        // They come in this order; if a reader mixes them up, the positions still say what was first.
        for partition in regions.values_mut().chain([&mut fleet, &mut rollout]) {
            partition.sort_by_key(|record| record.position);
        }
        let elsewhere = fleet.iter().chain(&rollout).copied().collect();
        let fleet = Fleet::of(&fleet);
        let rollouts = Rollouts::of(&rollout);
        let runs = Runs::of(&regions, &rollouts);
        let flight = |(region, events): (&&'a RegionName, &Vec<_>)| {
            (*region, Flight::all(region, events, &fleet, &runs, &rollouts))
        };
        let flights = regions.iter().map(flight).collect();
        Self {
            rollout,
            regions,
            fleet,
            rollouts,
            runs,
            flights,
            elsewhere,
            default_policy: Policy::default(),
        }
    }

    /// The policies by which a coordinator may act at that moment, oldest first, each with the event that made it so;
    /// where the log says nothing, the one that holds when nobody says anything.
    pub fn policies(
        &self,
        rollout: &RolloutId,
        at: Time,
    ) -> impl Iterator<Item = (Option<&'a Record>, &Policy)> {
        let lately = self.rollouts.get(rollout).map_or(&[][..], |rollout| rollout.policies.lately(at));
        let default = lately.is_empty().then_some((None, &self.default_policy));
        lately.iter().map(|version| (Some(version.record), version.value)).chain(default)
    }

    /// The policy under which a run cut its region into steps; where the log does not say, the newest of the rollout.
    pub fn layout_policy(&self, flight: &Flight<'a>) -> &Policy {
        let run = self.runs.get(flight.region, &flight.order.rollout);
        let round = run.and_then(|run| run.round_at(flight.placed.position));
        match round {
            Some(round) => round.policy,
            None => self
                .policies(&flight.order.rollout, flight.placed.at)
                .last()
                .map_or(&self.default_policy, |(_, policy)| policy),
        }
    }

    /// How many VMs a group has, as far as it bounds how many of them may be in flight: the layout of a round holds
    /// for the round, so VMs that left since it started still count.
    pub fn size_for(&self, group: Group<'_>, flight: &Flight<'a>) -> usize {
        let run = self.runs.get(flight.region, &flight.order.rollout);
        let round = run.and_then(|run| run.round_at(flight.placed.position));
        let at_first = round.map_or(0, |round| self.fleet.size(group, round.started.at));
        at_first.max(self.fleet.size(group, flight.placed.at))
    }

    /// Every flight of every region.
    pub fn all_flights(&self) -> impl Iterator<Item = &Flight<'a>> {
        self.flights.values().flatten()
    }
}
