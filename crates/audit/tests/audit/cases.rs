//! A table of logs that break a rule, and how it is put to the test.

use crate::labels::label_at;
use crate::story::Story;
use nightshift_audit::Rule;

/// What is changed in the clean story.
pub type Change = fn(&mut Story);

/// A log that breaks one rule and no other.
pub struct Case {
    /// What is wrong, for people.
    pub what: &'static str,
    /// What makes it so out of the clean story.
    pub spoil: Change,
    /// The labels of the two events that collide.
    pub events: (&'static str, &'static str),
}

/// Every case breaks this rule, and only this one, with the two events that it names.
pub fn each_breaks_only(rule: Rule, cases: &[Case]) {
    each_breaks_only_of(Story::clean, rule, cases);
}

/// The same, for what is changed in another good story.
pub fn each_breaks_only_of(good: fn() -> Story, rule: Rule, cases: &[Case]) {
    assert!(good().audit().holds(), "{}", good().audit());
    for Case { what, spoil, events: (first, second) } in cases {
        let mut story = good();
        spoil(&mut story);
        let (records, report) = (story.records(), story.audit());
        let found: Vec<_> = report
            .violations
            .iter()
            .map(|v| (v.rule, label_at(&records, &v.first), label_at(&records, &v.second)))
            .collect();
        assert!(found.iter().all(|(broken, ..)| *broken == rule), "{what}: only {rule} is broken\n{report}");
        let named = (rule, (*first).to_owned(), (*second).to_owned());
        assert!(found.contains(&named), "{what}: {first} collides with {second}\n{report}");
        assert!(report.violations.iter().all(|v| !v.sentence.is_empty()));
    }
}

/// Every change leaves the story clean.
pub fn each_holds(cases: &[(&str, Change)]) {
    for (what, change) in cases {
        let mut story = Story::clean();
        change(&mut story);
        let report = story.audit();
        assert!(report.holds(), "{what}\n{report}");
    }
}
