//! Answers on standard output: tables and sentences for people, JSON and YAML for programs.

use crate::color::Tone;
use comfy_table::{Attribute, Cell, Color, Table};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write as _;

/// `--output`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables and sentences, for people.
    #[default]
    Table,
    /// JSON, as protobuf maps it.
    Json,
    /// The same in YAML.
    Yaml,
}

impl Format {
    /// Whether the answer is for a program.
    pub(crate) fn is_for_programs(self) -> bool {
        self != Format::Table
    }

    /// Prints an answer that is one whole. People are shown JSON where a command has no words of its own.
    pub(crate) fn print(self, value: &impl Serialize) -> anyhow::Result<()> {
        match self {
            Format::Table | Format::Json => write(&serde_json::to_string_pretty(value)?),
            Format::Yaml => write(yaml(value)?.trim_end()),
        }
    }

    /// Prints one item of an answer that comes bit by bit: a line of JSON, or a YAML document.
    pub(crate) fn print_item(self, value: &impl Serialize) -> anyhow::Result<()> {
        match self {
            Format::Table | Format::Json => write(&serde_json::to_string(value)?),
            Format::Yaml => write(&format!("---\n{}", yaml(value)?.trim_end())),
        }
    }

    /// Prints an answer: the value for programs, the text for people.
    pub(crate) fn answer(self, value: &impl Serialize, text: impl Display) -> anyhow::Result<()> {
        if self.is_for_programs() { self.print(value) } else { print(text) }
    }
}

/// By way of JSON, so that both say exactly the same.
fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(&serde_json::to_value(value)?)?)
}

/// What programs read has no paint on it: nothing is taken off, whatever it holds.
fn write(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Prints a text and a line's end on standard output; an error, not a panic, if nobody reads any more.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(anstream::stdout(), "{text}")?)
}

/// Says something on standard error, beside the answer.
pub(crate) fn remark(text: impl Display) {
    // If nobody reads what is said beside the answer, the answer still counts.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A table for people.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    // Painted always: see `color`.
    table.enforce_styling();
    let head = |name: &&str| Cell::new(name).add_attribute(Attribute::Bold);
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().map(head));
    table
}

/// A table's cell in the colour of its tone.
pub(crate) fn toned(tone: Option<Tone>, text: impl ToString) -> Cell {
    let cell = Cell::new(text);
    match tone {
        None => cell,
        Some(Tone::Good) => cell.fg(Color::Green),
        Some(Tone::Warn) => cell.fg(Color::Yellow),
        Some(Tone::Bad) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Some(Tone::Head) => cell.add_attribute(Attribute::Bold),
        Some(Tone::Dim) => cell.add_attribute(Attribute::Dim),
    }
}
