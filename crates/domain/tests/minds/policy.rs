//! What a policy asks for, done.

use crate::world::{Fate, World, actor, policy, rollout_id, topology, vm};
use chrono::{Datelike as _, Duration};
use nightshift_domain::explain::explain;
use nightshift_domain::health::Baseline;
use nightshift_domain::policy::{Approvals, Blackout, Budgets, OnFailure, Policy};
use nightshift_domain::rollout::{Ended, Status};
use nightshift_domain::{Event, Mind as _, Time};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn two_regions() -> World {
    let vms = ["a", "b"].into_iter().flat_map(|name| (1..=6).map(move |n| vm(name, n))).collect();
    World::new(topology(&[("a", "b")], &[]), vms)
}

#[test]
fn a_phase_waits_for_its_approval() {
    let mut world = two_regions();
    world.start("one", Policy { approvals: Approvals::BetweenPhases, ..policy() });
    world.run(8, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").tally().healthy, 6);
    let refused = world.planner.approve(&rollout_id("one"), 2, actor()).unwrap_err();
    assert_eq!(refused.code, "PhaseNotFound");
    let approved = world.planner.approve(&rollout_id("one"), 1, actor());
    world.wish(approved);
    world.run(8, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, Status::Completed { ended: Ended::Passed });
}

#[test]
fn what_was_cancelled_is_neither_approved_nor_started_any_more() {
    let mut world = two_regions();
    world.start("one", Policy { approvals: Approvals::BetweenPhases, ..policy() });
    let cancelled = world.planner.cancel(&rollout_id("one"), actor());
    world.wish(cancelled);
    let refused = world.planner.approve(&rollout_id("one"), 1, actor()).unwrap_err();
    assert_eq!(refused.code, "RolloutStateConflict");
    assert!(refused.sentence.ends_with("it is cancelled"), "{}", refused.sentence);
    let same = world.rollout("one").policy.clone();
    let refused = world.planner.start(&rollout_id("one"), same, actor()).unwrap_err();
    assert!(refused.code == "RolloutExists" && refused.sentence.contains("is cancelled"), "{refused:?}");
}

#[test]
fn a_phase_waits_for_a_second_person() {
    let mut world = two_regions();
    world.start("one", Policy { approvals: Approvals::SecondPerson, ..policy() });
    world.run(8, |_, _| Fate::Healthy);
    let refused = world.planner.approve(&rollout_id("one"), 1, actor()).unwrap_err();
    assert_eq!(refused.code, "SecondPersonNeeded");
    assert_eq!(world.rollout("one").tally().healthy, 6);
    let second = nightshift_domain::rollout::Actor { name: "a second person".into(), ..actor() };
    let approved = world.planner.approve(&rollout_id("one"), 1, second);
    world.wish(approved);
    world.run(8, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, Status::Completed { ended: Ended::Passed });
}

#[test]
fn a_vms_own_reboot_setting_reaches_its_order_unless_the_rollout_reboots_nobody() {
    use nightshift_domain::patch::RebootSetting::{self, Always, IfRequired, Never};
    let orders = |policy_says: RebootSetting| {
        let own = |name: &str, reboot| nightshift_domain::fleet::Vm { reboot, ..vm(name, 1) };
        let vms = vec![own("a", Some(Always)), own("b", Some(Never)), own("c", None)];
        let mut world = World::new(topology(&[], &["a", "b", "c"]), vms);
        world.start("one", Policy { reboot: policy_says, ..policy() });
        world.run(10, |_, _| Fate::Healthy);
        let mut orders: Vec<_> =
            world.orders().into_iter().map(|(_, order)| (order.vm.to_string(), order.reboot)).collect();
        orders.sort_by(|one, other| one.0.cmp(&other.0));
        orders.into_iter().map(|(_, reboot)| reboot).collect::<Vec<_>>()
    };
    assert_eq!(orders(IfRequired), [Always, Never, IfRequired]);
    assert_eq!(orders(Never), [Never, Never, Never]);
}

#[test]
fn no_order_touches_a_blackout() {
    let mut world = two_regions();
    let day = |text: &str| text.parse().unwrap();
    let blackouts = vec![Blackout { from: day("2026-03-03"), to: day("2026-03-05") }];
    world.start("one", Policy { blackouts, ..policy() });
    world.run(20, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").tally().healthy, 12);
    let first = world.orders().iter().map(|(at, _)| *at).min().unwrap();
    assert_eq!(first, at("2026-03-06T22:00:00Z"));
}

#[test]
fn canaries_go_first_whatever_their_size() {
    let vms =
        [("a", 2), ("b", 9)].into_iter().flat_map(|(name, n)| (1..=n).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[("a", "b")], &[]), vms);
    world.start("one", Policy { canaries: vec![crate::world::region("b")], ..policy() });
    let phases = &world.rollout("one").phases;
    assert_eq!(phases[0].planned.regions[0].region, crate::world::region("b"));
    let unknown = Policy { canaries: vec![crate::world::region("atlantis")], ..policy() };
    let refused = world.planner.start(&rollout_id("two"), unknown, actor()).unwrap_err();
    assert!(refused.sentence.contains("atlantis"), "{refused}");
}

#[test]
fn never_more_in_flight_than_the_policy_says() {
    let mut world = World::new(topology(&[], &["a"]), (1..=20).map(|n| vm("a", n)).collect());
    world.start("one", Policy { batch_percent: 90, max_in_flight: Some(3), ..policy() });
    world.run(20, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").tally().healthy, 20);
    let mut in_flight: i32 = 0;
    for fact in &world.facts {
        match fact.event {
            Event::OrderPlaced { .. } => in_flight += 1,
            Event::VmSettled { .. } => in_flight -= 1,
            _ => {}
        }
        assert!(in_flight <= 3);
    }
}

#[test]
fn a_bound_that_is_lowered_holds_for_those_already_called() {
    let mut world = World::new(topology(&[], &["a"]), (1..=4).map(|n| vm("a", n)).collect());
    let all_at_once = Policy { batch_percent: 100, max_in_flight: Some(4), ..policy() };
    world.start("one", all_at_once.clone());
    world.now = at("2026-03-02T22:00:00Z");
    let called = |event: &Event| matches!(event, Event::WatchRequested { .. });
    while world.count(called) == 0 {
        let mut decisions = world.planner.decide(world.now);
        decisions.extend(world.coordinator.decide(world.now));
        world.append(decisions);
    }
    for n in 1..=4 {
        let vm = crate::world::vm_id(&format!("a-{n}"));
        let (rollout, baseline) = (rollout_id("one"), Baseline::Well);
        world.fact(&crate::world::region("a"), Event::WatchOpened { vm, rollout, baseline, sample: None });
    }
    let lowered = Policy { max_in_flight: Some(1), ..all_at_once };
    let lowered = world.planner.change_policy(&rollout_id("one"), lowered, actor());
    world.wish(lowered);
    for _ in 0..3 {
        let decisions = world.coordinator.decide(world.now);
        world.append(decisions);
    }
    let ordered: Vec<_> = world.orders().into_iter().map(|(_, order)| order.vm.clone()).collect();
    assert_eq!(ordered.len(), 1);
    let other = (1..=4).map(|n| crate::world::vm_id(&format!("a-{n}"))).find(|vm| !ordered.contains(vm));
    let explanation = explain(&other.unwrap(), &world.planner, &world.coordinator, world.now);
    assert_eq!(explanation.reasons.last().unwrap().code, "PlacesTaken");
}

#[test]
fn those_that_are_left_are_never_all_in_flight() {
    let mut world = World::new(topology(&[], &["a"]), (1..=3).map(|n| vm("a", n)).collect());
    world.start("one", Policy { batch_percent: 100, ..policy() });
    let started = |event: &Event| matches!(event, Event::StepStarted { vms, .. } if vms.len() == 2);
    world.run_while(1, |_, _| Fate::Healthy, |world| world.count(started) == 0);
    assert_eq!(world.count(started), 1, "a batch of two, one to stand in for them");
    // The one that was to stand in leaves before the night.
    let left = world.planner.remove_vm(&crate::world::vm_id("a-3"), None);
    world.wish(left);
    world.run(3, |_, _| Fate::Healthy);
    let mut flying = std::collections::BTreeSet::new();
    for fact in &world.facts {
        match &fact.event {
            Event::OrderPlaced { order } => flying.insert(order.vm.clone()),
            Event::VmSettled { vm, .. } => flying.remove(vm),
            _ => continue,
        };
        assert!(flying.len() < 2, "both that are left are in flight at {}", fact.at);
    }
    assert_eq!(world.orders().len(), 2);
}

#[test]
fn where_the_policy_goes_on_a_bad_region_ends_alone() {
    let vms = ["a", "b", "c"].into_iter().flat_map(|name| (1..=6).map(move |n| vm(name, n))).collect();
    let mut world = World::new(topology(&[], &["a", "b", "c"]), vms);
    let mut budgets = Budgets::default();
    budgets.phase.percent = 50;
    let policy = Policy {
        on_failure: OnFailure::Continue,
        phase_shares: vec![100],
        budgets,
        retry_nights: 0,
        ..policy()
    };
    world.start("one", policy);
    world.run(20, |vm, _| if vm.starts_with("b") { Fate::Ill } else { Fate::Healthy });
    let rollout = world.rollout("one");
    assert_eq!(rollout.status, Status::Completed { ended: Ended::Passed });
    let tally = rollout.tally();
    assert_eq!((tally.healthy, tally.failed, tally.skipped), (12, 3, 3));
    assert_eq!(world.count(|event| matches!(event, Event::RolloutHalted { .. })), 0);
}

#[test]
fn a_changed_policy_holds_from_then_on_and_says_who_and_why() {
    let mut world = two_regions();
    world.start("one", policy());
    let slower = Policy { bake: Duration::days(3), ..policy() };
    let changed = world.planner.change_policy(&rollout_id("one"), slower.clone(), actor());
    world.wish(changed);
    world.run(20, |_, _| Fate::Healthy);
    let passed: Vec<Time> = world
        .facts
        .iter()
        .filter(|fact| matches!(fact.event, Event::PhasePassed { .. }))
        .map(|fact| fact.at)
        .collect();
    assert!(passed[0] >= at("2026-03-05T22:00:00Z"), "{passed:?}");
    let refused = world.planner.change_policy(&rollout_id("one"), slower, actor()).unwrap_err();
    assert_eq!(refused.code, "RolloutStateConflict");
}

#[test]
fn shares_of_a_planned_rollout_are_fixed() {
    let mut world = two_regions();
    world.start("one", policy());
    let other = Policy { phase_shares: vec![100], ..policy() };
    assert_eq!(
        world.planner.change_policy(&rollout_id("one"), other, actor()).unwrap_err().code,
        "PolicyFieldFixed"
    );
}

#[test]
fn a_budget_of_the_region_halts_though_no_step_exceeds_its_own() {
    let mut world = World::new(topology(&[], &["a"]), (1..=20).map(|n| vm("a", n)).collect());
    let mut budgets = Budgets::all(0, 1);
    budgets.zone.vms = 100;
    budgets.region.vms = 2;
    world.start("one", Policy { batch_percent: 10, budgets, ..policy() });
    // Each step has one that fails.
    world.run_while(
        3,
        |vm, _| if number(vm).is_multiple_of(2) { Fate::Ill } else { Fate::Healthy },
        |world| !matches!(world.rollout("one").status, Status::Halted { .. }),
    );
    let Status::Halted { why, .. } = &world.rollout("one").status else { panic!("not halted") };
    assert!(why.contains("the region") && why.starts_with('3'), "{why}");
}

fn number(vm: &str) -> u32 {
    vm.rsplit('-').next().unwrap().parse().unwrap()
}

#[test]
fn the_first_night_is_the_first_of_the_rollout() {
    let mut world = two_regions();
    world.start("one", policy());
    world.run(3, |_, _| Fate::Healthy);
    assert_eq!(world.orders()[0].0.day(), 2);
}
