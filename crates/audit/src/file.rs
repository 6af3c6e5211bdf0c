//! A log as a file: one event a line, each a JSON document.
//!
//! ```text
//! {"partition":"region.west","position":7,"at":"2026-01-09T21:00:00Z","event":{"RunHeld":{…}}}
//! ```
//!
//! `event` is the domain's event as serde writes it. The partitions may be interleaved in any way; within a partition
//! the positions rise.

use crate::Record;
use nightshift_domain::Partition;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

/// What is wrong with a file, and in which line (from 1).
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read.
    #[error("line {line}: it cannot be read: {error}")]
    Unreadable {
        /// The line.
        line: u64,
        /// Why.
        error: io::Error,
    },
    /// A line is no event of a log.
    #[error("line {line}: {why}")]
    NotAnEvent {
        /// The line.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// An event comes twice, or not in the order of its partition.
    #[error("line {line}: position {position} of partition {partition} comes after position {before}")]
    OutOfOrder {
        /// The line.
        line: u64,
        /// The partition.
        partition: Partition,
        /// The event's position.
        position: u64,
        /// The position of the event before it in its partition.
        before: u64,
    },
}

/// Writes one event, with the end of its line.
///
/// # Errors
/// If the writer fails.
pub fn write_line(writer: &mut impl Write, record: &Record) -> io::Result<()> {
    let line = serde_json::to_string(record)?;
    writeln!(writer, "{line}")
}

/// Reads a whole log. Empty lines are passed over.
///
/// # Errors
/// The first line that cannot be read, is no event or is out of order.
pub fn read(reader: impl BufRead) -> Result<Vec<Record>, FileError> {
    let mut records = Vec::new();
    let mut last = BTreeMap::<Partition, u64>::new();
    for (line, text) in (1..).zip(reader.lines()) {
        let text = text.map_err(|error| FileError::Unreadable { line, error })?;
        if text.trim().is_empty() {
            continue;
        }
        let record: Record = serde_json::from_str(&text)
            .map_err(|error| FileError::NotAnEvent { line, why: explain(&text, &error) })?;
        let (partition, position) = (record.partition.clone(), record.position);
        if let Some(before) = last.insert(partition.clone(), position).filter(|before| *before >= position) {
            return Err(FileError::OutOfOrder { line, partition, position, before });
        }
        records.push(record);
    }
    Ok(records)
}

fn explain(text: &str, error: &serde_json::Error) -> String {
    let document = serde_json::from_str::<serde_json::Value>(text);
    match document {
        Ok(document) if document.get("specversion").is_some() => {
            "a CloudEvents document; an audit needs partition, position, at and event in each line".to_owned()
        }
        Ok(_) => format!("no event of a log: {}", without_line(error)),
        Err(_) => format!("no JSON document: {}", without_line(error)),
    }
}

/// The parser sees one line and would call it line 1.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} (column {})", error.column()),
        None => text,
    }
}
