//! S6: nothing starts outside the VM's own off-peak window, without room to end inside it, or in a night that touches
//! a blackout of the policy.
//!
//! The VM's window is the fleet's word (its own window and zone, else the fleet's window and its region's zone), not
//! what the run noted of it.

use crate::Record;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::night::{self, Night};
use crate::report::Rule::S6;
use chrono::{Duration, NaiveDate};
use chrono_tz::Tz;
use nightshift_domain::event::Order;
use nightshift_domain::policy::Policy;
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
            if let Event::OrderAccepted { order, began, .. } = &record.event
                && let Some(flight) = by_order.get(order)
            {
                accepted(history, flight, record, *began, findings);
            }
        }
    }
    members_sleep_when_they_sleep(history, findings);
}

/// A window that a VM had, and the event that said so.
#[derive(Clone, Copy)]
struct Said<'a> {
    said: &'a Record,
    window: Window,
    zone: Tz,
}

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}–{} {}", self.window.start_text(), self.window.end_text(), self.zone)
    }
}

fn windows<'a>(history: &History<'a>, vm: &VmId, at: Time) -> Vec<Said<'a>> {
    let models = history.fleet.models(vm, at);
    models
        .flat_map(|(said, vm)| {
            history.fleet.windows(vm, at).map(move |(window, zone)| Said { said, window, zone })
        })
        .collect()
}

/// The order is right by one window and one policy by which the coordinator may act; if it is by none, what is wrong by
/// the newest ones is told.
fn placed(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let (order, record) = (flight.order, flight.placed);
    let vm = &order.vm;
    let windows = windows(history, vm, record.at);
    if windows.is_empty() {
        // A VM that is not registered is S8's to tell; one that is has a window, unless its zone is unknown.
        if let Some((said, _)) = history.fleet.models(vm, record.at).last() {
            findings.test(S6, false, said, record, || {
                format!("VM {vm} is ordered, and nothing says in which time zone it is")
            });
        }
        return;
    }
    let mut wrong = None;
    for said in &windows {
        for (changed, policy) in history.policies(&order.rollout, record.at) {
            match fault(order, record.at, said, policy) {
                None => return findings.tested(S6),
                Some(Fault::Window(sentence)) => wrong = Some((said.said, sentence)),
                Some(Fault::Blackout(sentence)) => wrong = Some((changed.unwrap_or(said.said), sentence)),
            }
        }
    }
    if let Some((first, sentence)) = wrong {
        findings.test(S6, false, first, record, || sentence);
    }
}

enum Fault {
    Window(String),
    Blackout(String),
}

fn fault(order: &Order, at: Time, said: &Said<'_>, policy: &Policy) -> Option<Fault> {
    let (vm, not_after, deadline) = (&order.vm, order.not_after, order.deadline);
    let Some(night) = night::around(said.window, said.zone, at) else {
        return Some(Fault::Window(format!("VM {vm} is ordered at {at}, outside its window {said}")));
    };
    if not_after > deadline {
        let sentence =
            format!("the order of VM {vm} may begin until {not_after}, after its deadline {deadline}");
        return Some(Fault::Window(sentence));
    }
    let closes = night.closes;
    if deadline > closes {
        let sentence =
            format!("the deadline {deadline} of VM {vm} is after its window {said} closes, {closes}");
        return Some(Fault::Window(sentence));
    }
    let (longest, begins) = (policy.longest_work, at.max(not_after));
    if closes - begins < longest {
        let minutes = longest.num_minutes();
        let sentence = format!(
            "the order of VM {vm} may begin until {begins}; {minutes} minutes of work do not end by {closes}"
        );
        return Some(Fault::Window(sentence));
    }
    let day = blackout(night, said.zone, policy)?;
    Some(Fault::Blackout(format!("VM {vm} is ordered in a night that touches {day}, a day without patches")))
}

/// The first local day of the night that the policy keeps free of patches.
fn blackout(night: Night, zone: Tz, policy: &Policy) -> Option<NaiveDate> {
    let local = |moment: Time| moment.with_timezone(&zone).date_naive();
    let (first, last) = (local(night.opens), local(night.closes - Duration::seconds(1)));
    let kept_free = |day: &NaiveDate| policy.blackouts.iter().any(|b| b.from <= *day && *day <= b.to);
    first.iter_days().take_while(|day| *day <= last).find(kept_free)
}

/// The work begins where it is accepted. The order was given for the window as it was then: one that was moved since
/// cannot call it back, so either will do.
fn accepted(
    history: &History<'_>,
    flight: &Flight<'_>,
    record: &Record,
    began: Time,
    findings: &mut Findings,
) {
    let vm = &flight.order.vm;
    // A machine whose clock is slow did not begin before it was ordered.
    let began = began.max(flight.placed.at);
    let mut windows = windows(history, vm, flight.placed.at);
    windows.extend(self::windows(history, vm, began));
    let inside = windows.iter().any(|said| night::around(said.window, said.zone, began).is_some());
    if let Some(said) = windows.last() {
        findings.test(S6, inside, flight.placed, record, || {
            format!("VM {vm} began its order at {began}, outside its window {said}")
        });
    }
}

fn members_sleep_when_they_sleep(history: &History<'_>, findings: &mut Findings) {
    for (_, enlisted, member) in history.runs.enlisted() {
        let windows = windows(history, &member.vm, enlisted.at);
        // A VM that is not registered at all is S3's to tell.
        let Some(last) = windows.last() else { continue };
        let noted = Said { window: member.window, zone: member.time_zone, ..*last };
        let agrees = windows.iter().any(|said| (said.window, said.zone) == (noted.window, noted.zone));
        findings.test(S6, agrees, last.said, enlisted, || {
            format!("VM {} is enlisted with the window {noted}, which it has not", member.vm)
        });
    }
}
