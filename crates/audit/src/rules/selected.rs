//! S8, what is ordered: the classifications, masks and certified versions of the rollout, and none that it barred.
//!
//! By time, for policy, certified and barred versions are in partition `rollout`: an order is right by what held at its
//! moment or up to [`LAG`](crate::LAG) before; what was barred longer ago it must name.

use crate::Record;
use crate::findings::Findings;
use crate::flight::Flight;
use crate::history::History;
use crate::lag::known_since;
use crate::report::Rule::S8;
use nightshift_domain::patch::Classification;
use nightshift_domain::policy::{PatchChoice, Policy};
use nightshift_domain::selection::PackageVersion;
use std::collections::BTreeSet;

pub(super) fn check(history: &History<'_>, findings: &mut Findings) {
    for flight in history.all_flights() {
        urgent(history, flight, findings);
        by_the_policy(history, flight, findings);
        not_barred(history, flight, findings);
    }
}

/// A rollout installs nothing but this, whatever its policy says (REQUIREMENTS.md A1).
fn urgent(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let order = flight.order;
    let other =
        flight.on_demand.is_none() && order.selection.classifications.contains(&Classification::Other);
    let requested = history.rollouts.get(&order.rollout).and_then(|rollout| rollout.requested());
    findings.test(S8, !other, requested.unwrap_or(flight.placed), flight.placed, || {
        format!("VM {} is ordered to install what is classified Other", order.vm)
    });
}

fn by_the_policy(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let mut wrong = None;
    for (said, policy) in history.policies(&flight.order.rollout, flight.placed.at) {
        match fault(history, flight, policy) {
            None => return findings.tested(S8),
            Some((first, what)) => wrong = Some((first.or(said), what)),
        }
    }
    if let Some((first, what)) = wrong {
        findings.test(S8, false, first.unwrap_or(flight.placed), flight.placed, || {
            format!("VM {} is ordered with {what}", flight.order.vm)
        });
    }
}

/// What of the order is not as the policy says, with the event that says so where it is not the policy's own.
fn fault<'a>(
    history: &History<'a>,
    flight: &Flight<'a>,
    policy: &Policy,
) -> Option<(Option<&'a Record>, &'static str)> {
    let selection = &flight.order.selection;
    // What is classified Other is told by itself, but where a person may ask for it.
    let is_told =
        |ordered: &&Classification| flight.on_demand.is_none() && **ordered == Classification::Other;
    let mut ordered = selection.classifications.iter().filter(|ordered| !is_told(ordered));
    if !ordered.all(|ordered| policy.classifications.contains(ordered)) {
        return Some((None, "a classification that its policy does not name"));
    }
    if selection.include != policy.include {
        return Some((None, "other packages included than its policy says"));
    }
    if selection.exclude != policy.exclude {
        return Some((None, "other packages excluded than its policy says"));
    }
    let pinned = policy.patches == PatchChoice::Certified
        && flight.round.is_some_and(|(phase, _)| phase >= policy.certify_phases);
    if !pinned {
        return None;
    }
    let Some(certified) = &selection.certified else {
        return Some((None, "any version, after the phases that prove"));
    };
    let wrong = uncertified(history, flight, certified)?;
    Some((wrong, "other versions than were certified"))
}

/// `None` if these are exactly the versions that were certified, at the order's moment or shortly before; else the
/// last event that certified any.
fn uncertified<'a>(
    history: &History<'a>,
    flight: &Flight<'a>,
    ordered: &'a [PackageVersion],
) -> Option<Option<&'a Record>> {
    let told = history.rollouts.get(&flight.order.rollout).map_or(&[][..], |rollout| &rollout.certified);
    let ordered: BTreeSet<&PackageVersion> = ordered.iter().collect();
    let until = told.partition_point(|(record, _)| record.at <= flight.placed.at);
    // An event of the very moment `LAG` ago may not have been known yet.
    let since = told.partition_point(|(record, _)| record.at < known_since(flight.placed.at));
    let mut certified: BTreeSet<&PackageVersion> = told[..since].iter().flat_map(|(_, more)| *more).collect();
    for (_, more) in &told[since..until] {
        if certified == ordered {
            return None;
        }
        certified.extend(*more);
    }
    (certified != ordered).then(|| told[..until].last().map(|(record, _)| *record))
}

fn not_barred(history: &History<'_>, flight: &Flight<'_>, findings: &mut Findings) {
    let Some(rollout) = history.rollouts.get(&flight.order.rollout) else { return };
    let since = known_since(flight.placed.at);
    let known = rollout.barred.partition_point(|(record, _)| record.at < since);
    if known == 0 {
        return findings.tested(S8);
    }
    let named: BTreeSet<&PackageVersion> = flight.order.selection.barred.iter().collect();
    let missing = rollout.barred[..known].iter().find(|(_, patch)| !named.contains(patch));
    let first = missing.map_or(flight.placed, |(barred, _)| barred);
    findings.test(S8, missing.is_none(), first, flight.placed, || {
        let patch = missing.map(|(_, patch)| patch.to_string()).unwrap_or_default();
        format!("VM {} is ordered without regard to {patch}, which was barred", flight.order.vm)
    });
}
