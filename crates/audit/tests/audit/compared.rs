//! The analysis: who is compared with whom, what is told of it, and a gate that passes against it.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, id, monthly};
use nightshift_audit::Rule;
use nightshift_domain::analysis::Analysis;
use nightshift_domain::patch::Blame;
use nightshift_domain::selection::PackageVersion;
use nightshift_domain::{Event, OrderId};

fn sample() -> OrderId {
    id("controls-1")
}

fn requested(vm: &str) -> Event {
    Event::ControlsRequested { rollout: monthly(), sample: sample(), vms: vec![id(vm)] }
}

fn judged(ill: u32, well: u32) -> Event {
    Event::ControlsJudged { rollout: monthly(), sample: sample(), ill, well }
}

/// While a1 is at work, a2 is watched beside it, and is well.
fn compare(story: &mut Story, ill: u32, well: u32) {
    let confirmed = Event::HealthConfirmed { vm: id("a2"), order: sample() };
    story.insert_after("OrderPlaced a1", [requested("a2"), confirmed, judged(ill, well)]);
}

/// The same, and a1 falls ill, which is more than the policy takes for chance.
fn harm(story: &mut Story) {
    compare(story, 0, 1);
    story.fails("a1");
    story.edit("VmSettled a1", |event| {
        let Event::VmSettled { blamed, .. } = event else { unreachable!() };
        let patch = PackageVersion { name: "openssl".into(), version: "3.0.2".into() };
        *blamed = vec![Blame { patch, direct: false }];
    });
    story.policy(|policy| {
        policy.budgets = nightshift_domain::policy::Budgets::all(100, 0);
        policy.analysis = Some(Analysis { percent: 95, failures: 1, ..Analysis::default() });
    });
}

#[test]
fn s7_is_broken() {
    each_breaks_only(
        Rule::S7,
        &[
            Case {
                what: "a control is said to be ill, and was told to be well",
                spoil: |story| compare(story, 1, 0),
                events: ("ControlsRequested", "ControlsJudged"),
            },
            Case {
                what: "more controls are said to be well than were",
                spoil: |story| compare(story, 0, 2),
                events: ("ControlsRequested", "ControlsJudged"),
            },
            Case {
                what: "a VM that has the patch is compared as one that has not",
                spoil: |story| story.insert_after("OrderPlaced a2", [requested("a1")]),
                events: ("OrderPlaced a1", "ControlsRequested"),
            },
        ],
    );
}

#[test]
fn s2_is_broken() {
    each_breaks_only(
        Rule::S2,
        &[Case {
            what: "a phase passes though its patch does harm",
            spoil: harm,
            events: ("VmSettled a2", "PhasePassed 0"),
        }],
    );
}

#[test]
fn s7_and_s2_hold() {
    each_holds(&[
        ("a control that is well", |story| compare(story, 0, 1)),
        ("a control whose own turn came, and that is in neither number", |story| compare(story, 0, 0)),
        ("harm, and the policy asks for no analysis", |story| {
            harm(story);
            story.policy(|policy| policy.analysis = None);
        }),
        ("harm that the policy takes for chance", |story| {
            harm(story);
            story.policy(|policy| {
                policy.analysis = Some(Analysis { percent: 80, failures: 1, ..Analysis::default() });
            });
        }),
    ]);
}
