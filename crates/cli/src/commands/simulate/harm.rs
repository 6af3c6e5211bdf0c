//! `nightshift simulate --harm 1,5,20,100`: how far a bad patch gets before it is halted, by budgets alone and with an
//! analysis beside them.

use super::side_by_side;
use crate::arguments::Simulate;
use crate::output::{Format, print, table};
use nightshift_domain::analysis::Analysis;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, Time};
use nightshift_simulation::harm::{BlastRadius, blast_radius};
use serde::Serialize;

/// All histories of one harm under one policy.
#[derive(Serialize)]
struct Row {
    /// The share of the machines that the patch makes ill, in percent.
    harm: u32,
    policy: &'static str,
    vms: usize,
    histories: Vec<BlastRadius>,
}

pub(super) fn run(
    wanted: &Simulate,
    start: Time,
    fleet: &[Event],
    policy: &Policy,
    output: Format,
) -> anyhow::Result<()> {
    let vms = fleet.iter().filter(|event| matches!(event, Event::VmRegistered { .. })).count();
    let analysis = policy.analysis.or(Some(Analysis::default()));
    let policies = [
        ("budgets", Policy { analysis: None, ..policy.clone() }),
        ("budgets and analysis", Policy { analysis, ..policy.clone() }),
    ];
    let mut rows = Vec::new();
    for harm in &wanted.harm {
        for (name, policy) in &policies {
            let histories = side_by_side(wanted.seed..wanted.seed + wanted.seeds, vms, |seed| {
                Ok(blast_radius(seed, start, fleet.to_vec(), policy.clone(), *harm)?)
            })?;
            rows.push(Row { harm: *harm, policy: name, vms, histories });
        }
    }
    if output.is_for_programs() { output.print(&rows) } else { show(&rows) }
}

/// In Markdown, as it is in docs/safety.md.
fn show(rows: &[Row]) -> anyhow::Result<()> {
    let mut text = table(&[
        "harm",
        "policy",
        "halted",
        "VMs that got it: median, worst",
        "harmed: median, worst",
        "phase",
    ]);
    text.load_style(comfy_table::presets::ASCII_MARKDOWN);
    for Row { harm, policy, vms, histories } in rows {
        let share = |count: u32| format!("{count} ({:.1} %)", f64::from(count) * 100.0 / *vms as f64);
        let sorted = |of: fn(&BlastRadius) -> u32| {
            let mut counts: Vec<u32> = histories.iter().map(of).collect();
            counts.sort_unstable();
            let last = counts.last().copied().unwrap_or_default();
            (counts.get(counts.len() / 2).copied().unwrap_or_default(), last)
        };
        let ((patched, most), (harmed, worst)) = (sorted(|h| h.patched), sorted(|h| h.harmed));
        let (_, phase) = sorted(|history| history.phase);
        let phases = histories.first().map_or(0, |history| history.phases);
        let halted = histories.iter().filter(|history| history.halted).count();
        text.add_row([
            format!("{harm} %"),
            (*policy).to_owned(),
            format!("{halted} of {}", histories.len()),
            format!("{}, {}", share(patched), share(most)),
            format!("{}, {}", share(harmed), share(worst)),
            format!("{phase} of {phases}"),
        ]);
    }
    print(text)
}
