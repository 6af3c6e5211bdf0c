//! S5: of a subscription's VMs in a region that are in no zone and no availability set, never more than the
//! policy's share are in flight (one may always go), and never all of two or more; and in a region never more than the
//! policy's bound. By position in the region's partition, whatever rollouts the orders are of.

use crate::allowance;
use crate::findings::Findings;
use crate::fleet::Group;
use crate::flight::{Airborne, Change, Flight, changes};
use crate::history::History;
use crate::report::Rule::S5;
use nightshift_domain::fleet::Placement;
use nightshift_domain::{SubscriptionId, VmId};
use std::collections::BTreeSet;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flights in history.flights.values() {
        let (mut airborne, mut of_region) = (Airborne::none(), Airborne::none());
        for change in changes(flights) {
            match change {
                Change::Begins(flight) => {
                    of_region.begins((), flight);
                    // What a person has installed on one machine is in flight for others alone.
                    let is_exempt = flight.on_demand.is_some();
                    if !is_exempt {
                        within_the_bound(history, flight, &of_region, findings);
                    }
                    let Some(subscription) = subscription(flight) else { continue };
                    findings.tested(S5);
                    airborne.begins(subscription, flight);
                    if !is_exempt {
                        within_the_share(history, flight, subscription, &airborne, findings);
                    }
                }
                Change::Ends(flight) => {
                    of_region.ends(&(), flight);
                    if let Some(subscription) = subscription(flight) {
                        airborne.ends(&subscription, flight);
                    }
                }
            }
        }
    }
    members_belong_to_whom_they_belong(history, findings);
}

fn subscription<'a>(flight: &Flight<'a>) -> Option<&'a SubscriptionId> {
    let (subscription, placement) = flight.place?;
    (*placement == Placement::Standalone).then_some(subscription)
}

fn within_the_share<'a>(
    history: &History<'a>,
    flight: &Flight<'a>,
    of: &'a SubscriptionId,
    airborne: &Airborne<'_, 'a, &'a SubscriptionId>,
    findings: &mut Findings,
) {
    let group = Group::Standalone(flight.region, of);
    let now = history.fleet.size(group, flight.placed.at);
    let registered = history.size_for(group, flight);
    let most = allowance::in_flight(history.layout_policy(flight), registered);
    let in_flight = airborne.under(&of);
    // Counting each VM once costs time where many are in flight, and is only needed where there are too many flights.
    if in_flight.len() <= most && in_flight.len() < now.max(2) {
        return;
    }
    let vms: BTreeSet<&VmId> = airborne.under(&of).map(|flight| &flight.order.vm).collect();
    let first = airborne.under(&of).next().map_or(flight.placed, |first| first.placed);
    let (vm, region, flying) = (&flight.order.vm, flight.region, vms.len());
    if flying > most {
        let group = format!("the {registered} VMs of subscription {of} in region {region}");
        let sentence = format!("with VM {vm} {flying} of {group} are in flight; its share is {most}");
        findings.collide(S5, first, flight.placed, sentence);
    }
    if history.fleet.whole(group, flight.placed.at, &vms) {
        let sentence =
            format!("with VM {vm} all {now} VMs of subscription {of} in region {region} are in flight");
        findings.collide(S5, first, flight.placed, sentence);
    }
}

fn within_the_bound<'f, 'a>(
    history: &History<'a>,
    flight: &'f Flight<'a>,
    of_region: &Airborne<'f, 'a, ()>,
    findings: &mut Findings,
) {
    let policies = history.policies(&flight.order.rollout, flight.placed.at);
    // No bound is the largest one.
    let most =
        policies.map(|(_, policy)| policy.max_in_flight.map_or(usize::MAX, |most| most as usize)).max();
    let Some(most) = most.filter(|most| *most < usize::MAX) else { return };
    let mut flying = of_region.under(&());
    let (count, first) = (flying.len(), flying.next().map_or(flight.placed, |first| first.placed));
    findings.test(S5, count <= most, first, flight.placed, || {
        let (vm, region) = (&flight.order.vm, flight.region);
        format!("with VM {vm} {count} VMs of region {region} are in flight; its bound is {most}")
    });
}

fn members_belong_to_whom_they_belong(history: &History<'_>, findings: &mut Findings) {
    for (_, enlisted, member) in history.runs.enlisted() {
        let mut models = history.fleet.models(&member.vm, enlisted.at).peekable();
        // A VM that is not registered at all is S3's to tell.
        if models.peek().is_none() {
            continue;
        }
        let agrees = models.any(|(_, model)| model.subscription == member.subscription);
        let first = history.fleet.last_word(&member.vm, enlisted.at).unwrap_or(enlisted);
        findings.test(S5, agrees, first, enlisted, || {
            let (vm, subscription) = (&member.vm, &member.subscription);
            format!("VM {vm} is enlisted as subscription {subscription}'s, and is not")
        });
    }
}
