//! S7: steps follow one another, and go on only with good health.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, actor, batch, monthly, region};
use nightshift_audit::Rule;
use nightshift_domain::Event;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Outcome;
use nightshift_domain::health::Signal;
use nightshift_domain::patch::{PatchState, RebootStatus};
use nightshift_domain::policy::{Budget, Budgets};

/// The run halts for a1's failure, and a person has it go on.
fn halt_and_resume(story: &mut Story) {
    let (step, why) = (batch(1), "too many failed".to_owned());
    story.insert_before("StepStarted a2", crate::story::run_halted(step, why.clone()));
    story.insert_before("StepStarted a2", Event::RunReleased { rollout: monthly(), accepted: true });
    let halted = Event::RolloutHalted {
        rollout: monthly(),
        phase: 0,
        region: None,
        why,
        evidence: Default::default(),
    };
    let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
    story.insert_after("TurnGranted west", [halted, resumed]);
    let minutes = (story.time("RunHalted") - story.time("RolloutHalted")).num_minutes();
    story.delay("RolloutHalted", minutes);
    story.delay("RolloutResumed", minutes);
}

/// No budget but one, which allows nothing.
fn only(story: &mut Story, set: fn(&mut Budgets, Budget)) {
    let mut budgets = Budgets::all(100, 0);
    set(&mut budgets, Budget { percent: 0, vms: 0 });
    story.policy(|policy| policy.budgets = budgets);
}

#[test]
fn s7_is_broken() {
    each_breaks_only(
        Rule::S7,
        &[
            Case {
                what: "a batch starts before the one before has ended",
                spoil: |story| story.move_before("StepStarted a2", "StepEnded batch 1"),
                events: ("StepStarted a1", "StepStarted a2"),
            },
            Case {
                what: "an update domain starts before the one before has ended",
                spoil: |story| story.remove("StepEnded two-domains/update domain 0"),
                events: ("StepStarted s0", "StepStarted s1"),
            },
            Case {
                what: "a batch starts, and another one than the one before has ended",
                spoil: |story| {
                    story.edit("StepEnded batch 1", |event| {
                        let Event::StepEnded { step, .. } = event else { unreachable!() };
                        *step = batch(7);
                    });
                },
                events: ("StepStarted a1", "StepStarted a2"),
            },
            Case {
                what: "a step ends with a VM that is never settled",
                spoil: |story| {
                    story.remove("VmSettled a2");
                    story.cut_after("StepEnded batch 2");
                },
                events: ("OrderPlaced a2", "StepEnded batch 2"),
            },
            Case {
                what: "a step ends while a VM is in flight",
                spoil: |story| story.move_after("VmSettled a2", "StepEnded batch 2"),
                events: ("OrderPlaced a2", "StepEnded batch 2"),
            },
            Case {
                what: "a step starts after too many failures",
                spoil: |story| story.fails("a1"),
                events: ("VmSettled a1", "StepStarted a2"),
            },
            Case {
                what: "a step starts after failures that came after a person's word",
                spoil: |story| {
                    story.fails("a1");
                    halt_and_resume(story);
                    story.move_before("RunHalted", "VmSettled a1");
                    story.move_before("RunReleased", "VmSettled a1");
                },
                events: ("VmSettled a1", "StepStarted a2"),
            },
            Case {
                what: "an order after the budget of what is outside zones is spent",
                spoil: |story| {
                    story.fails("s1");
                    only(story, |budgets, none| budgets.zone = none);
                },
                events: ("VmSettled s1", "OrderPlaced t0"),
            },
            Case {
                what: "an order in the next zone after the region's budget is spent",
                spoil: |story| {
                    story.fails("z1a");
                    only(story, |budgets, none| budgets.region = none);
                },
                events: ("VmSettled z1a", "OrderPlaced z2a"),
            },
            Case {
                what: "a release that accepts what no person accepted",
                spoil: |story| {
                    story.fails("a1");
                    halt_and_resume(story);
                    story.edit("RunReleased", |event| {
                        let Event::RunReleased { accepted, .. } = event else { unreachable!() };
                        *accepted = false;
                    });
                },
                events: ("VmSettled a1", "StepStarted a2"),
            },
            Case {
                what: "a step that says that one more was healthy",
                spoil: |story| {
                    story.as_told();
                    story.edit("StepEnded batch 1", |event| {
                        let Event::StepEnded { tally, .. } = event else { unreachable!() };
                        tally.healthy += 1;
                    });
                },
                events: ("VmSettled a1", "StepEnded batch 1"),
            },
            Case {
                what: "healthy, though nobody confirmed it",
                spoil: |story| story.remove("HealthConfirmed a2"),
                events: ("OrderFinished a2", "VmSettled a2"),
            },
            Case {
                what: "healthy, confirmed too late",
                spoil: |story| story.move_after("HealthConfirmed a2", "VmSettled a2"),
                events: ("OrderFinished a2", "VmSettled a2"),
            },
            Case {
                what: "healthy, confirmed before the order was finished",
                spoil: |story| story.move_before("HealthConfirmed a2", "OrderFinished a2"),
                events: ("HealthConfirmed a2", "VmSettled a2"),
            },
            Case {
                what: "healthy, and never finished",
                spoil: |story| story.remove("OrderFinished a2"),
                events: ("HealthConfirmed a2", "VmSettled a2"),
            },
            Case {
                what: "healthy, and a patch failed",
                spoil: |story| story.result("a2", |result| result.patches[0].state = PatchState::Failed),
                events: ("OrderFinished a2", "VmSettled a2"),
            },
            Case {
                what: "healthy, and the reboot failed",
                spoil: |story| story.result("a2", |result| result.reboot = RebootStatus::Failed),
                events: ("OrderFinished a2", "VmSettled a2"),
            },
            Case {
                what: "healthy, and a signal said that it is ill",
                spoil: |story| {
                    let Event::HealthConfirmed { vm, order } = story.copy("HealthConfirmed a2") else {
                        unreachable!()
                    };
                    let at = story.time("HealthConfirmed a2");
                    let ailment = Some("it is ill".to_owned());
                    let signal = Signal::heartbeat(vm.clone(), at, "boot-1", ailment);
                    story.insert_before("HealthConfirmed a2", Event::HealthFailed { vm, order, signal });
                },
                events: ("HealthFailed a2", "VmSettled a2"),
            },
            Case {
                what: "an order in no step",
                spoil: |story| story.remove("StepStarted a1"),
                events: ("RunStarted west", "OrderPlaced a1"),
            },
            Case {
                what: "an order after its step has ended",
                spoil: |story| {
                    story.move_before("StepEnded batch 2", "OrderPlaced a2");
                },
                events: ("StepEnded batch 2", "OrderPlaced a2"),
            },
            Case {
                what: "a run that is more generous than the person who asked for it",
                spoil: |story| {
                    story.edit("RunStarted west", |event| {
                        let Event::RunStarted { policy, .. } = event else { unreachable!() };
                        policy.budgets = Budgets::all(100, 0);
                    });
                },
                events: ("RolloutRequested monthly", "RunStarted west"),
            },
        ],
    );
}

