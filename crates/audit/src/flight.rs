//! Intervals of flight: from a VM's order until that is settled.

use crate::Record;
use crate::fleet::Fleet;
use crate::rollouts::Rollouts;
use crate::run::Runs;
use nightshift_domain::event::{Order, Outcome};
use nightshift_domain::fleet::Placement;
use nightshift_domain::layout::Member;
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::{Event, OrderId, RegionName, RolloutId, SubscriptionId, VmId};
use std::collections::{BTreeMap, VecDeque};

/// A VM in flight.
pub(crate) struct Flight<'a> {
    pub region: &'a RegionName,
    pub order: &'a Order,
    pub placed: &'a Record,
    /// Present if a person asked for it, on one VM: exempt from rules S3 to S5, but not from being in flight for others.
    pub on_demand: Option<&'a OnDemand>,
    /// The first report that the order was finished, if there is one.
    pub finished: Option<&'a Record>,
    /// `None` if it is still in flight when the log ends.
    pub settled: Option<&'a Record>,
    /// The phase and the round in which it was ordered; `None` if its run never started.
    pub round: Option<(u32, u32)>,
    /// How the run noted the VM when it last enlisted it.
    pub enlisted: Option<(&'a Record, &'a Member)>,
    /// Whose VM it is and what it shares its fate with; `None` if the log does not say.
    pub place: Option<(&'a SubscriptionId, &'a Placement)>,
}

impl<'a> Flight<'a> {
    /// All flights of a region, from its partition's events in their order.
    pub fn all(
        region: &'a RegionName,
        records: &[&'a Record],
        fleet: &Fleet<'a>,
        runs: &Runs<'a>,
        rollouts: &Rollouts<'a>,
    ) -> Vec<Self> {
        let mut flights: Vec<Self> = Vec::new();
        let mut open = BTreeMap::<&OrderId, VecDeque<usize>>::new();
        let mut members = BTreeMap::<(&RolloutId, &VmId), (&'a Record, &'a Member)>::new();
        for record in records {
            match &record.event {
                Event::RunEnlisted { rollout, members: enlisted } => {
                    let noted = enlisted.iter().map(|member| ((rollout, &member.vm), (*record, member)));
                    members.extend(noted);
                }
                Event::OrderPlaced { order } => {
                    let enlisted = members.get(&(&order.rollout, &order.vm)).copied();
                    let place =
                        enlisted.map(|(_, member)| (&member.subscription, &member.placement)).or_else(|| {
                            let mut models = fleet.models(&order.vm, record.at).map(|(_, vm)| vm);
                            models.find(|vm| vm.region == *region).map(|vm| (&vm.subscription, &vm.placement))
                        });
                    let run = runs.get(region, &order.rollout);
                    let round = run.and_then(|run| run.round_at(record.position));
                    let round = round.map(|round| (round.phase, round.number));
                    let (placed, finished, settled) = (*record, None, None);
                    open.entry(&order.id).or_default().push_back(flights.len());
                    let on_demand = rollouts.get(&order.rollout).and_then(|rollout| rollout.on_demand);
                    flights.push(Flight {
                        region,
                        order,
                        placed,
                        on_demand,
                        finished,
                        settled,
                        round,
                        enlisted,
                        place,
                    });
                }
                Event::OrderFinished { order, .. } => {
                    let first = open.get(order).and_then(|open| flights.get_mut(*open.front()?));
                    if let Some(flight) = first {
                        flight.finished.get_or_insert(record);
                    }
                }
                Event::VmSettled { order, .. } => {
                    let first = open.get_mut(order).and_then(VecDeque::pop_front);
                    if let Some(flight) = first.and_then(|index| flights.get_mut(index)) {
                        flight.settled = Some(record);
                    }
                }
                _ => {}
            }
        }
        flights
    }
    /// Whether it ended well; `None` if it has not ended.
    pub fn healthy(&self) -> Option<bool> {
        match &self.settled?.event {
            Event::VmSettled { outcome, .. } => Some(*outcome == Outcome::Healthy),
            _ => None,
        }
    }
}

/// A flight that begins or ends, in the order of the region's partition.
pub(crate) enum Change<'f, 'a> {
    Begins(&'f Flight<'a>),
    Ends(&'f Flight<'a>),
}

/// Beginnings and ends of a region's flights, in the order of the region's partition.
pub(crate) fn changes<'f, 'a>(flights: &'f [Flight<'a>]) -> impl Iterator<Item = Change<'f, 'a>> {
    let mut changes: Vec<_> = flights.iter().map(|f| (f.placed.position, Change::Begins(f))).collect();
    changes.extend(flights.iter().filter_map(|f| Some((f.settled?.position, Change::Ends(f)))));
    changes.sort_by_key(|(position, _)| *position);
    changes.into_iter().map(|(_, change)| change)
}

/// What is in flight at a place of a region's partition, by some key.
pub(crate) struct Airborne<'f, 'a, K>(BTreeMap<K, BTreeMap<u64, &'f Flight<'a>>>);

impl<'f, 'a, K: Ord> Airborne<'f, 'a, K> {
    /// Nothing yet.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// A flight begins.
    pub fn begins(&mut self, key: K, flight: &'f Flight<'a>) {
        self.0.entry(key).or_default().insert(flight.placed.position, flight);
    }

    /// A flight ends.
    pub fn ends(&mut self, key: &K, flight: &Flight<'a>) {
        if let Some(group) = self.0.get_mut(key) {
            group.remove(&flight.placed.position);
        }
    }

    /// What is in flight under this key, the earliest first.
    pub fn under(&self, key: &K) -> impl ExactSizeIterator<Item = &'f Flight<'a>> {
        self.0.get(key).map(|group| group.values().copied()).unwrap_or_default()
    }

    /// The earliest flight of each other key.
    pub fn beside(&self, key: &K) -> impl Iterator<Item = (&K, &'f Flight<'a>)> {
        self.first_of_each().filter(move |(other, _)| *other != key)
    }

    /// The earliest flight of each key.
    pub fn first_of_each(&self) -> impl Iterator<Item = (&K, &'f Flight<'a>)> {
        self.0.iter().filter_map(|(key, group)| Some((key, *group.values().next()?)))
    }
}
