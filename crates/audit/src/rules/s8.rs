//! S8: a rollout installs only Critical and Security patches that its policy selects, and only on VMs that are
//! `AutomaticByPlatform`, on a supported image, enabled, and of a subscription registered for the feature.

use crate::Record;
use crate::eligible;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::mask::means;
use crate::report::Rule::S8;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::fleet::Feature;
use nightshift_domain::patch::{Classification, PatchOutcome, PatchState};
use nightshift_domain::selection::{PackageVersion, Selection};
use nightshift_domain::{Event, OrderId, VmId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flight in history.all_flights() {
        eligible(history, flight, findings);
    }
    for records in history.regions.values() {
        let (mut placed, mut enabled) = (BTreeMap::new(), BTreeMap::new());
        // What was enabled too late tells more than that it never was.
        for record in records.iter().rev() {
            if let Event::AgentEnabled { vm, .. } = &record.event {
                enabled.insert(vm, *record);
            }
        }
        for record in records {
            match &record.event {
                Event::OrderPlaced { order } => {
                    placed.entry(&order.id).or_insert((*record, &order.selection));
                }
                Event::OrderFinished { vm, order, result, .. } => {
                    let placed = placed.get(order).copied();
                    installed(vm, order, result, record, placed, enabled.get(vm).copied(), findings);
                }
                _ => {}
            }
        }
    }
}

fn eligible(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let (vm, at) = (&flight.order.vm, flight.placed.at);
    let last_word = history.fleet.last_word(vm, at).unwrap_or(flight.placed);
    let mut why = Some((last_word, "it is not registered".to_owned()));
    for (_, model) in history.fleet.models(vm, at) {
        let mut obstacles = history.fleet.images(at).map(|images| eligible::obstacle(model, images));
        let obstacle = obstacles.next().unwrap_or_else(|| eligible::obstacle(model, &[]));
        let obstacle = obstacle.filter(|_| !obstacles.any(|other| other.is_none()));
        why = obstacle.map(|why| (last_word, why)).or_else(|| {
            let subscription = &model.subscription;
            let feature = Feature::InGuestAutoPatchVMPreview;
            let unregistered = history.fleet.unregistered(subscription, feature, at)?;
            let why = format!("subscription {subscription} is not registered for the feature");
            Some((unregistered.unwrap_or(last_word), why))
        });
        if why.is_none() {
            break;
        }
    }
    let first = why.as_ref().map_or(flight.placed, |(first, _)| first);
    findings.test(S8, why.is_none(), first, flight.placed, || {
        format!("VM {vm} is ordered, but {}", why.map(|(_, why)| why).unwrap_or_default())
    });
}

fn installed(
    vm: &VmId,
    order: &OrderId,
    result: &InstallReport,
    record: &Record,
    placed: Option<(&Record, &Selection)>,
    enabled: Option<&Record>,
    findings: &mut Findings,
) {
    let (placed, selection) = placed.map_or((record, None), |(placed, selection)| (placed, Some(selection)));
    let mut installed = result.patches.iter().filter(|patch| patch.state == PatchState::Installed).peekable();
    if installed.peek().is_none() {
        return;
    }
    let before = enabled.is_some_and(|enabled| enabled.position < record.position);
    findings.test(S8, before, enabled.unwrap_or(placed), record, || {
        format!("VM {vm} installed patches for order {order} before it was enabled")
    });
    let wrong = installed.find_map(|patch| Some((patch, unselected(patch, selection)?)));
    findings.test(S8, wrong.is_none(), placed, record, || {
        let (name, why) = wrong.map(|(patch, why)| (patch.name.as_str(), why)).unwrap_or_default();
        format!("VM {vm} installed {name} for order {order}, {why}")
    });
}

/// Why an order with this selection cannot have installed the patch; of an order that was never placed (S9), why no
/// order can have.
fn unselected(patch: &PatchOutcome, selection: Option<&Selection>) -> Option<&'static str> {
    // An order of a rollout that asks for it is told where it was placed.
    let asks = |selection: &Selection| selection.classifications.contains(&Classification::Other);
    if patch.classification == Classification::Other && !selection.is_some_and(asks) {
        return Some("which is neither Critical nor Security");
    }
    let selection = selection?;
    let is = |version: &PackageVersion| version.name == patch.name && version.version == patch.version;
    if !selection.classifications.contains(&patch.classification) {
        Some("which is not of a classification that was ordered")
    } else if selection.barred.iter().any(is) {
        Some("a version that was barred")
    } else if selection.exclude.iter().any(|mask| means(mask, &patch.name)) {
        Some("which the order excludes")
    } else if !selection.include.is_empty() && !selection.include.iter().any(|mask| means(mask, &patch.name))
    {
        Some("which the order does not include")
    } else if selection.certified.as_ref().is_some_and(|certified| !certified.iter().any(is)) {
        Some("a version that was not certified")
    } else {
        None
    }
}
