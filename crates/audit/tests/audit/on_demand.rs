//! What a person has installed on one VM is exempt from S3 to S5 itself, and in flight for everybody else.

use crate::cases::{Case, each_breaks_only_of};
use crate::story::{Story, batch, id, phase, policy, set, tally, vm};
use chrono::Duration;
use nightshift_audit::Rule;
use nightshift_domain::event::{Order, Outcome};
use nightshift_domain::fleet::Placement;
use nightshift_domain::health::Baseline;
use nightshift_domain::layout::{Member, StageKey, StepKey};
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::patch::{Classification, RebootSetting};
use nightshift_domain::rollout::Actor;
use nightshift_domain::window::Window;
use nightshift_domain::{Event, RolloutId};

fn urgent() -> RolloutId {
    id("urgent")
}

/// The clean story, in whose first night a person has p1 patched: it is placed there, and flies while another does.
fn beside(other: &str, placement: Placement) -> Story {
    let mut story = Story::clean();
    let machine = vm("p1", "west", placement);
    story.insert_after("VmRegistered e2", [Event::VmRegistered { vm: machine.clone() }]);
    let enabled = Event::AgentEnabled { vm: machine.id.clone(), report: 1 };
    story.insert_after("AgentEnabled z1a", [enabled]);
    let began = story.time(&format!("OrderPlaced {other}"));
    let on_demand = Some(OnDemand { vm: machine.id.clone(), not_after: began + Duration::minutes(30) });
    let mut policy = policy();
    policy.classifications.push(Classification::Other);
    let actor = Actor { name: "ada".into(), reason: "a hole".into() };
    let requested = Event::RolloutRequested { rollout: urgent(), policy: policy.clone(), actor, on_demand };
    let region_name = id("west");
    let granted = Event::TurnGranted { rollout: urgent(), phase: 0, region: id("west"), round: 1 };
    let planned = Event::RolloutPlanned { rollout: urgent(), phases: vec![phase(&["west"])] };
    let first_phase = Event::PhaseStarted { rollout: urgent(), phase: 0 };
    story.insert_after("TurnGranted west", [requested, planned, first_phase, granted]);

    let member = Member {
        vm: machine.id.clone(),
        subscription: machine.subscription.clone(),
        placement: machine.placement.clone(),
        window: Window::default_off_peak(),
        time_zone: chrono_tz::Europe::Berlin,
    };
    let (stage, step) = match &machine.placement {
        Placement::Zone(zone) => {
            (StageKey::Zone(zone.clone()), StepKey::ZoneBatch { zone: zone.clone(), batch: 1 })
        }
        Placement::AvailabilitySet { set, update_domain } => {
            let (set, update_domain) = (set.clone(), *update_domain);
            (StageKey::Zoneless, StepKey::UpdateDomain { set, update_domain })
        }
        Placement::Standalone => (StageKey::Zoneless, batch(1)),
    };
    let order = Order {
        id: id("urgent-p1"),
        rollout: urgent(),
        vm: machine.id.clone(),
        not_after: began + Duration::minutes(30),
        deadline: began + Duration::minutes(90),
        reboot: RebootSetting::IfRequired,
        selection: policy.selection(),
        signature: None,
    };
    let Event::OrderFinished { result, .. } = story.copy("OrderFinished z1a") else { unreachable!() };
    let (rollout, vms) = (urgent, vec![machine.id.clone()]);
    let started =
        Event::RunStarted { rollout: rollout(), region: region_name, phase: 0, round: 1, policy, retries: 0 };
    let baseline = Baseline::Well;
    let placed = [
        started,
        Event::RunEnlisted { rollout: rollout(), members: vec![member] },
        Event::StageStarted { rollout: rollout(), stage: stage.clone() },
        Event::StepStarted { rollout: rollout(), step: step.clone(), vms: vms.clone() },
        Event::WatchRequested { rollout: rollout(), vms },
        Event::WatchOpened { vm: machine.id.clone(), rollout: rollout(), baseline, sample: None },
        Event::OrderPlaced { order: order.clone() },
        Event::OrderAccepted { vm: machine.id.clone(), report: 2, order: order.id.clone(), began },
        Event::OrderFinished { vm: machine.id.clone(), report: 3, order: order.id.clone(), result },
    ];
    story.insert_after(&format!("OrderPlaced {other}"), placed);
    let (tally, patches) = (tally(1, 0), Vec::new());
    let outcome = Outcome::Healthy;
    let settled = [
        Event::HealthConfirmed { vm: machine.id.clone(), order: order.id.clone() },
        Event::VmSettled { rollout: rollout(), vm: machine.id, order: order.id, outcome, blamed: Vec::new() },
        Event::StepEnded { rollout: rollout(), step, tally, patches: patches.clone() },
        Event::StageEnded { rollout: rollout(), stage },
        Event::RunCompleted { rollout: rollout(), round: 1, tally, patches: patches.clone() },
    ];
    story.insert_after(&format!("HealthConfirmed {other}"), settled);
    let ended =
        Event::TurnEnded { rollout: rollout(), phase: 0, region: id("west"), round: 1, tally, patches };
    story.insert_after("TurnEnded west", [ended, Event::RolloutCompleted { rollout: rollout(), tally }]);
    story
}

