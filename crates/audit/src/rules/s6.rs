//! S6: nothing starts outside the VM's own off-peak window, nor without room to end inside it.
//!
//! The VM's window is the fleet's word (its own window and zone, else the fleet's window and its region's zone), not
//! what the run noted of it.

use crate::Record;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::night::{self, Night};
use crate::report::Rule::S6;
use chrono_tz::Tz;
use nightshift_domain::window::Window;
use nightshift_domain::{Event, OrderId, Time, VmId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for (region, flights) in &history.flights {
        let mut by_order = BTreeMap::<&OrderId, &Flight<'_>>::new();
        for flight in flights {
            placed(history, flight, findings);
            by_order.entry(&flight.order.id).or_insert(flight);
        }
        for record in history.regions.get(region).into_iter().flatten() {
            if let Event::OrderAccepted { order, .. } = &record.event
                && let Some(flight) = by_order.get(order)
            {
                accepted(history, flight, record, findings);
            }
        }
    }
    members_sleep_when_they_sleep(history, findings);
}

/// A window that a VM had, and the event that said so.
type Said<'a> = (&'a Record, Window, Tz);

fn windows<'a>(history: &History<'a>, vm: &VmId, at: Time) -> Vec<Said<'a>> {
    let models = history.fleet.models(vm, at);
    models
        .flat_map(|(said, vm)| history.fleet.windows(vm, at).map(move |(window, zone)| (said, window, zone)))
        .collect()
}

fn text(window: Window, zone: Tz) -> String {
    format!("{}–{} {zone}", window.start_text(), window.end_text())
}

fn placed(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let (order, record) = (flight.order, flight.placed);
    let vm = &order.vm;
    let windows = windows(history, vm, record.at);
    let Some((said, window, zone)) = windows.last().copied() else {
        // A VM that is not registered is S8's to tell; one that is has a window, unless its zone is unknown.
        if let Some((said, _)) = history.fleet.models(vm, record.at).last() {
            findings.test(S6, false, said, record, || {
                format!("VM {vm} is ordered, and nothing says in which time zone it is")
            });
        }
        return;
    };
    let nights: Vec<Night> =
        windows.iter().filter_map(|(_, window, zone)| night::around(*window, *zone, record.at)).collect();
    let window = || text(window, zone);
    findings.test(S6, !nights.is_empty(), said, record, || {
        format!("VM {vm} is ordered at {}, outside its window {}", record.at, window())
    });
    findings.test(S6, order.not_after <= order.deadline, said, record, || {
        let (not_after, deadline) = (order.not_after, order.deadline);
        format!("the order of VM {vm} may begin until {not_after}, after its deadline {deadline}")
    });
    let Some(last) = nights.iter().map(|night| night.closes).max() else { return };
    findings.test(S6, order.deadline <= last, said, record, || {
        format!("the deadline {} of VM {vm} is after its window {} closes, {last}", order.deadline, window())
    });
    let longest = history.policy(flight.region, &order.rollout).longest_work;
    findings.test(S6, last - record.at >= longest, said, record, || {
        let minutes = longest.num_minutes();
        format!("VM {vm} is ordered at {}; {minutes} minutes of work do not end by {last}", record.at)
    });
}

/// The work begins where it is accepted. The order was given for the window as it was then: one that was moved since
/// cannot call it back, so either will do.
fn accepted(history: &History<'_>, flight: &Flight<'_>, record: &Record, findings: &mut Findings) {
    let vm = &flight.order.vm;
    let mut windows = windows(history, vm, flight.placed.at);
    windows.extend(self::windows(history, vm, record.at));
    let inside = windows.iter().any(|(_, window, zone)| night::around(*window, *zone, record.at).is_some());
    if let Some((_, window, zone)) = windows.last() {
        findings.test(S6, inside, flight.placed, record, || {
            format!("VM {vm} begins its order at {}, outside its window {}", record.at, text(*window, *zone))
        });
    }
}

fn members_sleep_when_they_sleep(history: &History<'_>, findings: &mut Findings) {
    for (_, _, run) in history.runs.all() {
        for (enlisted, members) in &run.enlisted {
            for member in *members {
                let windows = windows(history, &member.vm, enlisted.at);
                // A VM that is not registered at all is S3's to tell.
                let Some((said, ..)) = windows.last() else { continue };
                let agrees = windows.iter().any(|(_, w, z)| (*w, *z) == (member.window, member.time_zone));
                findings.test(S6, agrees, said, enlisted, || {
                    let window = text(member.window, member.time_zone);
                    format!("VM {} is enlisted with the window {window}, which it has not", member.vm)
                });
            }
        }
    }
}
