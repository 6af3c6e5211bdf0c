//! S1 and S2: regions, turns and phases.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, actor, id, monthly, phase, policy, tally, topology};
use nightshift_audit::Rule;
use nightshift_domain::policy::{Budget, Budgets};
use nightshift_domain::{Event, RegionName, RolloutId};

/// Another rollout, which grants `region` a turn while west holds its own, and orders nothing.
fn other_turn(story: &mut Story, name: &str) {
    let (rollout, region) = (|| id("other"), || -> RegionName { id(name) });
    story.insert_after(
        "TurnGranted west",
        [
            Event::RolloutRequested { rollout: rollout(), policy: policy(), actor: actor(), on_demand: None },
            Event::RolloutPlanned { rollout: rollout(), phases: vec![phase(&[name])] },
            Event::PhaseStarted { rollout: rollout(), phase: 0 },
            Event::TurnGranted { rollout: rollout(), phase: 0, region: region(), round: 1 },
            ended(rollout(), 0, name, 1),
        ],
    );
}

fn ended(rollout: RolloutId, phase: u32, name: &str, round: u32) -> Event {
    let (tally, patches) = (tally(0, 0), Vec::new());
    Event::TurnEnded { rollout, phase, region: id(name), round, tally, patches }
}

fn declare(story: &mut Story, pairs: &[(&str, &str)]) {
    let declared = topology(pairs);
    story.edit("TopologyDeclared", |event| *event = Event::TopologyDeclared { topology: declared });
}

/// VM a2 of west is settled only when e1 of east is in flight.
fn overlap(story: &mut Story) {
    story.delay("VmSettled a2", 60 * 24);
    story.delay("TurnEnded west", 60 * 24);
    // So that the phase has baked all the same.
    story.policy(|policy| policy.bake = chrono::Duration::hours(-24));
}

#[test]
fn s1_is_broken() {
    each_breaks_only(
        Rule::S1,
        &[
            Case {
                what: "a VM is still in flight when the pair's first is ordered",
                spoil: overlap,
                events: ("OrderPlaced a2", "OrderPlaced e1"),
            },
            Case {
                what: "the same, where the other of the two names the pair",
                spoil: |story| {
                    overlap(story);
                    declare(story, &[("east", "west")]);
                },
                events: ("OrderPlaced a2", "OrderPlaced e1"),
            },
            Case {
                what: "a VM that is never settled is in flight for ever",
                spoil: |story| {
                    story.remove("VmSettled a2");
                    story.remove("StepEnded batch 2");
                    story.remove("RunCompleted");
                },
                events: ("OrderPlaced a2", "OrderPlaced e1"),
            },
            Case {
                what: "two regions become a pair while both are in flight",
                spoil: |story| {
                    overlap(story);
                    declare(story, &[]);
                    let paired = Event::TopologyDeclared { topology: topology(&[("west", "east")]) };
                    story.tell_fleet_at("OrderAccepted e1", paired);
                },
                events: ("OrderPlaced a2", "OrderPlaced e1"),
            },
            Case {
                what: "a VM that is never settled, when its turn ends",
                spoil: |story| {
                    story.remove("VmSettled a2");
                    story.remove("StepEnded batch 2");
                    story.remove("RunCompleted");
                    story.cut_after("TurnEnded west");
                },
                events: ("OrderPlaced a2", "TurnEnded west"),
            },
            Case {
                what: "an order without a turn",
                spoil: |story| story.remove("TurnGranted east"),
                events: ("RunStarted east", "OrderPlaced e1"),
            },
            Case {
                what: "an order after the turn",
                spoil: |story| story.delay("TurnEnded east", -15),
                events: ("TurnEnded east", "OrderPlaced e2"),
            },
            Case {
                what: "a VM that is in flight when its turn ends",
                spoil: |story| story.delay("VmSettled a2", 60),
                events: ("OrderPlaced a2", "TurnEnded west"),
            },
            Case {
                what: "the pair is granted a turn by another rollout",
                spoil: |story| other_turn(story, "east"),
                events: ("TurnGranted west", "TurnGranted east"),
            },
        ],
    );
}

