//! S3, S4 and S5: what is in flight at the same time within a region.

use crate::cases::{Case, each_breaks_only, each_holds};
use crate::story::{Story, batch, id, monthly, phase, policy, vm};
use nightshift_audit::{Report, Rule};
use nightshift_domain::fleet::Placement;
use nightshift_domain::{Event, Partition};

/// The second VM's watch, step and order come before the first one is settled.
fn together(story: &mut Story, first: &str, second: &str) {
    let settled = format!("VmSettled {first}");
    for event in ["StepStarted", "WatchOpened", "OrderPlaced"] {
        story.move_before(&format!("{event} {second}"), &settled);
    }
}

#[test]
fn s3_is_broken() {
    each_breaks_only(
        Rule::S3,
        &[
            Case {
                what: "a zone is ordered while another is in flight",
                spoil: |story| together(story, "z1a", "z2a"),
                events: ("OrderPlaced z1a", "OrderPlaced z2a"),
            },
            Case {
                what: "a run has a VM in another zone than the fleet",
                spoil: |story| {
                    story.member("z1a", "z2a", |member| member.placement = Placement::Zone(id("z1")))
                },
                events: ("VmRegistered z2a", "RunEnlisted z1a"),
            },
            Case {
                what: "a run has a VM where it was before it moved",
                spoil: |story| {
                    let moved = vm("z2a", "west", Placement::Zone(id("z1")));
                    story.insert_after("VmRegistered e2", [Event::VmModelChanged { vm: moved }]);
                },
                events: ("VmModelChanged z2a", "RunEnlisted z1a"),
            },
            Case {
                what: "a run has a VM of another region",
                spoil: |story| {
                    story.model("e2", |vm| vm.region = id("north"));
                },
                events: ("VmRegistered e2", "RunEnlisted e1"),
            },
            Case {
                what: "a VM that no run enlisted is in the zone that the fleet has it in",
                spoil: |story| {
                    unlisted(story, "z1a", "z2a");
                    together(story, "z1a", "z2a");
                },
                events: ("OrderPlaced z1a", "OrderPlaced z2a"),
            },
            Case {
                what: "a VM that no run enlisted, of another region",
                spoil: |story| {
                    unlisted(story, "e1", "e2");
                    story.model("e2", |vm| vm.region = id("north"));
                },
                events: ("OrderPlaced e2", "OrderPlaced e2"),
            },
        ],
    );
}

fn unlisted(story: &mut Story, run: &str, name: &str) {
    story.edit(&format!("RunEnlisted {run}"), |event| {
        let Event::RunEnlisted { members, .. } = event else { unreachable!() };
        members.retain(|member| member.vm.as_str() != name);
    });
}

#[test]
fn s3_holds() {
    each_holds(&[
        ("a zone and a VM in none are in flight together", |story| {
            for event in ["StepStarted", "WatchOpened", "OrderPlaced"] {
                story.move_before(&format!("{event} a1"), "VmSettled z1a");
            }
        }),
        ("a VM moves in the very moment in which it is enlisted: nobody knows what was first", |story| {
            let moved = vm("z2a", "west", Placement::Zone(id("z1")));
            story.tell_fleet_at("RunEnlisted z1a", Event::VmModelChanged { vm: moved });
        }),
    ]);
}

#[test]
fn s4_is_broken() {
    each_breaks_only(
        Rule::S4,
        &[
            Case {
                what: "a step holds two update domains of a set, and both fly",
                spoil: |story| {
                    story.edit("StepStarted s0", |event| {
                        let Event::StepStarted { vms, .. } = event else { unreachable!() };
                        vms.push(id("s1"));
                    });
                    story.remove("StepStarted s1");
                    story.move_before("WatchOpened s1", "VmSettled s0");
                    story.move_before("OrderPlaced s1", "VmSettled s0");
                    // So that the step ends after both, as S7 asks.
                    story.move_after("StepEnded two-domains/update domain 0", "VmSettled s1");
                },
                events: ("OrderPlaced s0", "OrderPlaced s1"),
            },
            Case {
                what: "two of a set of nine fly",
                spoil: |story| {
                    grow(story, 7);
                    story.move_before("WatchOpened t1", "VmSettled t0");
                    story.move_before("OrderPlaced t1", "VmSettled t0");
                },
                events: ("OrderPlaced t0", "OrderPlaced t1"),
            },
            Case {
                what: "all VMs of a set fly, though they are of one update domain",
                spoil: |story| {
                    story.move_before("WatchOpened t1", "VmSettled t0");
                    story.move_before("OrderPlaced t1", "VmSettled t0");
                },
                events: ("OrderPlaced t0", "OrderPlaced t1"),
            },
        ],
    );
}

/// So many more VMs in the set of t0 and t1.
fn grow(story: &mut Story, vms: usize) {
    let more = (2..vms + 2).map(|n| vm(&format!("t{n}"), "west", crate::story::set("one-domain", 1)));
    story.insert_after("VmRegistered t1", more.map(|vm| Event::VmRegistered { vm }));
}

