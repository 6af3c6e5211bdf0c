//! The safety rules of Nightshift (DESIGN.md, S1 to S10), proved or refuted from a log alone.
//!
//! [`audit`] takes the events of a log and nothing else, and names, for every rule that was broken, the two events
//! that collide. It shares no decision code with the minds: it knows their words (events, identifiers, structs),
//! and has its own window arithmetic, its own list of images and its own budgets. A mistake in a mind is therefore
//! not repeated here.
//!
//! What is order, and what is not: within a partition the position is; across partitions only the time at which an
//! event was decided (`at`, of one system's clock). Where two events of different partitions bear the same time,
//! nobody can say which was first, and the log has the benefit of the doubt. A coordinator may also act, in its region's
//! partition, by what the other two said up to [`LAG`] before.

mod allowance;
mod eligible;
pub mod file;
mod findings;
mod fleet;
mod flight;
mod history;
mod lag;
mod mask;
mod night;
mod report;
mod rollouts;
mod rules;
mod run;
mod timeline;

pub use lag::LAG;
pub use report::{EventRef, Report, Rule, RuleReport, Violation};

use nightshift_domain::{Event, Partition, Time};
use serde::{Deserialize, Serialize};

/// One event of a log, with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The partition it is in.
    pub partition: Partition,
    /// Its place in the partition; rises from event to event.
    pub position: u64,
    /// When its writer decided it.
    pub at: Time,
    /// What happened.
    pub event: Event,
}

/// Puts every rule to the test on a whole log.
///
/// The records of one partition come in the order of their positions; how the partitions are interleaved does not
/// matter.
pub fn audit(records: impl IntoIterator<Item = Record>) -> Report {
    let records: Vec<Record> = records.into_iter().collect();
    let history = history::History::of(&records);
    let mut findings = findings::Findings::default();
    rules::check_all(&history, &mut findings);
    findings.into_report(&records)
}