#[test]
fn s7_holds() {
    each_holds(&[
        ("a person has it go on", |story| {
            story.fails("a1");
            halt_and_resume(story);
        }),
        ("a person has it go on, for the second time", |story| {
            story.fails("a1");
            halt_and_resume(story);
            let why = "it was paused".to_owned();
            let held = Event::RunHeld { rollout: monthly(), stops: 1, why };
            story.insert_after(
                "RunEnlisted z1a",
                [held, Event::RunReleased { rollout: monthly(), accepted: true }],
            );
            let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
            let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
            story.insert_after("TurnGranted west", [paused, resumed]);
        }),
        ("a failure within the budget", |story| {
            story.policy(|policy| policy.budgets = Budgets::all(0, 1));
            story.fails("a1");
        }),
        ("a failure, and no budget but the region's, which allows one", |story| {
            story.fails("z1a");
            only(story, |budgets, none| budgets.region = Budget { vms: 1, ..none });
        }),
        ("lanes run side by side", |story| {
            story.move_before("StepStarted a1", "StepEnded one-domain/update domain 0")
        }),
    ]);
}

#[test]
fn an_order_that_was_kept_from_its_work_is_no_success() {
    let mut story = Story::clean();
    story.result("a2", |result: &mut InstallReport| result.error = Some("no source answered".into()));
    let report = story.audit();
    assert_eq!(report.of(Rule::S7).count(), 1, "{report}");
    assert_eq!(report.violations[0].first.partition, region("west"));
    // The same order, settled as failed, is told as it was.
    story.edit("VmSettled a2", |event| {
        let Event::VmSettled { outcome, .. } = event else { unreachable!() };
        *outcome = Outcome::Failed { why: "no source answered".into() };
    });
    assert!(story.audit().holds());
}
