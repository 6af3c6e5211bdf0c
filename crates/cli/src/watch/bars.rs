//! The demo's rollout on standard error: a bar for each region on a terminal, lines in a pipe, nothing where a program reads.

use super::feed::{Feed, Update};
use crate::arguments::Servers;
use crate::output::{Format, remark};
use crate::{summary, times};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nightshift_protocol::api::v1 as api;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;

/// How it is shown; on standard error, so that standard output is the result alone.
pub(crate) enum Bars {
    /// One bar for each region.
    Shown { all: MultiProgress, bars: BTreeMap<String, ProgressBar>, clock: Option<ProgressBar> },
    /// One line for each change of a phase or region.
    Lines,
    /// Not at all.
    Quiet,
}

impl Bars {
    /// What fits where the output goes.
    pub(crate) fn for_output(output: Format) -> Self {
        if output.is_for_programs() {
            Bars::Quiet
        } else if std::io::stderr().is_terminal() {
            Bars::Shown { all: MultiProgress::new(), bars: BTreeMap::new(), clock: None }
        } else {
            Bars::Lines
        }
    }

    /// Follows a rollout to its end and returns it as it was then.
    pub(crate) async fn watch(
        &mut self,
        servers: &Servers,
        rollout: String,
    ) -> anyhow::Result<api::RolloutView> {
        match self {
            Bars::Lines => {
                let mut say = |line: String| {
                    remark(line);
                    Ok(())
                };
                super::lines(servers, rollout, &mut say).await
            }
            Bars::Shown { .. } | Bars::Quiet => {
                let mut feed = Feed::open(servers, rollout, Some(super::PATIENCE)).await?;
                loop {
                    if let Update::Now(now) = feed.next().await? {
                        self.show(&now);
                        if summary::has_ended(&now) {
                            self.finish();
                            return Ok(*now);
                        }
                    }
                }
            }
        }
    }

    fn show(&mut self, rollout: &api::RolloutView) {
        let Bars::Shown { all, bars, clock } = self else { return };
        let clock = clock.get_or_insert_with(|| {
            let line = all.add(ProgressBar::no_length());
            line.set_style(style("{msg}"));
            line
        });
        let at = times::night(rollout.as_of);
        clock.set_message(format!("{at}  rollout {}: {}", rollout.rollout, summary::state(rollout.state())));
        for phase in &rollout.phases {
            for region in &phase.regions {
                let bar = bars.entry(region.region.clone()).or_insert_with(|| {
                    let bar = all.add(ProgressBar::new(0));
                    bar.set_style(style("{prefix} [{bar:30}] {pos:>3}/{len:<3} {msg}"));
                    bar
                });
                bar.set_prefix(format!("phase {} {:<16}", phase.number, region.region));
                bar.set_length(u64::from(region.vms));
                bar.set_position(u64::from(summary::settled(region)));
                bar.set_message(summary::counts(phase, region));
            }
        }
    }

    fn finish(&self) {
        if let Bars::Shown { bars, clock, .. } = self {
            bars.values().chain(clock).for_each(ProgressBar::abandon);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
