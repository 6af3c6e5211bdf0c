//! What happened, drawn from the events once for all rules.

use crate::Record;
use crate::fleet::Fleet;
use crate::flight::Flight;
use crate::rollouts::Rollouts;
use crate::run::{Run, Runs};
use nightshift_domain::policy::Policy;
use nightshift_domain::{Partition, RegionName, RolloutId};
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
    default_policy: Policy,
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
        let flights =
            regions.iter().map(|(region, events)| (*region, Flight::all(region, events, &fleet))).collect();
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

    /// The policy of a rollout as its run in a region took it up, or as it was asked for; where the log says neither,
    /// the one that holds when nobody says anything.
    pub fn policy(&self, region: &RegionName, rollout: &RolloutId) -> &Policy {
        let of_run = self.runs.get(region, rollout).and_then(Run::policy);
        of_run.unwrap_or_else(|| self.requested_policy(rollout))
    }

    /// The policy with which a rollout was asked for.
    pub fn requested_policy(&self, rollout: &RolloutId) -> &Policy {
        self.rollouts.requested(rollout).map_or(&self.default_policy, |(_, policy)| policy)
    }

    /// Every flight of every region.
    pub fn all_flights(&self) -> impl Iterator<Item = &Flight<'a>> {
        self.flights.values().flatten()
    }
}
