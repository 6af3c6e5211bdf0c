//! One file for each group of commands.

pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod fleet;
pub(crate) mod rollout;
pub(crate) mod up;
pub(crate) mod vm;

use serde::Serialize;

/// Prints a value for programs.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table for people.
pub(crate) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().copied());
    table
}
