//! S8: a rollout installs only Critical and Security patches, and only on VMs that are `AutomaticByPlatform`, on a
//! supported image, enabled, and of a subscription registered for the feature.

use crate::Record;
use crate::eligible;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::report::Rule::S8;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::fleet::Feature;
use nightshift_domain::patch::{Classification, PatchState};
use nightshift_domain::{Event, OrderId, VmId};
use std::collections::BTreeMap;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flight in history.all_flights() {
        ordered(history, flight, findings);
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
                    placed.entry(&order.id).or_insert(*record);
                }
                Event::OrderFinished { vm, order, result, .. } => {
                    installed(vm, order, result, record, &placed, &enabled, findings);
                }
                _ => {}
            }
        }
    }
}

/// What a rollout may install (REQUIREMENTS.md A1).
fn is_urgent(classification: Classification) -> bool {
    matches!(classification, Classification::Critical | Classification::Security)
}

fn ordered(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let order = flight.order;
    let other = order.classifications.iter().find(|classification| !is_urgent(**classification));
    let requested =
        history.rollouts.requested(&order.rollout).map_or(flight.placed, |(requested, _)| requested);
    findings.test(S8, other.is_none(), requested, flight.placed, || {
        let what = other.map(|other| format!("{other:?}")).unwrap_or_default();
        format!("VM {} is ordered to install what is classified {what}", order.vm)
    });
}

fn eligible(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let (vm, at) = (&flight.order.vm, flight.placed.at);
    let mut why = Some("it is not registered".to_owned());
    for (_, model) in history.fleet.models(vm, at) {
        why = eligible::obstacle(model).or_else(|| {
            let registered =
                history.fleet.registered(&model.subscription, Feature::InGuestAutoPatchVMPreview, at);
            (!registered)
                .then(|| format!("subscription {} is not registered for the feature", model.subscription))
        });
        if why.is_none() {
            break;
        }
    }
    let first = history.fleet.last_word(vm, at).unwrap_or(flight.placed);
    findings.test(S8, why.is_none(), first, flight.placed, || {
        format!("VM {vm} is ordered, but {}", why.unwrap_or_default())
    });
}

fn installed(
    vm: &VmId,
    order: &OrderId,
    result: &InstallReport,
    record: &Record,
    placed: &BTreeMap<&OrderId, &Record>,
    enabled: &BTreeMap<&VmId, &Record>,
    findings: &mut Findings,
) {
    let placed = placed.get(order).copied().unwrap_or(record);
    let mut installed = result.patches.iter().filter(|patch| patch.state == PatchState::Installed).peekable();
    if installed.peek().is_none() {
        return;
    }
    let before = enabled.get(vm).is_some_and(|enabled| enabled.position < record.position);
    findings.test(S8, before, enabled.get(vm).copied().unwrap_or(placed), record, || {
        format!("VM {vm} installed patches for order {order} before it was enabled")
    });
    let other = installed.find(|patch| !is_urgent(patch.classification));
    findings.test(S8, other.is_none(), placed, record, || {
        let name = other.map(|patch| patch.name.as_str()).unwrap_or_default();
        format!("VM {vm} installed {name} for order {order}, which is neither Critical nor Security")
    });
}
