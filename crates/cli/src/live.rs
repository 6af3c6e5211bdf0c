//! A rollout as it goes on: bars on a terminal, lines in a pipe, nothing where a program reads.

use crate::arguments::Servers;
use crate::{clients, summary};
use anyhow::Context as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nightshift_protocol::api::v1 as api;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;

/// How it is shown; on standard error, so that standard output is the result alone.
pub(crate) enum Live {
    /// One bar for each region.
    Bars { all: MultiProgress, bars: BTreeMap<String, ProgressBar>, clock: Option<ProgressBar> },
    /// One line for each change of a phase or region.
    Lines { said: BTreeMap<String, String> },
    /// Not at all.
    Quiet,
}

impl Live {
    /// What fits where the output goes.
    pub(crate) fn for_output(json: bool) -> Self {
        if json {
            Live::Quiet
        } else if std::io::stderr().is_terminal() {
            Live::Bars { all: MultiProgress::new(), bars: BTreeMap::new(), clock: None }
        } else {
            Live::Lines { said: BTreeMap::new() }
        }
    }

    fn show(&mut self, rollout: &api::RolloutView) {
        match self {
            Live::Quiet => {}
            Live::Lines { said } => say_changes(said, rollout),
            Live::Bars { all, bars, clock } => {
                let clock = clock.get_or_insert_with(|| {
                    let line = all.add(ProgressBar::no_length());
                    line.set_style(style("{msg}"));
                    line
                });
                let at = rollout.as_of.map(time).unwrap_or_default();
                clock.set_message(format!(
                    "{at}  rollout {}: {}",
                    rollout.rollout,
                    summary::state(rollout.state())
                ));
                for phase in &rollout.phases {
                    for region in &phase.regions {
                        let bar = bars.entry(region.region.clone()).or_insert_with(|| {
                            let bar = all.add(ProgressBar::new(0));
                            bar.set_style(style("{prefix} [{bar:30}] {pos:>3}/{len:<3} {msg}"));
                            bar
                        });
                        show_region(bar, phase, region);
                    }
                }
            }
        }
    }

    fn finish(&self) {
        if let Live::Bars { bars, clock, .. } = self {
            bars.values().chain(clock).for_each(ProgressBar::abandon);
        }
    }
}

/// Follows a rollout to its end and returns it as it was then.
pub(crate) async fn watch(
    servers: &Servers,
    rollout: String,
    live: &mut Live,
) -> anyhow::Result<api::RolloutView> {
    let mut console = clients::console(servers).await?;
    let mut states =
        console.watch_rollout(api::WatchRolloutRequest { rollout, ..Default::default() }).await?.into_inner();
    let mut last = None;
    while let Some(state) = states.message().await? {
        let rollout = state.rollout.context("the console sent no rollout")?;
        live.show(&rollout);
        last = Some(rollout);
    }
    live.finish();
    last.context("the console ended the watch before it began")
}

fn show_region(bar: &ProgressBar, phase: &api::PhaseView, region: &api::RegionView) {
    let tally = region.tally.unwrap_or_default();
    bar.set_prefix(format!("phase {} {:<16}", phase.number, region.region));
    bar.set_length(u64::from(region.vms));
    bar.set_position(u64::from(tally.healthy + tally.failed + tally.skipped + tally.deferred));
    bar.set_message(counts(phase, region));
}

fn counts(phase: &api::PhaseView, region: &api::RegionView) -> String {
    let tally = region.tally.unwrap_or_default();
    let mut parts = Vec::new();
    let counted = [
        (region.in_flight, "in flight"),
        (region.soaking, "soaking"),
        (tally.healthy, "healthy"),
        (tally.failed, "FAILED"),
        (tally.skipped, "skipped"),
        (tally.deferred, "deferred"),
    ];
    parts.extend(
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
    );
    if !region.stage.is_empty() {
        parts.push(region.stage.clone());
    } else if parts.is_empty() || phase.state() == api::PhaseState::Baking {
        parts.push(summary::phase_state(phase.state()).to_owned());
    }
    if let Some(exception) = region.exceptions.last() {
        parts.push(format!("({}: {})", exception.vm, exception.why));
    }
    parts.join(", ")
}

fn say_changes(said: &mut BTreeMap<String, String>, rollout: &api::RolloutView) {
    let at = rollout.as_of.map(time).unwrap_or_default();
    let mut say = |about: String, state: String| {
        if said.get(&about) != Some(&state) {
            eprintln!("{at}  {about}: {state}");
            said.insert(about, state);
        }
    };
    for phase in &rollout.phases {
        say(format!("phase {}", phase.number), summary::phase_state(phase.state()).to_owned());
        for region in phase.regions.iter().filter(|region| !region.stage.is_empty()) {
            say(format!("{} stage", region.region), region.stage.clone());
            region.exceptions.iter().for_each(|exception| {
                let progress = crate::commands::vm::progress(exception.progress());
                say(format!("{} {}", region.region, exception.vm), format!("{progress}: {}", exception.why));
            });
        }
    }
    say("rollout".to_owned(), format!("{} {}", summary::state(rollout.state()), rollout.why));
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn time(at: pbjson_types::Timestamp) -> String {
    let moment = chrono::DateTime::from_timestamp(at.seconds, 0);
    moment.map(|moment| moment.format("%a %F %H:%M").to_string()).unwrap_or_default()
}
