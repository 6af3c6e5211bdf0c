//! S10: who is not ordered, and when nobody is.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, actor, id, monthly};
use nightshift_audit::Rule;
use nightshift_domain::Event;
use nightshift_domain::health::Baseline;

/// The run of west is held by one that had read of so many stops.
fn held(stops: u32) -> Event {
    Event::RunHeld { rollout: monthly(), stops, why: "it was paused".into() }
}

/// The run of west is held between a1 and a2, or later; a person paused the rollout before.
fn hold(story: &mut Story, held_before: &str, resumed: bool) {
    let stop = [Event::RolloutPaused { rollout: monthly(), actor: actor() }];
    let go = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
    story.insert_after("TurnGranted west", stop.into_iter().chain(resumed.then_some(go)));
    let minutes = (story.time("StepStarted a2") - story.time("RolloutPaused")).num_minutes();
    story.delay("RolloutPaused", minutes);
    if resumed {
        story.delay("RolloutResumed", minutes);
    }
    story.insert_before(held_before, held(1));
}

fn released() -> Event {
    Event::RunReleased { rollout: monthly(), accepted: true }
}

#[test]
fn s10_is_broken() {
    each_breaks_only(
        Rule::S10,
        &[
            Case {
                what: "a VM that was ill before",
                spoil: |story| baseline(story, Baseline::Ill { ailment: "its disk is full".into() }),
                events: ("WatchOpened a1", "OrderPlaced a1"),
            },
            Case {
                what: "a VM that was silent before",
                spoil: |story| baseline(story, Baseline::Silent),
                events: ("WatchOpened a1", "OrderPlaced a1"),
            },
            Case {
                what: "a VM of which nobody knew how it was",
                spoil: |story| baseline(story, Baseline::Unknown { why: "nothing from probe web".into() }),
                events: ("WatchOpened a1", "OrderPlaced a1"),
            },
            Case {
                what: "a VM at which somebody looked for another's sake",
                spoil: |story| {
                    story.edit("WatchOpened a1", |event| {
                        let Event::WatchOpened { sample, .. } = event else { unreachable!() };
                        *sample = Some(id("controls-1"));
                    });
                },
                events: ("RunStarted west", "OrderPlaced a1"),
            },
            Case {
                what: "a VM at which nobody looked",
                spoil: |story| story.remove("WatchOpened a1"),
                events: ("RunStarted west", "OrderPlaced a1"),
            },
            Case {
                what: "a VM at which somebody looked for another rollout",
                spoil: |story| {
                    story.edit("WatchOpened a1", |event| {
                        let Event::WatchOpened { rollout, .. } = event else { unreachable!() };
                        *rollout = id("other");
                    });
                },
                events: ("RunStarted west", "OrderPlaced a1"),
            },
            Case {
                what: "an order while the run is held",
                spoil: |story| {
                    hold(story, "OrderPlaced a2", true);
                    story.insert_after("OrderPlaced a2", [released()]);
                },
                events: ("RunHeld", "OrderPlaced a2"),
            },
            Case {
                what: "an order after the run halted",
                spoil: |story| {
                    let (step, why) = (crate::story::batch(2), "too many failed".into());
                    story.insert_before("OrderPlaced a2", crate::story::run_halted(step, why));
                },
                events: ("RunHalted", "OrderPlaced a2"),
            },
            Case {
                what: "an order while the run is held for the second time",
                spoil: |story| {
                    hold(story, "StepStarted a2", true);
                    story.insert_after("RunHeld", [released()]);
                    story.insert_before("OrderPlaced a2", held(1));
                },
                events: ("RunHeld", "OrderPlaced a2"),
            },
            Case {
                what: "a run is released, and no person resumed",
                spoil: |story| {
                    hold(story, "StepStarted a2", false);
                    story.insert_after("RunHeld", [released()]);
                    // Later, for the next turn: too late for the release.
                    story.insert_before(
                        "PhaseStarted 1",
                        Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() },
                    );
                },
                events: ("RunHeld", "RunReleased"),
            },
            Case {
                what: "a run that halted is released by a word from before",
                spoil: |story| {
                    hold(story, "StepStarted a2", true);
                    story.delay("RolloutResumed", -1);
                    let (step, why) = (crate::story::batch(1), "too many failed".into());
                    story.insert_after("RunHeld", [crate::story::run_halted(step, why), released()]);
                },
                events: ("RunHalted", "RunReleased"),
            },
            Case {
                what: "a hold for more stops than there were",
                spoil: |story| {
                    hold(story, "StepStarted a2", true);
                    story.edit("RunHeld", |event| *event = held(2));
                    story.insert_after("RunHeld", [released()]);
                },
                events: ("RunHeld", "RunReleased"),
            },
            Case {
                what: "a second pause, and only the first was lifted",
                spoil: |story| {
                    hold(story, "StepStarted a2", true);
                    let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
                    story.insert_after("RolloutResumed", [paused]);
                    story.edit("RunHeld", |event| *event = held(2));
                    story.insert_after("RunHeld", [released()]);
                    // For the next turn.
                    let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
                    story.insert_before("PhaseStarted 1", resumed);
                },
                events: ("RunHeld", "RunReleased"),
            },
            Case {
                what: "a VM at which nobody looked lately",
                spoil: |story| story.delay("WatchOpened a1", -15),
                events: ("WatchOpened a1", "OrderPlaced a1"),
            },
            Case {
                what: "an order after its run was completed",
                spoil: |story| story.move_before("RunCompleted", "OrderPlaced a2"),
                events: ("RunCompleted", "OrderPlaced a2"),
            },
            Case {
                what: "orders long after the rollout was paused",
                spoil: |story| {
                    let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
                    story.insert_after("TurnGranted west", [paused]);
                    // For the next turn.
                    let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
                    story.insert_before("PhaseStarted 1", resumed);
                },
                events: ("RolloutPaused", "OrderPlaced z2a"),
            },
            Case {
                what: "an order long after the rollout expired, whatever a person says",
                spoil: |story| {
                    let why = "its days are over".to_owned();
                    let expired = Event::RolloutExpired { rollout: monthly(), why };
                    let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
                    story.insert_after("TurnGranted east", [expired, resumed]);
                },
                events: ("RolloutExpired", "OrderPlaced e2"),
            },
            Case {
                what: "a run that halted goes into another round though the policy halts for it",
                spoil: |story| {
                    *story = Story::catching_up();
                    let (step, why) = (crate::story::batch(1), "too many failed".into());
                    story.insert_before("RunCompleted", crate::story::run_halted(step, why));
                },
                events: ("RunHalted", "RunStarted east 2"),
            },
            Case {
                what: "a turn while the rollout is paused",
                spoil: |story| {
                    story.insert_before(
                        "TurnGranted east",
                        Event::RolloutPaused { rollout: monthly(), actor: actor() },
                    );
                },
                events: ("RolloutPaused", "TurnGranted east"),
            },
        ],
    );
}

