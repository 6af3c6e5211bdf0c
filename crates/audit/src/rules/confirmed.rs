//! S7, the health half: a VM is settled as healthy only after its order was finished without a failure and then
//! health-confirmed, and what is blamed for a failure is what its agent reported; by position in the region's
//! partition.

use crate::Record;
use crate::findings::Findings;
use crate::history::History;
use crate::report::Rule::S7;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Outcome;
use nightshift_domain::patch::{Blame, PatchState, RebootStatus};
use nightshift_domain::{Event, OrderId};
use std::collections::BTreeMap;

/// What was said of an order, up to some position.
#[derive(Default)]
struct Said<'a> {
    placed: Option<&'a Record>,
    finished: Option<(&'a Record, &'a InstallReport)>,
    /// The first confirmation after it was finished, and the last one in any case.
    confirmed: Option<&'a Record>,
    confirmed_at_all: Option<&'a Record>,
    ill: Option<&'a Record>,
}

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for records in history.regions.values() {
        let mut orders = BTreeMap::<&OrderId, Said<'_>>::new();
        for record in records {
            match &record.event {
                Event::OrderPlaced { order } => {
                    orders.entry(&order.id).or_default().placed.get_or_insert(record);
                }
                Event::OrderFinished { order, result, .. } => {
                    orders.entry(order).or_default().finished.get_or_insert((record, result));
                }
                Event::HealthConfirmed { order, .. } => {
                    let said = orders.entry(order).or_default();
                    said.confirmed_at_all = Some(record);
                    if said.finished.is_some() {
                        said.confirmed.get_or_insert(record);
                    }
                }
                Event::HealthFailed { order, .. } => {
                    orders.entry(order).or_default().ill.get_or_insert(record);
                }
                Event::VmSettled { order, outcome: Outcome::Healthy, .. } => {
                    settled_healthy(order, orders.entry(order).or_default(), record, findings);
                }
                Event::VmSettled { order, blamed, .. } if !blamed.is_empty() => {
                    blamed_rightly(order, blamed, orders.entry(order).or_default(), record, findings);
                }
                _ => {}
            }
        }
    }
}

fn settled_healthy(order: &OrderId, said: &Said<'_>, record: &Record, findings: &mut Findings) {
    // An order that was never placed is S9's to tell.
    let Some(placed) = said.placed else { return };
    let (first, why) = match (said.finished, said.confirmed) {
        (Some((finished, result)), Some(_)) => match (failure(result), said.ill) {
            (Some(why), _) => (finished, why),
            (None, Some(ill)) => (ill, "its VM was found to be ill after it"),
            (None, None) => {
                findings.tested(S7);
                return;
            }
        },
        (Some((finished, _)), None) => {
            (said.confirmed_at_all.unwrap_or(finished), "no health was confirmed after it was finished")
        }
        (None, _) => (said.confirmed_at_all.unwrap_or(placed), "it was not finished"),
    };
    findings.test(S7, false, first, record, || format!("order {order} is settled as healthy, but {why}"));
}

/// Why an order that ended with this report did not do what was asked of it.
fn failure(result: &InstallReport) -> Option<&'static str> {
    if result.error.is_some() {
        Some("it was kept from its work")
    } else if result.patches.iter().any(|patch| patch.state == PatchState::Failed) {
        Some("a patch failed")
    } else if result.reboot == RebootStatus::Failed {
        Some("its VM did not come back from its reboot")
    } else {
        None
    }
}

/// A failure is excused when a version to blame is barred: a version that the VM never had excuses nothing.
fn blamed_rightly(
    order: &OrderId,
    blamed: &[Blame],
    said: &Said<'_>,
    record: &Record,
    findings: &mut Findings,
) {
    // An order that was never placed is S9's to tell.
    let Some(placed) = said.placed else { return };
    let (first, result) = said.finished.map_or((placed, None), |(finished, result)| (finished, Some(result)));
    for Blame { patch, direct } in blamed {
        let state = if *direct { PatchState::Failed } else { PatchState::Installed };
        let reported = result.into_iter().flat_map(|result| &result.patches).any(|reported| {
            reported.name == patch.name && reported.version == patch.version && reported.state == state
        });
        findings.test(S7, reported, first, record, || {
            format!("{patch} is blamed for order {order}, and was not reported as {state:?}")
        });
    }
}
