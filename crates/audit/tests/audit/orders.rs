//! S8 and S9: what is ordered, for whom, and how often.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, id, monthly};
use chrono::Duration;
use nightshift_audit::{LAG, Rule};
use nightshift_domain::agent::RefusedOrder;
use nightshift_domain::event::Outcome;
use nightshift_domain::fleet::{Os, PatchMode};
use nightshift_domain::patch::{Classification, PatchState};
use nightshift_domain::{Event, Partition};

#[test]
fn s8_is_broken() {
    each_breaks_only(
        Rule::S8,
        &[
            Case {
                what: "an order for other patches",
                spoil: |story| {
                    story.order("a1", |order| order.selection.classifications.push(Classification::Other))
                },
                events: ("RolloutRequested monthly", "OrderPlaced a1"),
            },
            Case {
                what: "an other patch was installed",
                spoil: |story| story.result("a1", |r| r.patches[0].classification = Classification::Other),
                events: ("OrderPlaced a1", "OrderFinished a1"),
            },
            Case {
                what: "another mode",
                spoil: |story| {
                    story.model("a1", |vm| (vm.os, vm.patch_mode) = (Os::Windows, PatchMode::AutomaticByOS));
                },
                events: ("VmRegistered a1", "OrderPlaced a1"),
            },
            Case {
                what: "an image that is not on the list",
                spoil: |story| story.model("a1", |vm| vm.image.sku = "14.04-LTS".into()),
                events: ("VmRegistered a1", "OrderPlaced a1"),
            },
            Case {
                what: "a VM that was removed before",
                spoil: |story| {
                    story.insert_after("VmRegistered e2", [Event::VmRemoved { vm: id("e2") }]);
                    let long_ago = story.time("OrderPlaced e2") - LAG - Duration::seconds(1);
                    story.delay_by("VmRemoved e2", long_ago - story.time("VmRemoved e2"));
                },
                events: ("VmRemoved e2", "OrderPlaced e2"),
            },
            Case {
                what: "a subscription that was never registered",
                spoil: |story| story.remove("FeatureRegistered"),
                events: ("VmRegistered a1", "OrderPlaced a1"),
            },
            Case {
                what: "a subscription that was registered after the first orders",
                spoil: |story| {
                    let feature = story.copy("FeatureRegistered");
                    story.remove("FeatureRegistered");
                    story.tell_fleet_at("OrderPlaced a1", feature);
                },
                events: ("VmRegistered z1a", "OrderPlaced z1a"),
            },
            Case {
                what: "a subscription that is registered for the other feature",
                spoil: |story| {
                    story.edit("FeatureRegistered", |event| {
                        let Event::FeatureRegistered { feature, .. } = event else { unreachable!() };
                        *feature = nightshift_domain::fleet::Feature::InGuestPatchVMPreview;
                    });
                },
                events: ("VmRegistered a1", "OrderPlaced a1"),
            },
            Case {
                what: "a VM that was never enabled",
                spoil: |story| story.remove("AgentEnabled a1"),
                events: ("OrderPlaced a1", "OrderFinished a1"),
            },
            Case {
                what: "a VM that was enabled too late",
                spoil: |story| story.move_after("AgentEnabled a1", "OrderFinished a1"),
                events: ("AgentEnabled a1", "OrderFinished a1"),
            },
        ],
    );
}

