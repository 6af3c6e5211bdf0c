//! What changes on the way: the fleet, the policy, and what is known of a version.

use crate::cases::{Case, each_breaks_only, each_breaks_only_of, each_holds};
use crate::story::{Story, actor, id, monthly, set, vm};
use chrono::Duration;
use nightshift_audit::{LAG, Rule};
use nightshift_domain::fleet::{Feature, Placement};
use nightshift_domain::patch::{Blame, PatchState};
use nightshift_domain::policy::{Approvals, Breaker, PatchChoice};
use nightshift_domain::selection::{Mask, PackageVersion};
use nightshift_domain::{Event, Partition};

/// The fleet says so too long before the VM's order for nobody to have known.
fn fleet_says(story: &mut Story, name: &str, event: Event) {
    let at = story.time(&format!("OrderPlaced {name}")) - LAG - Duration::seconds(1);
    story.entries.push((Partition::Fleet, at, event));
}

fn moves(story: &mut Story, name: &str, region: &str, placement: Placement) {
    fleet_says(story, name, Event::VmModelChanged { vm: vm(name, region, placement) });
}

#[test]
fn a_vm_that_moved_after_it_was_enlisted_is_not_ordered() {
    each_breaks_only(
        Rule::S3,
        &[Case {
            what: "into another zone",
            spoil: |story| moves(story, "z2a", "west", Placement::Zone(id("z1"))),
            events: ("VmModelChanged z2a", "OrderPlaced z2a"),
        }],
    );
    each_breaks_only(
        Rule::S4,
        &[Case {
            what: "into another update domain",
            spoil: |story| moves(story, "s1", "west", set("two-domains", 3)),
            events: ("VmModelChanged s1", "OrderPlaced s1"),
        }],
    );
    each_breaks_only(
        Rule::S5,
        &[Case {
            what: "to another subscription",
            spoil: |story| {
                let feature = Feature::InGuestAutoPatchVMPreview;
                let registered = Event::FeatureRegistered { subscription: id("another"), feature };
                story.insert_after("FeatureRegistered", [registered]);
                let mut sold = vm("e2", "east", Placement::Standalone);
                sold.subscription = id("another");
                fleet_says(story, "e2", Event::VmModelChanged { vm: sold });
            },
            events: ("VmModelChanged e2", "OrderPlaced e2"),
        }],
    );
}

#[test]
fn a_subscription_that_gave_the_feature_up_is_left_alone() {
    each_breaks_only(
        Rule::S8,
        &[Case {
            what: "unregistered before the order",
            spoil: |story| {
                let (subscription, feature) = (id("sub"), Feature::InGuestAutoPatchVMPreview);
                fleet_says(story, "e2", Event::FeatureUnregistered { subscription, feature });
            },
            events: ("FeatureUnregistered", "OrderPlaced e2"),
        }],
    );
}

#[test]
fn images_that_an_operator_declares_are_supported() {
    each_holds(&[("an image of the topology's list", |story| {
        story.model("a1", |vm| vm.image.sku = "Our-1.7".into());
        story.edit("TopologyDeclared", |event| {
            let Event::TopologyDeclared { topology } = event else { unreachable!() };
            let ours = vm("a1", "west", Placement::Standalone).image;
            topology.images = vec![nightshift_domain::fleet::Image { sku: "our-1.".into(), ..ours }];
        });
    })]);
}

#[test]
fn a_changed_policy_holds_from_then_on() {
    let changed = |story: &mut Story, change: fn(&mut nightshift_domain::policy::Policy)| {
        let mut policy = crate::story::policy();
        change(&mut policy);
        for (.., event) in &mut story.entries {
            if let Event::RunStarted { region, policy: of_run, .. } = event
                && *region == id("east")
            {
                *of_run = policy.clone();
            }
        }
        let changed = Event::PolicyChanged { rollout: monthly(), policy, actor: actor() };
        story.insert_after("TurnEnded west", [changed]);
    };
    let mut story = Story::clean();
    changed(&mut story, |policy| policy.soak = Duration::minutes(4));
    assert!(story.audit().holds(), "{}", story.audit());
    let mut story = Story::clean();
    changed(&mut story, |policy| policy.bake = Duration::hours(13));
    assert_eq!(story.audit().of(Rule::S2).count(), 2, "both phases bake too short\n{}", story.audit());
    let mut story = Story::clean();
    changed(&mut story, |policy| policy.exclude = vec![Mask::new("kernel*").unwrap()]);
    let report = story.audit();
    assert_eq!(report.of(Rule::S8).count(), 2, "both orders of east know nothing of it\n{report}");
    assert_eq!(report.violations[0].first.event_type, "PolicyChanged");
}

