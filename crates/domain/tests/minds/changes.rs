//! The fleet changes in the middle of a run.

use crate::world::{Fate, World, policy, region, topology, vm, vm_id};
use nightshift_domain::fleet::PatchMode;
use nightshift_domain::policy::Policy;
use nightshift_domain::run::Standing;
use nightshift_domain::window::Window;
use nightshift_domain::{Decision, Event, Refusal, Time};

/// Four machines, one at a time; the change comes when the first was ordered.
fn world_with_change(change: impl Fn(&World) -> Result<Vec<Decision>, Refusal>) -> World {
    let mut world = World::new(topology(&[], &["a"]), (1..=4).map(|n| vm("a", n)).collect());
    world.start("one", Policy { batch_percent: 1, retry_nights: 0, ..policy() });
    world.run_while(
        9,
        |_, _| Fate::Healthy,
        |world| world.now < "2026-03-02T20:00:00Z".parse::<Time>().unwrap(),
    );
    let changed = change(&world);
    world.wish(changed);
    world.run(9, |_, _| Fate::Healthy);
    world
}

fn standing<'a>(world: &'a World, vm: &str) -> &'a Standing {
    let run = &world.coordinator.runs[&region("a")][&crate::world::rollout_id("one")];
    run.standing(&vm_id(vm)).unwrap()
}

#[test]
fn a_machine_that_left_the_fleet_is_skipped() {
    let world = world_with_change(|world| world.planner.remove_vm(&vm_id("a-3"), None));
    assert!(matches!(standing(&world, "a-3"), Standing::Skipped { why } if why.contains("left")));
    assert_eq!(world.orders().len(), 3);
}

#[test]
fn a_machine_that_is_not_automatic_any_more_is_skipped() {
    let world = world_with_change(|world| {
        let mut changed = vm("a", 3);
        changed.patch_mode = PatchMode::ImageDefault;
        let topology = world.planner.fleet.topology.clone();
        world.planner.declare_fleet(topology, &[], vec![changed])
    });
    assert!(matches!(standing(&world, "a-3"), Standing::Skipped { why } if why.contains("ImageDefault")));
    assert_eq!(world.orders().len(), 3);
}

#[test]
fn a_machine_whose_window_changed_waits_for_a_round_that_knows_the_new_one() {
    let world = world_with_change(|world| {
        let mut changed = vm("a", 3);
        changed.window = Some(Window::parse("01:00", "05:00").unwrap());
        let topology = world.planner.fleet.topology.clone();
        world.planner.declare_fleet(topology, &[], vec![changed])
    });
    assert!(matches!(standing(&world, "a-3"), Standing::Deferred { why } if why.contains("model changed")));
}

#[test]
fn a_subscription_that_gives_the_feature_up_is_left_alone_from_then_on() {
    let world = world_with_change(|world| {
        let subscription = nightshift_domain::SubscriptionId::new("sub").unwrap();
        let feature = nightshift_domain::fleet::Feature::InGuestAutoPatchVMPreview;
        Ok(world.planner.unregister_feature(&subscription, feature))
    });
    assert_eq!(world.orders().len(), 0);
    assert_eq!(world.count(|event| matches!(event, Event::VmSkipped { .. })), 4);
}

#[test]
fn a_machine_that_joins_after_the_run_began_is_for_the_next_rollout() {
    let world = world_with_change(|world| {
        let topology = world.planner.fleet.topology.clone();
        world.planner.declare_fleet(topology, &[], vec![vm("a", 5)])
    });
    assert_eq!(world.orders().len(), 4);
    let why =
        nightshift_domain::explain::explain(&vm_id("a-5"), &world.planner, &world.coordinator, world.now);
    assert!(why.reasons.iter().any(|reason| reason.code == "NotEnlisted"), "{why:?}");
}