#[test]
fn s8_holds() {
    each_holds(&[
        ("an other patch that was left", |story| {
            story.result("a1", |result| {
                let mut other = result.patches[0].clone();
                (other.classification, other.state) = (Classification::Other, PatchState::NotSelected);
                result.patches.push(other);
            });
        }),
        ("a VM that was removed so shortly before that nobody may have known", |story| {
            story.insert_after("VmRegistered e2", [Event::VmRemoved { vm: id("e2") }]);
            let lately = story.time("OrderPlaced e2") - LAG;
            story.delay_by("VmRemoved e2", lately - story.time("VmRemoved e2"));
        }),
        ("a VM that leaves the mode in the moment of its order", |story| {
            let Event::VmRegistered { mut vm } = story.copy("VmRegistered a1") else { unreachable!() };
            (vm.os, vm.patch_mode) = (Os::Windows, PatchMode::Manual);
            story.tell_fleet_at("OrderPlaced a1", Event::VmModelChanged { vm });
        }),
        ("nothing was installed, so nobody needed to be enabled", |story| {
            story.remove("AgentEnabled a1");
            story.result("a1", |result| result.patches.clear());
        }),
        ("a subscription that is registered in the moment of the first order", |story| {
            let feature = story.copy("FeatureRegistered");
            story.remove("FeatureRegistered");
            story.tell_fleet_at("OrderPlaced z1a", feature);
        }),
        ("an image by other letters", |story| {
            story.model("a1", |vm| {
                (vm.image.publisher, vm.image.offer) = ("redhat".into(), "rhel".into());
                vm.image.sku = "7.8".into();
            });
        }),
    ]);
}

fn again(story: &mut Story, wanted: &str, after: &str) {
    let copy = story.copy(wanted);
    story.insert_after(after, [copy]);
}

/// In the step of a1, the same VM is ordered a second time under a new identity, after its first order ended.
fn ordered_again(story: &mut Story) {
    let again =
        ["OrderPlaced a1", "OrderAccepted a1", "OrderFinished a1", "HealthConfirmed a1", "VmSettled a1"];
    let mut events = again.map(|wanted| story.copy(wanted));
    let second: nightshift_domain::OrderId = id("monthly-a1-again");
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
    story.insert_after("VmSettled a1", events);
}

#[test]
fn s9_a_vm_that_is_in_flight_is_not_ordered_by_another_rollout() {
    let mut story = Story::clean();
    let Event::OrderPlaced { mut order } = story.copy("OrderPlaced a1") else { unreachable!() };
    (order.id, order.rollout) = (id("others"), id("other"));
    story.insert_after("OrderPlaced a1", [Event::OrderPlaced { order }]);
    let report = story.audit();
    assert!(report.of(Rule::S9).any(|violation| violation.sentence.contains("in flight")), "{report}");
}

