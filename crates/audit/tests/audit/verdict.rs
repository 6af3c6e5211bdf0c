//! The report as a whole.

use crate::story::Story;
use nightshift_audit::{Record, Rule, audit};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn the_clean_story_puts_every_rule_to_the_test_and_keeps_it() {
    let report = Story::clean().audit();
    assert!(report.holds(), "{report}");
    assert_eq!(report.orders, 10);
    assert_eq!(report.events, Story::clean().records().len() as u64);
    assert_eq!(report.rules.iter().map(|tested| tested.rule).collect::<Vec<_>>(), Rule::ALL);
    for tested in &report.rules {
        assert!(tested.checked > 0, "{} is never put to the test\n{report}", tested.rule);
    }
}

#[test]
fn whatever_was_clean_was_clean_before() {
    let mut story = Story::clean();
    while story.entries.pop().is_some() {
        assert!(story.audit().holds(), "{} entries\n{}", story.entries.len(), story.audit());
    }
}

#[test]
fn an_empty_log_proves_nothing() {
    let text = audit([]).to_string();
    assert_eq!(text.matches("never put to the test").count(), 10, "{text}");
}

#[test]
fn the_report_for_people_has_a_line_per_rule_and_then_the_violations() {
    let mut story = Story::clean();
    story.remove("WatchOpened a1");
    story.remove("HealthConfirmed a2");
    let text = story.audit().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("{} events, 10 orders", story.records().len()));
    for (rule, line) in Rule::ALL.iter().zip(&lines[1..]) {
        let verdict = if matches!(rule, Rule::S7 | Rule::S10) { "1 violation:" } else { "holds:" };
        assert!(line.starts_with(&format!("{rule:<4}checked ")) && line.contains(verdict), "{text}");
    }
    let tail = lines[11..].join("\n");
    assert!(
        tail.contains("\nS7 order monthly-a2 is settled as healthy, but no health was confirmed"),
        "{text}"
    );
    assert!(tail.contains("\n    first   region.west #"), "{text}");
    assert!(tail.trim_end().ends_with("OrderPlaced"), "{text}");
}

#[test]
fn the_report_for_programs_names_rule_place_and_type() {
    let mut story = Story::clean();
    story.remove("HealthConfirmed a2");
    let report = serde_json::to_value(story.audit()).unwrap();
    assert_eq!(report["rules"][0]["rule"], "S1");
    let violation = &report["violations"][0];
    assert_eq!(violation["rule"], "S7");
    assert_eq!(violation["first"]["type"], "OrderFinished");
    assert_eq!(violation["second"]["type"], "VmSettled");
    assert_eq!(violation["second"]["partition"], "region.west");
}

/// The same log, its partitions interleaved by the drawn numbers: each says which partition comes next.
pub fn interleaved(records: Vec<Record>, draws: &[usize]) -> Vec<Record> {
    let mut partitions = BTreeMap::<_, Vec<_>>::new();
    for record in records.into_iter().rev() {
        partitions.entry(record.partition.clone()).or_default().push(record);
    }
    let mut mixed = Vec::new();
    let mut draws = draws.iter().cycle();
    while !partitions.is_empty() {
        let draw = draws.next().map_or(0, |draw| draw % partitions.len());
        let name = partitions.keys().nth(draw).unwrap().clone();
        let rest = partitions.get_mut(&name).unwrap();
        mixed.extend(rest.pop());
        if rest.is_empty() {
            partitions.remove(&name);
        }
    }
    mixed
}

/// Changes of which some break a rule, some several.
const SPOILERS: [fn(&mut Story); 7] = [
    |_| {},
    |story| story.delay("VmSettled a2", 60 * 24),
    |story| story.remove("TurnGranted east"),
    |story| story.delay("OrderAccepted e2", 60 * 9),
    |story| story.remove("VmRegistered s0"),
    |story| story.remove("StepEnded two-domains/update domain 0"),
    |story| story.order("e1", |order| order.id = "monthly-a1".parse().unwrap()),
];

proptest! {
    #[test]
    fn the_interleaving_of_the_partitions_does_not_change_the_verdict(
        spoiled in prop::collection::vec(0..SPOILERS.len(), 0..3),
        draws in prop::collection::vec(0usize..4, 1..200),
    ) {
        let mut story = Story::clean();
        for index in spoiled.into_iter().collect::<std::collections::BTreeSet<_>>() {
            SPOILERS[index](&mut story);
        }
        let verdict = story.audit();
        let mixed = audit(interleaved(story.records(), &draws));
        prop_assert_eq!(&mixed, &verdict);
        prop_assert_eq!(mixed.to_string(), verdict.to_string());
    }
}
