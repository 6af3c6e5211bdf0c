//! What an audit says.

use crate::Record;
use nightshift_domain::{Partition, Time};
use serde::Serialize;
use std::fmt::{self, Write as _};

/// A safety rule of DESIGN.md, section "The rules that nothing may break".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[allow(missing_docs, reason = "`Rule::says` is what each of them says")]
pub enum Rule {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
}

impl Rule {
    /// All rules, in order.
    pub const ALL: [Rule; 10] =
        [Rule::S1, Rule::S2, Rule::S3, Rule::S4, Rule::S5, Rule::S6, Rule::S7, Rule::S8, Rule::S9, Rule::S10];

    /// The rule in a sentence, for people (DESIGN.md).
    pub fn says(self) -> &'static str {
        match self {
            Rule::S1 => "no two geo-paired regions are in flight, or hold turns, at the same time",
            Rule::S2 => "no phase starts before the one before it has ended, baked and passed its gate",
            Rule::S3 => "no two zones of a region are in flight at the same time",
            Rule::S4 => {
                "no two update domains of an availability set are in flight at once, never the whole set"
            }
            Rule::S5 => {
                "of a subscription's other VMs in a region never more than the share, never all of them"
            }
            Rule::S6 => {
                "nothing starts outside the VM's own off-peak window, or without room to end inside it"
            }
            Rule::S7 => "a step starts only after the one before it is health-confirmed within its budget",
            Rule::S8 => "only Critical and Security patches, only on VMs that are eligible and enabled",
            Rule::S9 => {
                "each order is placed, executed and settled at most once, and not after its last moment"
            }
            Rule::S10 => "a VM that was ill or silent is not ordered, and a run on hold places no order",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Rule::S1 => "S1",
            Rule::S2 => "S2",
            Rule::S3 => "S3",
            Rule::S4 => "S4",
            Rule::S5 => "S5",
            Rule::S6 => "S6",
            Rule::S7 => "S7",
            Rule::S8 => "S8",
            Rule::S9 => "S9",
            Rule::S10 => "S10",
        })
    }
}

/// Where an event is, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EventRef {
    /// The partition it is in.
    pub partition: Partition,
    /// Its place in the partition.
    pub position: u64,
    /// When its writer decided it.
    pub at: Time,
    /// The name of its kind, for example `OrderPlaced`.
    #[serde(rename = "type")]
    pub event_type: String,
}

impl From<&Record> for EventRef {
    fn from(record: &Record) -> Self {
        let Record { partition, position, at, event } = record;
        // The name of a variant is the first word of its `Debug` text. The sink refuses everything after it, so that
        // no more of the event is formatted; that the writing ends in an error is therefore what is wanted.
        let mut name = FirstWord(String::new());
        let _ = write!(name, "{event:?}");
        Self { partition: partition.clone(), position: *position, at: *at, event_type: name.0 }
    }
}

struct FirstWord(String);

impl fmt::Write for FirstWord {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let word = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
        self.0.push_str(&text[..word]);
        if word < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, position, at, event_type } = self;
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        write!(f, "{partition} #{position} {at} {event_type}")
    }
}

/// Two events that cannot both be under a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What is wrong, for people.
    pub sentence: String,
    /// The event that the second one collides with. Where something is missing from the log: the event that made it
    /// due, or, if there is none, the second event itself.
    pub first: EventRef,
    /// The event that should not have been.
    pub second: EventRef,
}

/// How a rule was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// The rule.
    pub rule: Rule,
    /// How many times it was put to the test. A rule that was never tested was not proved either.
    pub checked: u64,
}

/// The outcome of an audit. Its `Display` is the report for people: a line per rule, then the violations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many events the log holds.
    pub events: u64,
    /// How many orders were placed.
    pub orders: u64,
    /// Every rule, in order.
    pub rules: Vec<RuleReport>,
    /// Everything that was broken, by rule and then by time.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether no rule was broken.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// The violations of one rule.
    pub fn of(&self, rule: Rule) -> impl Iterator<Item = &Violation> {
        self.violations.iter().filter(move |violation| violation.rule == rule)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", counted(self.events, "event"), counted(self.orders, "order"))?;
        for RuleReport { rule, checked } in &self.rules {
            let verdict = match (self.of(*rule).count() as u64, *checked) {
                (0, 0) => "never put to the test".to_owned(),
                (0, _) => format!("checked {}, holds", counted(*checked, "time")),
                (broken, _) => {
                    format!("checked {}, {}", counted(*checked, "time"), counted(broken, "violation"))
                }
            };
            writeln!(f, "{rule:<4}{verdict}: {}", rule.says())?;
        }
        for Violation { rule, sentence, first, second } in &self.violations {
            writeln!(f, "\n{rule} {sentence}\n    first   {first}\n    second  {second}")?;
        }
        Ok(())
    }
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