#[test]
fn s9_is_broken() {
    each_breaks_only(
        Rule::S9,
        &[
            Case {
                what: "an order is placed twice",
                spoil: |story| {
                    again(story, "VmSettled a1", "VmSettled a1");
                    again(story, "OrderPlaced a1", "VmSettled a1");
                },
                events: ("OrderPlaced a1", "OrderPlaced a1"),
            },
            Case {
                what: "a VM is ordered twice in a round",
                spoil: ordered_again,
                events: ("OrderPlaced a1", "OrderPlaced a1"),
            },
            Case {
                what: "an order's identity is used again in another region",
                spoil: |story| {
                    let identity = || id("monthly-a1");
                    story.order("e1", |order| order.id = identity());
                    for event in
                        ["OrderAccepted e1", "OrderFinished e1", "HealthConfirmed e1", "VmSettled e1"]
                    {
                        story.edit(event, |event| match event {
                            Event::OrderAccepted { order, .. }
                            | Event::OrderFinished { order, .. }
                            | Event::HealthConfirmed { order, .. }
                            | Event::VmSettled { order, .. } => *order = identity(),
                            _ => unreachable!(),
                        });
                    }
                },
                events: ("OrderPlaced a1", "OrderPlaced e1"),
            },
            Case {
                what: "an order in the planner's partition",
                spoil: |story| {
                    let Event::OrderPlaced { mut order } = story.copy("OrderPlaced a1") else {
                        unreachable!()
                    };
                    (order.id, order.vm) = (id("elsewhere"), id("elsewhere-vm"));
                    story.tell(Partition::Rollout, Event::OrderPlaced { order });
                },
                events: ("OrderPlaced elsewhere-vm", "OrderPlaced elsewhere-vm"),
            },
            Case {
                what: "an order is accepted twice",
                spoil: |story| again(story, "OrderAccepted a1", "OrderAccepted a1"),
                events: ("OrderAccepted a1", "OrderAccepted a1"),
            },
            Case {
                what: "an order is finished twice",
                spoil: |story| again(story, "OrderFinished a1", "OrderFinished a1"),
                events: ("OrderFinished a1", "OrderFinished a1"),
            },
            Case {
                what: "an order is accepted after its last moment",
                spoil: |story| story.order("a1", |order| order.not_after -= Duration::minutes(30)),
                events: ("OrderPlaced a1", "OrderAccepted a1"),
            },
            Case {
                what: "an order is finished that never began",
                spoil: |story| story.remove("OrderAccepted a1"),
                events: ("OrderPlaced a1", "OrderFinished a1"),
            },
            Case {
                what: "a report on an order that was never placed",
                spoil: |story| {
                    let refused = RefusedOrder { code: "NotMine".into(), why: "it is not mine".into() };
                    let (vm, order) = (id("a2"), id("nobodys"));
                    story.insert_before(
                        "OrderPlaced a2",
                        Event::OrderRefused { vm, report: 2, order, refused },
                    );
                },
                events: ("OrderRefused a2", "OrderRefused a2"),
            },
            Case {
                what: "a report before the order was placed",
                spoil: |story| story.move_before("OrderAccepted a1", "OrderPlaced a1"),
                events: ("OrderPlaced a1", "OrderAccepted a1"),
            },
            Case {
                what: "a report by another VM",
                spoil: |story| {
                    story.edit("OrderAccepted a1", |event| {
                        let Event::OrderAccepted { vm, .. } = event else { unreachable!() };
                        *vm = id("a2");
                    });
                },
                events: ("OrderPlaced a1", "OrderAccepted a2"),
            },
            Case {
                what: "an order is settled twice",
                spoil: |story| again(story, "VmSettled a1", "VmSettled a1"),
                events: ("VmSettled a1", "VmSettled a1"),
            },
            Case {
                what: "an order is settled that was never placed",
                spoil: |story| {
                    let (rollout, vm, order) = (monthly(), id("a2"), id("nobodys"));
                    let outcome = Outcome::Healthy;
                    story.insert_before(
                        "OrderPlaced a2",
                        Event::VmSettled { rollout, vm, order, outcome, blamed: Vec::new() },
                    );
                },
                events: ("VmSettled a2", "VmSettled a2"),
            },
            Case {
                what: "an order is settled for another VM",
                spoil: |story| {
                    story.edit("VmSettled a2", |event| {
                        let Event::VmSettled { vm, .. } = event else { unreachable!() };
                        *vm = id("a1");
                    });
                    // Of a2 nothing is known, and its step has not ended.
                    story.remove("StepEnded batch 2");
                },
                events: ("OrderPlaced a2", "VmSettled a1"),
            },
            Case {
                what: "an order is settled by another rollout",
                spoil: |story| {
                    story.edit("VmSettled a2", |event| {
                        let Event::VmSettled { rollout, .. } = event else { unreachable!() };
                        *rollout = id("other");
                    });
                    // By its own rollout's account a2 is not settled.
                    story.remove("StepEnded batch 2");
                },
                events: ("OrderPlaced a2", "VmSettled a2"),
            },
            Case {
                what: "a run completes before its last order is settled",
                spoil: |story| {
                    story.move_after("VmSettled a2", "RunCompleted");
                    story.remove("StepEnded batch 2");
                },
                events: ("OrderPlaced a2", "RunCompleted"),
            },
        ],
    );
}

#[test]
fn s9_holds() {
    each_holds(&[
        ("an order is accepted in its last moment", |story| {
            let accepted = story.time("OrderAccepted a1");
            story.order("a1", |order| order.not_after = accepted);
        }),
        ("an order is refused", |story| {
            let Event::OrderAccepted { vm, order, report, .. } = story.copy("OrderAccepted a2") else {
                unreachable!()
            };
            let refused = RefusedOrder { code: "Expired".into(), why: "it is too late".into() };
            story.edit("OrderAccepted a2", |event| {
                *event = Event::OrderRefused { vm, report, order, refused }
            });
            story.remove("OrderFinished a2");
            story.remove("HealthConfirmed a2");
            story.fails("a2");
        }),
    ]);
}
