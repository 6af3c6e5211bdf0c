//! A rollout as it goes on: the live view on a terminal, lines in a pipe, one document for each change where a program
//! reads; and bars for the demo, whose result comes after them.

mod bars;
mod changes;
mod feed;
mod screen;

pub(crate) use bars::Bars;

use crate::arguments::Servers;
use crate::output::{Format, print, remark};
use crate::{exit, summary};
use changes::Changes;
use feed::{Feed, Update};
use nightshift_protocol::api::v1 as api;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

/// How long a console may be away before a script is told that it does not answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Follows a rollout until it ends, or until whoever looks at the live view has seen enough; ends with its outcome's code.
pub(crate) async fn run(
    servers: &Servers,
    rollout: String,
    plain: bool,
    output: Format,
) -> anyhow::Result<ExitCode> {
    let last = if output.is_for_programs() {
        items(servers, rollout, output).await?
    } else if plain || !is_screen() {
        let last = lines(servers, rollout, &mut |line| print(line)).await?;
        print(summary::text(&last))?;
        last
    } else {
        let last = screen::run(servers, rollout).await?;
        print(summary::text(&last))?;
        last
    };
    Ok(outcome(last.state()))
}

/// The exit code for how a rollout ended; one that goes on is nobody's fault.
fn outcome(state: api::RolloutState) -> ExitCode {
    match state {
        api::RolloutState::Halted => ExitCode::from(exit::HALTED),
        api::RolloutState::Cancelled | api::RolloutState::Expired => ExitCode::from(exit::ENDED),
        _ => exit::DONE,
    }
}

/// Whether there is a terminal on both sides that can move its cursor.
fn is_screen() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb
}

/// A document for each change.
async fn items(servers: &Servers, rollout: String, output: Format) -> anyhow::Result<api::RolloutView> {
    let mut feed = Feed::open(servers, rollout, Some(PATIENCE)).await?;
    let mut told: Option<api::RolloutView> = None;
    loop {
        let now = match feed.next().await? {
            Update::Now(now) => *now,
            Update::Lost { why } => {
                remark(format_args!("{why}; trying again"));
                continue;
            }
        };
        // Only the clock went on: nothing changed.
        let timeless = api::RolloutView { as_of: None, ..now.clone() };
        if told.as_ref() != Some(&timeless) {
            output.print_item(&now)?;
            told = Some(timeless);
        }
        if summary::has_ended(&now) {
            return Ok(now);
        }
    }
}

/// A line for each change of a phase, a stage or a machine that did not end healthy.
pub(crate) async fn lines(
    servers: &Servers,
    rollout: String,
    say: &mut dyn FnMut(String) -> anyhow::Result<()>,
) -> anyhow::Result<api::RolloutView> {
    let mut feed = Feed::open(servers, rollout, Some(PATIENCE)).await?;
    let mut changes = Changes::default();
    loop {
        match feed.next().await? {
            Update::Now(now) => {
                changes.of(&now).into_iter().try_for_each(|change| say(change.to_string()))?;
                if summary::has_ended(&now) {
                    return Ok(*now);
                }
            }
            Update::Lost { why } => say(format!("{why}; trying again"))?,
        }
    }
}
