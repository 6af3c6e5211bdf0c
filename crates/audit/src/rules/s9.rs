//! S9: each order is placed once, executed at most once, not after its `not_after`, by its own VM, and settled once; a
//! VM has at most one order in each round of a rollout, and never two at the same time, whatever rollouts they are of.

use crate::Record;
use crate::findings::Findings;
use crate::flight::{Airborne, Change, Flight, changes};
use crate::history::History;
use crate::report::Rule::S9;
use nightshift_domain::event::Order;
use nightshift_domain::{Event, OrderId, RolloutId, VmId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    let placed = placed_once(history, findings);
    for records in history.regions.values() {
        let (here, unsettled, controls) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut orders = Orders { anywhere: &placed, here, unsettled, controls };
        for record in records {
            orders.take(record, findings);
        }
    }
    for flights in history.flights.values() {
        once_a_round(flights, findings);
        one_at_a_time(flights, findings);
    }
}

fn once_a_round(flights: &[Flight<'_>], findings: &mut Findings) {
    let mut ordered = BTreeMap::<(&VmId, &RolloutId, u32), &Record>::new();
    for flight in flights {
        let (vm, rollout) = (&flight.order.vm, &flight.order.rollout);
        let Some((_, round)) = flight.round else { continue };
        let first = *ordered.entry((vm, rollout, round)).or_insert(flight.placed);
        findings.test(S9, std::ptr::eq(first, flight.placed), first, flight.placed, || {
            format!("VM {vm} is ordered twice in round {round} of rollout {rollout}")
        });
    }
}

fn one_at_a_time(flights: &[Flight<'_>], findings: &mut Findings) {
    let mut airborne = Airborne::none();
    for change in changes(flights) {
        match change {
            Change::Begins(flight) => {
                let vm = &flight.order.vm;
                if let Some(other) = airborne.under(&vm).next() {
                    let sentence = format!("VM {vm} is ordered while it is in flight for another order");
                    findings.collide(S9, other.placed, flight.placed, sentence);
                }
                airborne.begins(vm, flight);
            }
            Change::Ends(flight) => airborne.ends(&&flight.order.vm, flight),
        }
    }
}

/// Over all regions, by time, for an identity is one everywhere; returns the first placement of each order.
fn placed_once<'a>(history: &History<'a>, findings: &mut Findings) -> BTreeMap<&'a OrderId, &'a Record> {
    let in_regions = history.regions.values().flatten();
    let mut all: Vec<_> = in_regions.chain(&history.elsewhere).copied().filter_map(with_order).collect();
    all.sort_by_key(|(record, _)| (record.at, &record.partition, record.position));
    let mut placed = BTreeMap::new();
    for (record, order) in all {
        let first = *placed.entry(&order.id).or_insert(record);
        findings.test(S9, std::ptr::eq(first, record), first, record, || {
            format!("order {} is placed twice", order.id)
        });
    }
    for (record, order) in history.elsewhere.iter().copied().filter_map(with_order) {
        let sentence = format!("order {} is placed outside of a region", order.id);
        findings.collide(S9, record, record, sentence);
    }
    placed
}

fn with_order(record: &Record) -> Option<(&Record, &Order)> {
    match &record.event {
        Event::OrderPlaced { order } => Some((record, order)),
        _ => None,
    }
}

/// What became of an order, up to some position of the partition in which it was placed.
struct Fate<'a> {
    order: &'a Order,
    placed: &'a Record,
    accepted: Option<&'a Record>,
    finished: Option<&'a Record>,
    settled: Option<&'a Record>,
}

struct Orders<'p, 'a> {
    anywhere: &'p BTreeMap<&'a OrderId, &'a Record>,
    here: BTreeMap<&'a OrderId, Fate<'a>>,
    /// Orders of each rollout that are not settled yet.
    unsettled: BTreeMap<&'a RolloutId, BTreeSet<&'a OrderId>>,
    /// Machines that are compared, by the name under which their verdicts are told: no order has it.
    controls: BTreeMap<&'a OrderId, &'a [VmId]>,
}

