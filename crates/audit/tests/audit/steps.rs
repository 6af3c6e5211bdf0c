//! S7: steps follow one another, and go on only with good health.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, actor, batch, monthly, region};
use nightshift_audit::Rule;
use nightshift_domain::Event;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Outcome;
use nightshift_domain::health::Signal;
use nightshift_domain::patch::{PatchState, RebootStatus};

/// The run halts for a1's failure, and a person has it go on.
fn halt_and_resume(story: &mut Story) {
    let (step, why) = (batch(1), "too many failed".to_owned());
    story.insert_before("StepStarted a2", Event::RunHalted { rollout: monthly(), step, why: why.clone() });
    story.insert_before("StepStarted a2", Event::RunReleased { rollout: monthly() });
    let halted = Event::RolloutHalted { rollout: monthly(), phase: 0, region: None, why };
    let resumed = Event::RolloutResumed { rollout: monthly(), actor: actor() };
    story.insert_after("TurnGranted west", [halted, resumed]);
    let minutes = (story.time("RunHalted") - story.time("RolloutHalted")).num_minutes();
    story.delay("RolloutHalted", minutes);
    story.delay("RolloutResumed", minutes);
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
                    let signal = Signal { vm: vm.clone(), at, boot_id: "boot-1".into(), ailment };
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
                        policy.failure_budget = 100;
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
            let held = Event::RunHeld { rollout: monthly(), why };
            story.insert_after("RunEnlisted z1a", [held, Event::RunReleased { rollout: monthly() }]);
            let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
            let resumed = Event::RolloutResumed { rollout: monthly(), actor: actor() };
            story.insert_after("TurnGranted west", [paused, resumed]);
        }),
        ("a failure within the budget", |story| {
            story.policy(|policy| policy.failure_budget = 1);
            story.fails("a1");
        }),
        ("a VM that failed, was ordered again and is well", ordered_again),
        ("lanes run side by side", |story| {
            story.move_before("StepStarted a1", "StepEnded one-domain/update domain 0")
        }),
    ]);
}

/// In the step of a1, the same VM is ordered a second time under a new identity, after its first order failed.
fn ordered_again(story: &mut Story) {
    let again =
        ["OrderPlaced a1", "OrderAccepted a1", "OrderFinished a1", "HealthConfirmed a1", "VmSettled a1"];
    let mut events = again.map(|wanted| story.copy(wanted));
    let second: nightshift_domain::OrderId = "monthly-a1-again".parse().unwrap();
    for event in &mut events {
        match event {
            Event::OrderPlaced { order } => order.id = second.clone(),
            Event::OrderAccepted { order, .. }
            | Event::OrderFinished { order, .. }
            | Event::HealthConfirmed { order, .. }
            | Event::VmSettled { order, .. } => *order = second.clone(),
            _ => {}
        }
    }
    story.fails("a1");
    story.insert_after("VmSettled a1", events);
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