#[test]
fn s1_holds() {
    each_holds(&[
        ("regions that are no pair may overlap", |story| {
            overlap(story);
            declare(story, &[]);
        }),
        ("a pair that is one no more may overlap", |story| {
            overlap(story);
            story.insert_after("TopologyDeclared", [Event::TopologyDeclared { topology: topology(&[]) }]);
        }),
        ("one ends in the moment in which the other begins", |story| {
            let settled = story.time("VmSettled a2");
            let ordered = story.time("OrderPlaced e1");
            let minutes = (ordered - settled).num_minutes();
            story.delay("VmSettled a2", minutes);
            story.delay("TurnEnded west", minutes);
            story.policy(|policy| policy.bake = chrono::Duration::hours(-24));
        }),
        ("the first order in the moment of the turn's grant", |story| {
            let early = story.time("OrderPlaced e1") - story.time("TurnGranted east");
            story.delay_by("TurnGranted east", early);
            story.delay_by("RunStarted east", early);
        }),
        ("the last order and all that follows in the moment of the turn's end", |story| {
            let at = story.time("TurnEnded east");
            for event in [
                "WatchOpened",
                "OrderPlaced",
                "OrderAccepted",
                "OrderFinished",
                "HealthConfirmed",
                "VmSettled",
            ] {
                let wanted = format!("{event} e2");
                story.delay_by(&wanted, at - story.time(&wanted));
            }
        }),
        ("a region that no topology names is nobody's pair", |story| other_turn(story, "south")),
        ("a region that is nobody's pair is granted a turn beside", |story| other_turn(story, "north")),
    ]);
}

#[test]
fn s1_a_topology_that_leaves_a_pair_a_pair_is_no_new_collision() {
    let mut story = Story::clean();
    overlap(&mut story);
    let before = story.audit().violations;
    story.tell_fleet_at(
        "OrderAccepted e1",
        Event::TopologyDeclared { topology: topology(&[("east", "west")]) },
    );
    assert_eq!(story.audit().violations, before);
}

fn failed(story: &mut Story) {
    let why = "too many failed".to_owned();
    story.insert_before(
        "PhasePassed 0",
        Event::PhaseFailed { rollout: monthly(), phase: 0, tally: tally(6, 2), why },
    );
}

fn resumed() -> Event {
    Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() }
}

fn accepting(accepted: u32) -> Event {
    Event::RolloutResumed { rollout: monthly(), accepted, actor: actor() }
}

/// Two of west fail: too much for the phase, and for no other budget.
fn two_fail(story: &mut Story) {
    story.fails("s1");
    story.fails("a2");
    let all = Budget { percent: 100, vms: 0 };
    story.policy(|policy| policy.budgets = Budgets { step: all, zone: all, region: all, ..policy.budgets });
}

