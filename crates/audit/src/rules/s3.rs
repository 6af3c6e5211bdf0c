//! S3: no two zones of a region have VMs in flight at the same time, by position in the region's partition; and a
//! run's members stand where the fleet says that they stand.

use crate::findings::Findings;
use crate::flight::{Airborne, Change, Flight, changes};
use crate::history::History;
use crate::report::Rule::S3;
use nightshift_domain::ZoneName;
use nightshift_domain::fleet::Placement;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flights in history.flights.values() {
        one_zone_at_a_time(flights, findings);
    }
    members_stand_where_they_stand(history, findings);
}

fn zone<'a>(flight: &Flight<'a>) -> Option<&'a ZoneName> {
    match flight.place?.1 {
        Placement::Zone(zone) => Some(zone),
        _ => None,
    }
}

fn one_zone_at_a_time(flights: &[Flight<'_>], findings: &mut Findings) {
    let mut airborne = Airborne::none();
    for change in changes(flights) {
        match change {
            Change::Begins(flight) => {
                findings.test(S3, flight.place.is_some(), flight.placed, flight.placed, || {
                    let vm = &flight.order.vm;
                    format!("VM {vm} is ordered in region {}, where the log does not place it", flight.region)
                });
                let Some(zone) = zone(flight) else { continue };
                let others = airborne.beside(&zone).filter(|_| flight.on_demand.is_none());
                for (other_zone, other) in others {
                    let sentence = format!(
                        "VM {} of zone {zone} is ordered while VM {} of zone {other_zone} is in flight",
                        flight.order.vm, other.order.vm
                    );
                    findings.collide(S3, other.placed, flight.placed, sentence);
                }
                airborne.begins(zone, flight);
            }
            Change::Ends(flight) => {
                if let Some(zone) = zone(flight) {
                    airborne.ends(&zone, flight);
                }
            }
        }
    }
}

fn members_stand_where_they_stand(history: &History<'_>, findings: &mut Findings) {
    for (region, enlisted, member) in history.runs.enlisted() {
        let vm = &member.vm;
        let mut models = history.fleet.models(vm, enlisted.at);
        let agrees = models.any(|(_, model)| model.region == *region && model.placement == member.placement);
        let first = history.fleet.last_word(vm, enlisted.at).unwrap_or(enlisted);
        findings.test(S3, agrees, first, enlisted, || {
            format!("VM {vm} is enlisted in region {region}, in a place where the fleet does not have it")
        });
    }
}
