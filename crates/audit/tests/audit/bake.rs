//! Phases that bake under queries: what breaks S2, and what does not.

use crate::cases::{Case, each_breaks_only_of, each_holds};
use crate::story::{Story, id, monthly, policy};
use nightshift_audit::Rule;
use nightshift_domain::Event;
use nightshift_domain::policy::Query;

fn queries() -> Vec<Query> {
    let text = r#"[{"name": "errors", "promql": "x", "above": 1, "scope": "phase", "during": "bake"}]"#;
    serde_json::from_str(text).unwrap()
}

fn asked(story: &Story) -> Event {
    Event::BakeWatchRequested {
        rollout: monthly(),
        phase: 0,
        watch: 1,
        regions: vec![id("west")],
        queries: queries(),
        silence_seconds: 900,
        until: story.time("PhasePassed 0"),
    }
}

fn confirmed() -> Event {
    Event::BakeConfirmed { rollout: monthly(), phase: 0, watch: 1 }
}

/// Its first phase baked under a query; then the policy asked for none.
fn baked() -> Story {
    let mut story = Story::clean();
    story.edit("RolloutRequested monthly", |event| {
        let Event::RolloutRequested { policy, .. } = event else { unreachable!() };
        policy.queries = queries();
    });
    story.edit("RunStarted west", |event| {
        let Event::RunStarted { policy, .. } = event else { unreachable!() };
        policy.queries = queries();
    });
    let asked = asked(&story);
    story.insert_after("TurnEnded west", [asked]);
    story.insert_after("RunCompleted", [confirmed()]);
    let (rollout, actor) = (monthly(), crate::story::actor());
    story.insert_after("PhasePassed 0", [Event::PolicyChanged { rollout, policy: policy(), actor }]);
    story
}

#[test]
fn s2_is_broken() {
    each_breaks_only_of(
        baked,
        Rule::S2,
        &[
            Case {
                what: "nobody asked",
                spoil: |story| story.remove("BakeWatchRequested"),
                events: ("RolloutRequested monthly", "PhasePassed 0"),
            },
            Case {
                what: "nobody answered",
                spoil: |story| story.remove("BakeConfirmed"),
                events: ("BakeWatchRequested", "PhasePassed 0"),
            },
            Case {
                what: "it was ill",
                spoil: |story| {
                    story.edit("BakeConfirmed", |event| {
                        let query = nightshift_domain::SourceName::new("errors").unwrap();
                        let ailment = "2 is above 1".to_owned();
                        *event = Event::BakeFailed { rollout: monthly(), phase: 0, watch: 1, query, ailment };
                    });
                },
                events: ("BakeFailed", "PhasePassed 0"),
            },
            Case {
                what: "the answer was to another wish",
                spoil: |story| {
                    story.edit("BakeConfirmed", |event| {
                        let Event::BakeConfirmed { watch, .. } = event else { unreachable!() };
                        *watch = 2;
                    });
                },
                events: ("BakeWatchRequested", "PhasePassed 0"),
            },
        ],
    );
}

#[test]
fn s2_holds() {
    each_holds(&[("a phase that baked well under a query", |story| *story = baked())]);
}