#[test]
fn s2_is_broken() {
    each_breaks_only(
        Rule::S2,
        &[
            Case {
                what: "a phase starts, and the one before never passed",
                spoil: |story| story.remove("PhasePassed 0"),
                events: ("PhaseStarted 0", "PhaseStarted 1"),
            },
            Case {
                what: "a phase starts before the one before passed",
                spoil: |story| story.move_after("PhasePassed 0", "PhaseStarted 1"),
                events: ("PhaseStarted 0", "PhaseStarted 1"),
            },
            Case {
                what: "a phase passes before its region has ended",
                spoil: |story| story.move_before("PhasePassed 0", "TurnEnded west"),
                events: ("TurnGranted west", "PhasePassed 0"),
            },
            Case {
                what: "a phase passes, and one of its regions never had a turn",
                spoil: |story| {
                    let phases = vec![phase(&["west", "north"]), phase(&["east"])];
                    let planned = Event::RolloutPlanned { rollout: monthly(), phases };
                    story.edit("RolloutPlanned monthly", |event| *event = planned);
                },
                events: ("PhaseStarted 0", "PhasePassed 0"),
            },
            Case {
                what: "a phase passes an instant before it has baked",
                spoil: |story| story.delay("PhasePassed 0", -1),
                events: ("TurnEnded west", "PhasePassed 0"),
            },
            Case {
                what: "a phase passes with too many failures by its turns' tallies",
                spoil: |story| {
                    story.as_told();
                    story.edit("TurnEnded west", |event| {
                        let Event::TurnEnded { tally: told, .. } = event else { unreachable!() };
                        *told = tally(6, 2);
                    });
                },
                events: ("TurnEnded west", "PhasePassed 0"),
            },
            Case {
                what: "a phase passes with too many failures, whatever its tallies say",
                spoil: two_fail,
                events: ("VmSettled a2", "PhasePassed 0"),
            },
            Case {
                what: "a phase passes with too many failures, after a person's word on something else",
                spoil: |story| {
                    two_fail(story);
                    let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
                    story.insert_after("TurnEnded west", [paused, resumed()]);
                },
                events: ("VmSettled a2", "PhasePassed 0"),
            },
            Case {
                what: "a phase fails, and passes though nobody ever spoke",
                spoil: |story| {
                    two_fail(story);
                    failed(story);
                    // For the next turn.
                    story.insert_after("PhasePassed 0", [resumed()]);
                },
                events: ("VmSettled a2", "PhasePassed 0"),
            },
            Case {
                what: "a person accepts more failures than there are",
                spoil: |story| {
                    story.fails("a2");
                    story.insert_after("TurnEnded west", [accepting(2)]);
                },
                events: ("PhaseStarted 0", "RolloutResumed"),
            },
            Case {
                what: "a phase passes with too many failures beside those that a person accepted",
                spoil: |story| {
                    two_fail(story);
                    story.policy(|policy| policy.budgets.phase = Budget { percent: 0, vms: 0 });
                    story.insert_after("TurnEnded west", [accepting(1)]);
                },
                events: ("VmSettled a2", "PhasePassed 0"),
            },
            Case {
                what: "a turn's tally is not its run's",
                spoil: |story| {
                    story.as_told();
                    story.edit("TurnEnded east", |event| {
                        let Event::TurnEnded { tally: told, .. } = event else { unreachable!() };
                        told.skipped += 1;
                    });
                },
                events: ("RunCompleted", "TurnEnded east"),
            },
            Case {
                what: "a turn without a plan",
                spoil: |story| story.remove("RolloutPlanned monthly"),
                events: ("TurnGranted west", "TurnGranted west"),
            },
            Case {
                what: "a phase fails, and the next one starts though no person resumed",
                spoil: |story| {
                    failed(story);
                    story.remove("PhasePassed 0");
                    story.insert_before("PhaseFailed 0", resumed());
                    // A person's word after the next phase has started, without which no turn could be granted.
                    story.insert_after("PhaseStarted 1", [resumed()]);
                },
                events: ("PhaseFailed 0", "PhaseStarted 1"),
            },
            Case {
                what: "a person accepts the failures, and the next phase starts though this one never passed",
                spoil: |story| {
                    failed(story);
                    story.insert_after("PhaseFailed 0", [resumed()]);
                    story.remove("PhasePassed 0");
                },
                events: ("PhaseFailed 0", "PhaseStarted 1"),
            },
            Case {
                what: "a person accepts the failures, and the bake is not over",
                spoil: |story| {
                    failed(story);
                    story.insert_after("PhaseFailed 0", [resumed()]);
                    story.policy(|policy| policy.bake = chrono::Duration::hours(23));
                },
                events: ("TurnEnded west", "PhasePassed 0"),
            },
            Case {
                what: "a turn in a region of another phase",
                spoil: |story| {
                    let phases = vec![phase(&["west"]), phase(&["east"]), phase(&["north"])];
                    let planned = Event::RolloutPlanned { rollout: monthly(), phases };
                    story.edit("RolloutPlanned monthly", |event| *event = planned);
                    let (rollout, phase, region) = (monthly(), 2, id("north"));
                    story.insert_after(
                        "TurnGranted west",
                        [Event::TurnGranted { rollout, phase, region, round: 1 }],
                    );
                },
                events: ("PhaseStarted 0", "TurnGranted north"),
            },
            Case {
                what: "a turn in a region that is not in the phase",
                spoil: |story| {
                    let (rollout, phase, region) = (monthly(), 0, id("north"));
                    story.insert_after(
                        "TurnGranted west",
                        [Event::TurnGranted { rollout, phase, region, round: 1 }],
                    );
                },
                events: ("RolloutPlanned monthly", "TurnGranted north"),
            },
            Case {
                what: "a turn in a phase that has passed",
                spoil: |story| {
                    let (rollout, phase, region) = (monthly(), 0, id("west"));
                    let ended = ended(monthly(), 0, "west", 1);
                    story.insert_after(
                        "PhasePassed 0",
                        [Event::TurnGranted { rollout, phase, region, round: 1 }, ended],
                    );
                },
                events: ("PhasePassed 0", "TurnGranted west"),
            },
            Case {
                what: "a phase that is in no plan",
                spoil: |story| {
                    let planned =
                        Event::RolloutPlanned { rollout: monthly(), phases: vec![phase(&["west"])] };
                    story.edit("RolloutPlanned monthly", |event| *event = planned);
                },
                events: ("RolloutPlanned monthly", "PhaseStarted 1"),
            },
        ],
    );
}

#[test]
fn s2_holds() {
    each_holds(&[
        ("a person accepts the failures, and the phase passes", |story| {
            two_fail(story);
            failed(story);
            story.insert_after("PhaseFailed 0", [resumed()]);
        }),
        ("a person accepts as many failures as the budget does not allow", |story| {
            two_fail(story);
            story.insert_after("TurnEnded west", [accepting(1)]);
        }),
        ("as many fail as the budget allows", |story| {
            story.fails("a2");
        }),
    ]);
}

#[test]
fn s2_failures_of_another_rollout_do_not_count() {
    let mut story = Story::clean();
    story.as_told();
    two_fail(&mut story);
    story.order("s1", |order| order.rollout = id("other"));
    story.order("a2", |order| order.rollout = id("other"));
    let report = story.audit();
    assert_eq!(report.of(Rule::S2).count(), 0, "{report}");
}
