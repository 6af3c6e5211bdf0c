//! One file for each group of commands.

pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod fleet;
pub(crate) mod forecast;
pub(crate) mod health;
mod install;
pub(crate) mod nats_users;
pub(crate) mod plan;
pub(crate) mod rhythm;
pub(crate) mod rollout;
pub(crate) mod simulate;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod vm;
pub(crate) mod webhook;

use serde::Serialize;
use std::fmt::Display;
use std::io::Write as _;

/// Prints a value for programs.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value)?)
}

/// A table for people.
pub(crate) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().copied());
    table
}

/// Prints a text and a line's end on standard output; an error, not a panic, if nobody reads any more.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
