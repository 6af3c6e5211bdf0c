//! Later rounds: they keep every rule that first turns keep, and some of their own.

use crate::cases::{Case, each_breaks_only_of};
use crate::story::{Story, id, vm};
use nightshift_audit::Rule;
use nightshift_domain::Event;
use nightshift_domain::fleet::Placement;
use nightshift_domain::layout::Member;
use nightshift_domain::policy::Budgets;

/// The catch-up becomes another round, in another phase.
fn renumber(story: &mut Story, to: u32, in_phase: u32) {
    for (.., event) in &mut story.entries {
        if let Event::TurnGranted { round, phase, .. }
        | Event::TurnEnded { round, phase, .. }
        | Event::RunStarted { round, phase, .. } = event
            && *round == 2
        {
            (*round, *phase) = (to, in_phase);
        }
        if let Event::RunCompleted { round, .. } = event
            && *round == 2
        {
            *round = to;
        }
    }
}

/// The catch-up enlists one more.
fn enlist(story: &mut Story, name: &str) {
    let Event::RunEnlisted { members, .. } = story.copy("RunEnlisted e2") else { unreachable!() };
    let one_more = Member { vm: id(name), ..members[0].clone() };
    story.edit("RunEnlisted e2", |event| {
        let Event::RunEnlisted { members, .. } = event else { unreachable!() };
        members.push(one_more);
    });
}

#[test]
fn s1_is_broken_by_a_catch_up() {
    each_breaks_only_of(
        Story::catching_up,
        Rule::S1,
        &[
            Case {
                what: "it is granted while the pair holds its first turn",
                spoil: |story| story.move_before("TurnGranted east 2", "TurnEnded west"),
                events: ("TurnGranted west", "TurnGranted east 2"),
            },
            Case {
                what: "a VM of the pair is in flight",
                spoil: |story| {
                    story.delay("VmSettled w1", 90);
                    story.delay("TurnEnded west", 90);
                    story.policy(|policy| policy.bake = chrono::Duration::hours(1));
                },
                events: ("OrderPlaced w1", "OrderPlaced e2"),
            },
            Case {
                what: "nobody granted it",
                spoil: |story| story.remove("TurnGranted east 2"),
                events: ("TurnEnded east", "RunStarted east 2"),
            },
            Case {
                what: "its turn ends before its run is completed",
                spoil: |story| {
                    let early = story.time("VmSettled e2") - story.time("TurnEnded east 2");
                    story.delay_by("TurnEnded east 2", early);
                    story.delay("StepEnded batch 1", 0);
                    let late = story
                        .entries
                        .iter_mut()
                        .rev()
                        .find(|(.., event)| matches!(event, Event::RunCompleted { .. }));
                    late.unwrap().1 += chrono::Duration::minutes(1);
                },
                events: ("RunCompleted", "TurnEnded east 2"),
            },
        ],
    );
}

#[test]
fn s2_is_broken_by_a_catch_up() {
    each_breaks_only_of(
        Story::catching_up,
        Rule::S2,
        &[
            Case {
                what: "a round is left out",
                spoil: |story| renumber(story, 3, 0),
                events: ("TurnEnded east", "TurnGranted east 3"),
            },
            Case {
                what: "it is in a phase that the region is not in",
                spoil: |story| renumber(story, 2, 1),
                events: ("RolloutPlanned monthly", "TurnGranted east 2"),
            },
            Case {
                what: "it is about a VM that was patched already",
                spoil: |story| enlist(story, "e1"),
                events: ("VmSettled e1", "RunEnlisted e2"),
            },
            Case {
                what: "it is about a VM that was in no round before",
                spoil: |story| {
                    let late = vm("late", "east", Placement::Standalone);
                    story.insert_after("VmRegistered w1", [Event::VmRegistered { vm: late }]);
                    enlist(story, "late");
                },
                events: ("RunStarted east 2", "RunEnlisted e2"),
            },
            Case {
                what: "it is about a VM that was skipped",
                spoil: |story| {
                    story.edit("VmDeferred e2", |event| {
                        let Event::VmDeferred { rollout, vm, why } = event.clone() else { unreachable!() };
                        *event = Event::VmSkipped { rollout, vm, why };
                    });
                },
                events: ("VmSkipped e2", "RunEnlisted e2"),
            },
            Case {
                what: "it is granted while the region holds its turn",
                spoil: |story| {
                    story.remove("TurnEnded east 2");
                    let again = story.copy("TurnGranted east 2");
                    story.insert_before("PhasePassed 1", again);
                    renumber_last_grant(story);
                },
                events: ("TurnGranted east 2", "TurnGranted east 3"),
            },
            Case {
                what: "the first turn confirmed nobody healthy, and the phase passes",
                spoil: |story| {
                    story.policy(|policy| policy.budgets = Budgets::all(100, 0));
                    story.fails("e1");
                },
                events: ("TurnEnded east", "PhasePassed 0"),
            },
        ],
    );
}

fn renumber_last_grant(story: &mut Story) {
    let last = story.entries.iter_mut().rev().find_map(|(.., event)| match event {
        Event::TurnGranted { round, .. } => Some(round),
        _ => None,
    });
    *last.unwrap() = 3;
}

#[test]
fn s7_and_s10_are_broken_by_a_catch_up() {
    each_breaks_only_of(
        Story::catching_up,
        Rule::S7,
        &[Case {
            what: "its VM is in a step of the first round only",
            spoil: |story| {
                let last = story.entries.iter().rposition(|(.., e)| matches!(e, Event::StepStarted { .. }));
                story.entries.remove(last.unwrap());
                story.remove_last("StepEnded batch 1");
            },
            events: ("RunStarted east 2", "OrderPlaced e2"),
        }],
    );
    each_breaks_only_of(
        Story::catching_up,
        Rule::S10,
        &[Case {
            what: "nobody looked at its VM in this round",
            spoil: |story| story.remove_last("WatchOpened e2"),
            events: ("RunStarted east 2", "OrderPlaced e2"),
        }],
    );
}