fn another_zone() -> Story {
    beside("z1a", Placement::Zone(id("z2")))
}

fn another_domain() -> Story {
    beside("s0", set("two-domains", 1))
}

fn another_of_the_subscription() -> Story {
    beside("a1", Placement::Standalone)
}

/// The same without a person's word for it: a rollout like any other.
fn of_nobody(story: &mut Story) {
    story.edit("RolloutRequested urgent", |event| {
        let Event::RolloutRequested { on_demand, policy, .. } = event else { unreachable!() };
        *on_demand = None;
        policy.classifications.pop();
    });
    story.edit("OrderPlaced p1", |event| {
        let Event::OrderPlaced { order } = event else { unreachable!() };
        order.selection.classifications.pop();
    });
    for (.., event) in &mut story.entries {
        if let Event::RunStarted { rollout, policy, .. } = event
            && *rollout == urgent()
        {
            policy.classifications.pop();
        }
    }
}

/// The order of the rollout comes while that of the person flies, not before.
fn after(story: &mut Story, other: &str) {
    for event in ["WatchOpened", "OrderPlaced"] {
        story.move_after(&format!("{event} {other}"), "OrderPlaced p1");
    }
    story.move_after(&format!("OrderPlaced {other}"), &format!("WatchOpened {other}"));
}

#[test]
fn zones_are_kept_apart_from_it_and_not_it_from_them() {
    let events = ("OrderPlaced z1a", "OrderPlaced p1");
    let reverse = ("OrderPlaced p1", "OrderPlaced z1a");
    each_breaks_only_of(
        another_zone,
        Rule::S3,
        &[
            Case { what: "nobody asked for it on demand", spoil: of_nobody, events },
            Case { what: "a rollout orders beside it", spoil: |story| after(story, "z1a"), events: reverse },
        ],
    );
}

#[test]
fn its_set_is_kept_apart_from_it_and_not_it_from_its_set() {
    each_breaks_only_of(
        another_domain,
        Rule::S4,
        &[
            Case {
                what: "nobody asked for it on demand",
                spoil: of_nobody,
                events: ("OrderPlaced s0", "OrderPlaced p1"),
            },
            Case {
                what: "a rollout orders beside it",
                spoil: |story| after(story, "s0"),
                events: ("OrderPlaced p1", "OrderPlaced s0"),
            },
        ],
    );
}

#[test]
fn it_counts_for_its_subscription() {
    each_breaks_only_of(
        another_of_the_subscription,
        Rule::S5,
        &[
            Case {
                what: "nobody asked for it on demand",
                spoil: of_nobody,
                events: ("OrderPlaced a1", "OrderPlaced p1"),
            },
            Case {
                what: "a rollout orders beside it",
                spoil: |story| after(story, "a1"),
                events: ("OrderPlaced p1", "OrderPlaced a1"),
            },
        ],
    );
}

#[test]
fn it_is_on_that_machine_by_that_time() {
    each_breaks_only_of(
        another_zone,
        Rule::S8,
        &[Case {
            what: "another machine was meant",
            spoil: |story| {
                story.edit("RolloutRequested urgent", |event| {
                    let Event::RolloutRequested { on_demand: Some(on_demand), .. } = event else {
                        unreachable!()
                    };
                    on_demand.vm = id("a1");
                });
            },
            events: ("RolloutRequested urgent", "OrderPlaced p1"),
        }],
    );
    each_breaks_only_of(
        another_zone,
        Rule::S9,
        &[Case {
            what: "it may begin later than was asked for",
            spoil: |story| story.order("p1", |order| order.not_after += Duration::minutes(1)),
            events: ("RolloutRequested urgent", "OrderPlaced p1"),
        }],
    );
    // The geo-pair is no exception.
    each_breaks_only_of(
        another_zone,
        Rule::S1,
        &[Case {
            what: "its region's pair holds a turn",
            spoil: |story| {
                let of_it = |event: &Event| {
                    matches!(event, Event::TurnEnded { rollout, .. } | Event::RolloutCompleted { rollout, .. }
                        if *rollout == urgent())
                };
                let (ends, rest) =
                    std::mem::take(&mut story.entries).into_iter().partition(|(.., e)| of_it(e));
                story.entries = rest;
                let place = story.entries.iter().position(|(.., event)| {
                    matches!(event, Event::TurnGranted { region, .. } if region.as_str() == "east")
                });
                let ends: Vec<_> = ends;
                story.entries.splice(place.unwrap() + 1..place.unwrap() + 1, ends);
            },
            events: ("TurnGranted west", "TurnGranted east"),
        }],
    );
}