#[test]
fn s4_holds() {
    each_holds(&[
        ("two VMs of one update domain of a set of ten fly", |story| {
            grow(story, 8);
            story.move_before("WatchOpened t1", "VmSettled t0");
            story.move_before("OrderPlaced t1", "VmSettled t0");
        }),
        ("two sets fly together", |story| {
            for event in ["StepStarted", "WatchOpened", "OrderPlaced"] {
                story.move_before(&format!("{event} t0"), "VmSettled s0");
            }
        }),
        ("a set of one VM flies", |story| {
            story.insert_after("VmRegistered t1", [Event::VmRemoved { vm: id("t1") }]);
            for event in ["OrderPlaced", "OrderAccepted", "OrderFinished", "HealthConfirmed", "VmSettled"] {
                story.remove(&format!("{event} t1"));
            }
            unlisted(story, "z1a", "t1");
        }),
        ("a VM that left the fleet in flight is no part of the set that stays", |story| {
            grow(story, 8);
            story.tell_fleet_at("OrderFinished t0", Event::VmRemoved { vm: id("t0") });
            story.move_before("WatchOpened t1", "VmSettled t0");
            story.move_before("OrderPlaced t1", "VmSettled t0");
        }),
        ("a set that grows in the very moment of the order: nobody knows what was first", |story| {
            grow(story, 7);
            let tenth = vm("t9", "west", crate::story::set("one-domain", 1));
            story.tell_fleet_at("OrderPlaced t1", Event::VmRegistered { vm: tenth });
            story.move_before("WatchOpened t1", "VmSettled t0");
            story.move_before("OrderPlaced t1", "VmSettled t0");
        }),
    ]);
}

/// A region of so many VMs of one subscription, of which so many are ordered at once, in one step.
fn at_once(vms: usize, at_once: usize, batch_percent: u8) -> Report {
    flying(vms, at_once, batch_percent).audit()
}

fn flying(vms: usize, at_once: usize, batch_percent: u8) -> Story {
    let names: Vec<String> = (0..vms).map(|number| format!("v{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut story = Story::of(names.iter().map(|name| vm(name, "north", Placement::Standalone)).collect());
    let requested = Event::RolloutRequested {
        rollout: monthly(),
        policy: policy(),
        actor: crate::story::actor(),
        on_demand: None,
    };
    story.tell(Partition::Rollout, requested);
    let phases = vec![phase(&["north"])];
    story.tell(Partition::Rollout, Event::RolloutPlanned { rollout: monthly(), phases });
    story.now = crate::story::NIGHT.parse().unwrap();
    story.begin(0, "north", &names);
    story.step("north", batch(1), &names, at_once);
    story.end(0, 1, "north");
    story.policy(|policy| policy.batch_percent = batch_percent);
    story
}

#[test]
fn s5_gives_the_benefit_of_the_doubt_where_a_vm_is_registered_in_the_moment_of_the_order() {
    let mut story = flying(9, 2, 20);
    assert!(!story.audit().holds());
    let tenth = Event::VmRegistered { vm: vm("tenth", "north", Placement::Standalone) };
    story.tell_fleet_at("OrderPlaced v1", tenth);
    assert!(story.audit().holds(), "{}", story.audit());
}

#[test]
fn s5_is_broken_above_the_bound_of_the_region() {
    let bounded = |most| {
        let mut story = flying(20, 4, 20);
        story.policy(|policy| policy.max_in_flight = Some(most));
        story.audit()
    };
    assert!(bounded(4).holds(), "{}", bounded(4));
    let report = bounded(3);
    assert!(report.of(Rule::S5).count() > 0, "{report}");
    assert!(report.violations.iter().all(|violation| violation.rule == Rule::S5), "{report}");
}

#[test]
fn s5_is_kept_up_to_the_share_and_broken_above() {
    // Of so many VMs at such a share, so many may fly.
    for (vms, percent, most) in
        [(1, 20, 1), (2, 100, 1), (4, 20, 1), (9, 20, 1), (10, 20, 2), (14, 50, 7), (3, 99, 2)]
    {
        let report = at_once(vms, most, percent);
        assert!(report.holds(), "{most} of {vms} at {percent} %\n{report}");
        if most < vms {
            let report = at_once(vms, most + 1, percent);
            assert!(report.violations.iter().all(|v| v.rule == Rule::S5), "{report}");
            let broken = report.of(Rule::S5).next().expect("one more is too many");
            assert_eq!(
                (&*broken.first.event_type, &*broken.second.event_type),
                ("OrderPlaced", "OrderPlaced")
            );
        }
    }
}

#[test]
fn s5_is_broken() {
    each_breaks_only(
        Rule::S5,
        &[
            Case {
                what: "both VMs of a subscription fly",
                spoil: |story| {
                    story.edit("StepStarted e1", |event| {
                        let Event::StepStarted { vms, .. } = event else { unreachable!() };
                        vms.push(id("e2"));
                    });
                    story.remove("StepStarted e2");
                    story.move_before("WatchOpened e2", "VmSettled e1");
                    story.move_before("OrderPlaced e2", "VmSettled e1");
                    // The first "batch 1" of the story is west's.
                    story.remove_last("StepEnded batch 1");
                },
                events: ("OrderPlaced e1", "OrderPlaced e2"),
            },
            Case {
                what: "a run has a VM under another subscription than the fleet",
                spoil: |story| story.member("z1a", "a2", |member| member.subscription = id("another")),
                events: ("VmRegistered a2", "RunEnlisted z1a"),
            },
        ],
    );
}
