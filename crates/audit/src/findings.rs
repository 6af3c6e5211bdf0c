//! What the rules found so far.

use crate::Record;
use crate::report::{EventRef, Report, Rule, RuleReport, Violation};
use nightshift_domain::Event;
use std::collections::BTreeMap;

/// Collects tests and collisions while the rules go over the history.
#[derive(Default)]
pub(crate) struct Findings {
    checked: BTreeMap<Rule, u64>,
    violations: Vec<Violation>,
}

impl Findings {
    /// Counts one test of a rule.
    pub fn tested(&mut self, rule: Rule) {
        *self.checked.entry(rule).or_default() += 1;
    }

    /// Notes that two events collide under a rule.
    pub fn collide(&mut self, rule: Rule, first: &Record, second: &Record, sentence: String) {
        self.violations.push(Violation { rule, sentence, first: first.into(), second: second.into() });
    }

    /// Counts one test of a rule, and the collision with `first` if what the rule asks for is not so.
    pub fn test(
        &mut self,
        rule: Rule,
        holds: bool,
        first: &Record,
        second: &Record,
        sentence: impl FnOnce() -> String,
    ) {
        self.tested(rule);
        if !holds {
            self.collide(rule, first, second, sentence());
        }
    }

    /// The report, in an order that the interleaving of the partitions has no part in.
    pub fn into_report(mut self, records: &[Record]) -> Report {
        let key = |e: &EventRef| (e.at, e.partition.clone(), e.position);
        self.violations.sort_by_cached_key(|v| (v.rule, key(&v.second), key(&v.first), v.sentence.clone()));
        let checked = |rule| self.checked.get(&rule).copied().unwrap_or_default();
        let orders = records.iter().filter(|r| matches!(r.event, Event::OrderPlaced { .. })).count();
        Report {
            events: records.len() as u64,
            orders: orders as u64,
            rules: Rule::ALL.map(|rule| RuleReport { rule, checked: checked(rule) }).into(),
            violations: self.violations,
        }
    }
}
