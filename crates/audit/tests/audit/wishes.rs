//! What people may do to a halted rollout: retries and skipped regions, and what is no such thing.

use crate::cases::{Case, each_breaks_only, each_breaks_only_of, each_holds};
use crate::story::{Story, actor, id, monthly};
use nightshift_audit::Rule;
use nightshift_domain::Event;

fn skipped(name: &str) -> Event {
    Event::RegionSkipped { rollout: monthly(), region: id(name), actor: actor() }
}

fn retried(name: &str) -> Event {
    Event::RolloutRetried { rollout: monthly(), regions: vec![id(name)], actor: actor() }
}

fn cut() -> Event {
    Event::RunCut { rollout: monthly(), why: "it is tried again".into() }
}

#[test]
fn s10_is_broken() {
    each_breaks_only(
        Rule::S10,
        &[
            Case {
                what: "an order in a region that a person took out",
                spoil: |story| {
                    story.insert_after("TurnGranted east", [skipped("east")]);
                    story.cut_after("VmSettled e2");
                },
                events: ("RegionSkipped", "OrderPlaced e2"),
            },
            Case {
                what: "a round is cut short, and nobody had the failed tried again",
                spoil: |story| story.insert_before("RunCompleted", cut()),
                events: ("RunStarted west", "RunCut"),
            },
        ],
    );
    each_breaks_only_of(
        Story::catching_up,
        Rule::S10,
        &[Case {
            what: "a round that counts failures anew, and nobody asked for it",
            spoil: |story| {
                story.edit("RunStarted east 2", |event| {
                    let Event::RunStarted { retries, .. } = event else { unreachable!() };
                    *retries = 1;
                });
            },
            events: ("RunStarted east 2", "RunStarted east 2"),
        }],
    );
}

#[test]
fn s2_is_broken() {
    each_breaks_only(
        Rule::S2,
        &[
            Case {
                what: "a turn for a region that a person took out",
                spoil: |story| {
                    story.insert_before("TurnGranted east", skipped("east"));
                    story.cut_after("TurnGranted east");
                },
                events: ("RegionSkipped", "TurnGranted east"),
            },
            Case {
                what: "a phase passes while the failed of it are to be tried again",
                spoil: |story| story.insert_after("TurnEnded west", [retried("west")]),
                events: ("PhaseStarted 0", "PhasePassed 0"),
            },
            Case {
                what: "a phase passes that proved nothing but in a region that was taken out",
                spoil: |story| story.insert_after("TurnEnded west", [skipped("west")]),
                events: ("PhasePassed 0", "PhasePassed 0"),
            },
        ],
    );
}

#[test]
fn s10_and_s2_hold() {
    each_holds(&[
        ("a region that was taken out when it was done", |story| {
            story.insert_after("PhasePassed 1", [skipped("east")]);
        }),
        ("ordered so soon after the region was taken out that nobody may have known", |story| {
            story.insert_after("TurnGranted east", [skipped("east")]);
            let lately = story.time("OrderPlaced e2") - nightshift_audit::LAG - story.time("RegionSkipped");
            story.delay_by("RegionSkipped", lately);
            // The phase proved nothing without it: a person has it pass.
            let why = "nobody was confirmed healthy".to_owned();
            let tally = Default::default();
            let failed = Event::PhaseFailed { rollout: monthly(), phase: 1, tally, why };
            let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
            story.insert_after("TurnEnded east", [failed, resumed]);
        }),
    ]);
}
