//! S4: no two update domains of one availability set have VMs in flight at the same time, and never the whole set;
//! by position in the region's partition.

use crate::findings::Findings;
use crate::fleet::Group;
use crate::flight::{Airborne, Change, Flight, changes};
use crate::history::History;
use crate::report::Rule::S4;
use nightshift_domain::AvailabilitySetId;
use nightshift_domain::fleet::Placement;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flights in history.flights.values() {
        let mut airborne = Airborne::none();
        for change in changes(flights) {
            match change {
                Change::Begins(flight) => {
                    let Some((set, update_domain)) = set(flight) else { continue };
                    findings.tested(S4);
                    one_update_domain(flight, set, update_domain, &airborne, findings);
                    airborne.begins(set, flight);
                    never_the_whole(history, flight, set, &airborne, findings);
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

fn never_the_whole<'a>(
    history: &History<'a>,
    flight: &Flight<'a>,
    set: &'a AvailabilitySetId,
    airborne: &BySet<'_, 'a>,
    findings: &mut Findings,
) {
    let vms = airborne.under(&set).map(|flight| &flight.order.vm).collect();
    if history.fleet.whole(Group::Set(flight.region, set), flight.placed.at, &vms) {
        let first = airborne.under(&set).next().map_or(flight.placed, |first| first.placed);
        let sentence =
            format!("with VM {} all {} VMs of set {set} are in flight", flight.order.vm, vms.len());
        findings.collide(S4, first, flight.placed, sentence);
    }
}