impl<'a> Orders<'_, 'a> {
    fn take(&mut self, record: &'a Record, findings: &mut Findings) {
        match &record.event {
            Event::OrderPlaced { order } => {
                let fate = Fate { order, placed: record, accepted: None, finished: None, settled: None };
                if let Entry::Vacant(entry) = self.here.entry(&order.id) {
                    entry.insert(fate);
                    self.unsettled.entry(&order.rollout).or_default().insert(&order.id);
                }
            }
            Event::OrderAccepted { vm, order, began, .. } => {
                let Some(fate) = self.known(order, vm, record, findings) else { return };
                once(order, &mut fate.accepted, record, "accepted", findings);
                let not_after = fate.order.not_after;
                findings.test(S9, *began <= not_after, fate.placed, record, || {
                    format!("order {order} was begun at {began}, after its last moment {not_after}")
                });
            }
            Event::OrderFinished { vm, order, .. } => {
                let Some(fate) = self.known(order, vm, record, findings) else { return };
                once(order, &mut fate.finished, record, "finished", findings);
                findings.test(S9, fate.accepted.is_some(), fate.placed, record, || {
                    format!("order {order} is finished, and nothing shows when it began")
                });
            }
            Event::ControlsRequested { sample, vms, .. } => {
                self.controls.insert(sample, vms);
            }
            Event::HealthConfirmed { vm, order }
            | Event::HealthFailed { vm, order, .. }
            | Event::HealthUnknown { vm, order, .. }
                if self.controls.get(order).is_some_and(|vms| vms.contains(vm)) => {}
            Event::OrderRefused { vm, order, .. }
            | Event::AgentRebooted { vm, order, .. }
            | Event::HealthConfirmed { vm, order }
            | Event::HealthFailed { vm, order, .. }
            | Event::HealthUnknown { vm, order, .. } => {
                self.known(order, vm, record, findings);
            }
            Event::VmSettled { rollout, vm, order, .. } => {
                let Some(fate) = self.known(order, vm, record, findings) else { return };
                once(order, &mut fate.settled, record, "settled", findings);
                findings.test(S9, fate.order.rollout == *rollout, fate.placed, record, || {
                    format!("order {order} is settled by rollout {rollout}, which did not place it")
                });
                let placed_by = &fate.order.rollout;
                if let Some(unsettled) = self.unsettled.get_mut(placed_by) {
                    unsettled.remove(order);
                }
            }
            Event::RunCompleted { rollout, .. } => self.completed(rollout, record, findings),
            _ => {}
        }
    }

    /// The order that the event speaks of, if it was placed before, in this region.
    fn known(
        &mut self,
        id: &OrderId,
        vm: &VmId,
        record: &Record,
        findings: &mut Findings,
    ) -> Option<&mut Fate<'a>> {
        let Some(fate) = self.here.get_mut(id) else {
            let elsewhere = self.anywhere.get(id).copied();
            findings.test(S9, false, elsewhere.unwrap_or(record), record, || match elsewhere {
                Some(_) => {
                    format!("order {id} is spoken of before it was placed, or in a region where it was not")
                }
                None => format!("order {id} is spoken of, and was never placed"),
            });
            return None;
        };
        findings.test(S9, fate.order.vm == *vm, fate.placed, record, || {
            format!("order {id} is for VM {}, and VM {vm} is said to have it", fate.order.vm)
        });
        Some(fate)
    }

    fn completed(&self, rollout: &RolloutId, record: &Record, findings: &mut Findings) {
        findings.tested(S9);
        let unsettled = self.unsettled.get(rollout).into_iter().flatten();
        for fate in unsettled.filter_map(|order| self.here.get(order)) {
            let order = &fate.order.id;
            let sentence = format!("the run of rollout {rollout} completes before order {order} is settled");
            findings.collide(S9, fate.placed, record, sentence);
        }
    }
}

fn once<'a>(
    order: &OrderId,
    before: &mut Option<&'a Record>,
    record: &'a Record,
    what: &str,
    findings: &mut Findings,
) {
    let first = *before.get_or_insert(record);
    findings
        .test(S9, std::ptr::eq(first, record), first, record, || format!("order {order} is {what} twice"));
}