#[test]
fn a_phase_waits_for_its_approval() {
    each_breaks_only(
        Rule::S2,
        &[Case {
            what: "nobody approved",
            spoil: |story| story.policy(|policy| policy.approvals = Approvals::BetweenPhases),
            events: ("RolloutRequested monthly", "PhaseStarted 1"),
        }],
    );
    each_holds(&[("a person approved", |story| {
        story.policy(|policy| policy.approvals = Approvals::BetweenPhases);
        story.insert_after("TurnGranted west", [approved_by(&actor().name)]);
    })]);
}

#[test]
fn a_phase_waits_for_a_second_person() {
    each_breaks_only(
        Rule::S2,
        &[Case {
            what: "who requested it approved it",
            spoil: |story| {
                story.policy(|policy| policy.approvals = Approvals::SecondPerson);
                story.insert_after("TurnGranted west", [approved_by(&actor().name)]);
            },
            events: ("RolloutRequested monthly", "PhaseApproved 1"),
        }],
    );
    each_holds(&[("another person approved", |story| {
        story.policy(|policy| policy.approvals = Approvals::SecondPerson);
        story.insert_after("TurnGranted west", [approved_by("somebody else")]);
    })]);
}

fn approved_by(name: &str) -> Event {
    let actor = nightshift_domain::rollout::Actor { name: name.to_owned(), ..actor() };
    Event::PhaseApproved { rollout: monthly(), phase: 1, actor }
}

fn openssl(version: &str) -> PackageVersion {
    PackageVersion { name: "openssl".into(), version: version.into() }
}

/// The first phase certifies, and the second installs what it certified.
fn certifying() -> Story {
    let mut story = Story::clean();
    story.policy(|policy| policy.patches = PatchChoice::Certified);
    let (rollout, patches) = (monthly(), vec![openssl("3.0.2")]);
    story.insert_after("PhasePassed 0", [Event::PatchesCertified { rollout, phase: 0, patches }]);
    for vm in ["e1", "e2"] {
        story.order(vm, |order| order.selection.certified = Some(vec![openssl("3.0.2")]));
    }
    story
}

fn certify(story: &mut Story, patches: Vec<PackageVersion>) {
    story.edit("PatchesCertified", |event| {
        let Event::PatchesCertified { patches: certified, .. } = event else { unreachable!() };
        *certified = patches;
    });
}

#[test]
fn later_phases_install_what_was_certified() {
    each_breaks_only_of(
        certifying,
        Rule::S8,
        &[
            Case {
                what: "an order for whatever is newest",
                spoil: |story| story.order("e1", |order| order.selection.certified = None),
                events: ("RolloutRequested monthly", "OrderPlaced e1"),
            },
            Case {
                what: "an order for more than was certified",
                spoil: |story| {
                    let more = vec![openssl("3.0.2"), openssl("3.0.3")];
                    story.order("e1", |order| order.selection.certified = Some(more));
                },
                events: ("PatchesCertified", "OrderPlaced e1"),
            },
            Case {
                what: "an order for less than was certified",
                spoil: |story| story.order("e1", |order| order.selection.certified = Some(Vec::new())),
                events: ("PatchesCertified", "OrderPlaced e1"),
            },
            Case {
                what: "a version was installed that was not certified",
                spoil: |story| story.result("e1", |result| result.patches[0].version = "3.0.3".into()),
                events: ("OrderPlaced e1", "OrderFinished e1"),
            },
            Case {
                what: "a version is certified that nobody installed",
                spoil: |story| {
                    certify(story, vec![openssl("3.0.3")]);
                    for vm in ["e1", "e2"] {
                        story.order(vm, |order| order.selection.certified = Some(vec![openssl("3.0.3")]));
                        story.result(vm, |result| result.patches[0].version = "3.0.3".into());
                    }
                },
                events: ("PhasePassed 0", "PatchesCertified"),
            },
            Case {
                what: "versions are certified before the phase has passed",
                spoil: |story| story.move_before("PatchesCertified", "PhasePassed 0"),
                events: ("RolloutRequested monthly", "PatchesCertified"),
            },
            Case {
                what: "a version is certified that failed a VM",
                spoil: |story| {
                    story.fails("a2");
                    story.edit("VmSettled a2", |event| {
                        let Event::VmSettled { blamed, .. } = event else { unreachable!() };
                        *blamed = vec![Blame { patch: openssl("3.0.2"), direct: false }];
                    });
                },
                events: ("VmSettled a2", "PatchesCertified"),
            },
        ],
    );
}

