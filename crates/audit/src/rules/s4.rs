//! S4: no two update domains of one availability set have VMs in flight at the same time, never the whole set, and
//! never more than a fifth of it (a set of fewer than ten: one, REQUIREMENTS.md B8); by position in the region's
//! partition, whatever rollouts the orders are of.

use crate::allowance;
use crate::findings::Findings;
use crate::fleet::Group;
use crate::flight::{Airborne, Change, Flight, changes};
use crate::history::History;
use crate::report::Rule::S4;
use nightshift_domain::AvailabilitySetId;
use nightshift_domain::fleet::Placement;
use std::collections::BTreeSet;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flights in history.flights.values() {
        let mut airborne = Airborne::none();
        for change in changes(flights) {
            match change {
                Change::Begins(flight) => {
                    let Some((set, update_domain)) = set(flight) else { continue };
                    findings.tested(S4);
                    // What a person has installed on one machine is in flight for others alone.
                    if flight.on_demand.is_some() {
                        airborne.begins(set, flight);
                        continue;
                    }
                    one_update_domain(flight, set, update_domain, &airborne, findings);
                    airborne.begins(set, flight);
                    a_fifth_and_never_the_whole(history, flight, set, &airborne, findings);
                }
                Change::Ends(flight) => {
                    if let Some((set, _)) = set(flight) {
                        airborne.ends(&set, flight);
                    }
                }
            }
        }
    }
}

type BySet<'f, 'a> = Airborne<'f, 'a, &'a AvailabilitySetId>;

fn set<'a>(flight: &Flight<'a>) -> Option<(&'a AvailabilitySetId, u8)> {
    match flight.place?.1 {
        Placement::AvailabilitySet { set, update_domain } => Some((set, *update_domain)),
        _ => None,
    }
}

fn one_update_domain<'a>(
    flight: &Flight<'a>,
    of: &'a AvailabilitySetId,
    update_domain: u8,
    airborne: &BySet<'_, 'a>,
    findings: &mut Findings,
) {
    let other = airborne.under(&of).find_map(|other| {
        let (_, other_domain) = set(other)?;
        (other_domain != update_domain).then_some((other, other_domain))
    });
    if let Some((other, other_domain)) = other {
        let sentence = format!(
            "VM {} of set {of}, update domain {update_domain}, is ordered while VM {} of {other_domain} is in flight",
            flight.order.vm, other.order.vm
        );
        findings.collide(S4, other.placed, flight.placed, sentence);
    }
}

fn a_fifth_and_never_the_whole<'a>(
    history: &History<'a>,
    flight: &Flight<'a>,
    set: &'a AvailabilitySetId,
    airborne: &BySet<'_, 'a>,
    findings: &mut Findings,
) {
    if airborne.under(&set).len() < 2 {
        return;
    }
    let (vm, group) = (&flight.order.vm, Group::Set(flight.region, set));
    let vms: BTreeSet<_> = airborne.under(&set).map(|flight| &flight.order.vm).collect();
    let first = airborne.under(&set).next().map_or(flight.placed, |first| first.placed);
    let (flying, size) = (vms.len(), history.size_for(group, flight));
    let most = allowance::of_set(size);
    if flying > most {
        let sentence =
            format!("with VM {vm} {flying} of the {size} VMs of set {set} are in flight; {most} may");
        findings.collide(S4, first, flight.placed, sentence);
    }
    if history.fleet.whole(group, flight.placed.at, &vms) {
        let sentence = format!("with VM {vm} all {flying} VMs of set {set} are in flight");
        findings.collide(S4, first, flight.placed, sentence);
    }
}