fn baseline(story: &mut Story, was: Baseline) {
    story.edit("WatchOpened a1", |event| {
        let Event::WatchOpened { baseline, .. } = event else { unreachable!() };
        *baseline = was;
    });
}

#[test]
fn s10_holds() {
    each_holds(&[
        ("a VM that was ill, and well when it was looked at again", |story| {
            let Event::WatchOpened { vm, rollout, .. } = story.copy("WatchOpened a1") else { unreachable!() };
            let baseline = Baseline::Ill { ailment: "its disk is full".into() };
            story.insert_before("WatchOpened a1", Event::WatchOpened { vm, rollout, baseline, sample: None });
        }),
        ("held, resumed, released", |story| {
            hold(story, "StepStarted a2", true);
            story.insert_after("RunHeld", [released()]);
        }),
        ("held so late that the person had already spoken again", |story| {
            hold(story, "StepStarted a2", true);
            story.delay("RolloutPaused", -2);
            story.delay("RolloutResumed", -1);
            story.insert_after("RunHeld", [released()]);
        }),
        ("held by one that had not read yet of a second pause", |story| {
            hold(story, "StepStarted a2", true);
            let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
            story.insert_after("RolloutResumed", [paused]);
            story.insert_after("RunHeld", [released()]);
            // For the next turn.
            let resumed = Event::RolloutResumed { rollout: monthly(), accepted: 0, actor: actor() };
            story.insert_before("PhaseStarted 1", resumed);
        }),
        ("ordered so soon after the pause that nobody may have known", |story| {
            let paused = Event::RolloutPaused { rollout: monthly(), actor: actor() };
            story.insert_after("TurnGranted east", [paused]);
            let lately = story.time("OrderPlaced e2") - nightshift_audit::LAG - story.time("RolloutPaused");
            story.delay_by("RolloutPaused", lately);
        }),
        ("halted, what failed was barred, and released without anybody's word", |story| {
            let (step, why) = (crate::story::batch(1), "too many failed".into());
            story.insert_before("StepStarted a2", crate::story::run_halted(step, why));
            let released = Event::RunReleased { rollout: monthly(), accepted: false };
            story.insert_before("StepStarted a2", released);
        }),
        ("held, and never released", |story| {
            story.insert_before("RunCompleted", held(1));
        }),
    ]);
}