/// The installation of a version fails on a1, the version is barred, and the rest goes on without it.
fn barring() -> Story {
    let mut story = Story::clean();
    story.policy(|policy| policy.breaker = Breaker { failures: 1, percent: 25 });
    story.result("a1", |result| result.patches[0].state = PatchState::Failed);
    story.remove("HealthConfirmed a1");
    story.fails("a1");
    story.edit("VmSettled a1", |event| {
        let Event::VmSettled { blamed, .. } = event else { unreachable!() };
        *blamed = vec![Blame { patch: openssl("3.0.2"), direct: true }];
    });
    let at = story.time("VmSettled a1");
    let (rollout, patch) = (monthly(), openssl("3.0.2"));
    let barred = Event::PatchBarred { rollout, patch, failed: 1, tried: 4, why: "it failed".into() };
    story.insert_before("TurnEnded west", barred);
    story.delay_by("PatchBarred", at - story.time("PatchBarred"));
    for vm in ["e1", "e2"] {
        story.order(vm, |order| order.selection.barred = vec![openssl("3.0.2")]);
        story.result(vm, |result| result.patches[0].state = PatchState::Excluded);
    }
    story
}

#[test]
fn a_version_that_is_barred_excuses_what_it_failed() {
    each_breaks_only_of(
        barring,
        Rule::S7,
        &[
            Case {
                what: "it was barred too late",
                spoil: |story| {
                    let late = story.time("OrderPlaced a2") - story.time("PatchBarred");
                    story.delay_by("PatchBarred", late + Duration::seconds(1));
                },
                events: ("VmSettled a1", "OrderPlaced a2"),
            },
            Case {
                what: "fewer failed with it than is said",
                spoil: |story| {
                    story.edit("PatchBarred", |event| {
                        let Event::PatchBarred { failed, .. } = event else { unreachable!() };
                        *failed = 2;
                    });
                },
                events: ("VmSettled a1", "PatchBarred"),
            },
            Case {
                what: "the policy's breaker needs more",
                spoil: |story| story.policy(|policy| policy.breaker.percent = 26),
                events: ("VmSettled a1", "PatchBarred"),
            },
            Case {
                what: "it is blamed for a VM that never had it",
                spoil: |story| {
                    story.result("a1", |result| result.patches[0].version = "3.0.3".into());
                },
                events: ("OrderFinished a1", "VmSettled a1"),
            },
        ],
    );
    each_breaks_only_of(
        barring,
        Rule::S8,
        &[
            Case {
                what: "an order does not know that it was barred",
                spoil: |story| story.order("e1", |order| order.selection.barred.clear()),
                events: ("PatchBarred", "OrderPlaced e1"),
            },
            Case {
                what: "it was installed all the same",
                spoil: |story| story.result("e1", |result| result.patches[0].state = PatchState::Installed),
                events: ("OrderPlaced e1", "OrderFinished e1"),
            },
        ],
    );
}

#[test]
fn masks_are_kept() {
    let excluding = || {
        let mut story = Story::clean();
        let masks = || vec![Mask::new("linux-*").unwrap()];
        story.policy(|policy| policy.exclude = masks());
        for vm in ["z1a", "z2a", "s0", "s1", "t0", "t1", "a1", "a2", "e1", "e2"] {
            story.order(vm, |order| order.selection.exclude = masks());
        }
        story
    };
    each_breaks_only_of(
        excluding,
        Rule::S8,
        &[
            Case {
                what: "what is excluded was installed",
                spoil: |story| story.result("a1", |result| result.patches[0].name = "linux-image".into()),
                events: ("OrderPlaced a1", "OrderFinished a1"),
            },
            Case {
                what: "the order excludes less than the policy",
                spoil: |story| story.order("a1", |order| order.selection.exclude.clear()),
                events: ("RolloutRequested monthly", "OrderPlaced a1"),
            },
            Case {
                what: "the order includes less than the policy",
                spoil: |story| {
                    let only = vec![Mask::new("openssl").unwrap()];
                    story.order("a1", |order| order.selection.include = only);
                },
                events: ("RolloutRequested monthly", "OrderPlaced a1"),
            },
        ],
    );
}
