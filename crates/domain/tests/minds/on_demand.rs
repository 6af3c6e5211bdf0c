//! Patches that a person has installed on one VM, beside rollouts.

use crate::world::{Fate, World, actor, policy, rollout_id, topology, vm, vm_id};
use chrono::Duration;
use nightshift_domain::explain::{Explanation, explain, explain_in};
use nightshift_domain::fleet::{Placement, Vm};
use nightshift_domain::on_demand::InstallWish;
use nightshift_domain::patch::{Classification, RebootSetting};
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Ended, PhaseState, Status};
use nightshift_domain::selection::Mask;
use nightshift_domain::{Event, Mind as _, OrderId, Refusal, RolloutId, Time};
use std::collections::BTreeMap;

fn wish(vm: &str) -> InstallWish {
    InstallWish {
        vm: vm_id(vm),
        classifications: vec![Classification::Critical, Classification::Other],
        include: vec![Mask::new("openssl*").unwrap()],
        exclude: Vec::new(),
        reboot: RebootSetting::Never,
        longest_work: Duration::minutes(60),
        within: Duration::hours(24),
    }
}

fn install(world: &mut World, id: &str, wish: &InstallWish) {
    let installed = world.planner.install(&rollout_id(id), wish, actor(), world.now);
    world.wish(installed);
}

fn refused(world: &World, id: &str, wish: &InstallWish) -> Refusal {
    world.planner.install(&rollout_id(id), wish, actor(), world.now).unwrap_err()
}

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn healthy(_: &str, _: Time) -> Fate {
    Fate::Healthy
}

/// Of each order: of which rollout, from when to when it was in flight.
fn flights(world: &World) -> BTreeMap<OrderId, (RolloutId, String, Time, Option<Time>)> {
    let mut flights = BTreeMap::new();
    for fact in &world.facts {
        match &fact.event {
            Event::OrderPlaced { order } => {
                let flight = (order.rollout.clone(), order.vm.to_string(), fact.at, None);
                flights.insert(order.id.clone(), flight);
            }
            Event::VmSettled { order, .. } => flights.get_mut(order).unwrap().3 = Some(fact.at),
            _ => {}
        }
    }
    flights
}

fn flight(world: &World, vm: &str, rollout: &str) -> (Time, Time) {
    let of_it = flights(world).into_values().find(|(of, who, ..)| who == vm && of.as_str() == rollout);
    let (_, _, from, until) = of_it.unwrap_or_else(|| panic!("{vm} has no order of {rollout}"));
    (from, until.unwrap())
}

#[test]
fn it_is_an_order_of_what_the_person_said_in_the_next_window_and_then_it_is_over() {
    let mut world = World::new(topology(&[], &["a"]), vec![vm("a", 1), vm("a", 2)]);
    install(&mut world, "one", &wish("a-1"));
    world.run(3, healthy);
    let orders = world.orders();
    assert_eq!(orders.len(), 1, "{orders:?}");
    let (placed, order) = orders[0];
    assert_eq!((placed, order.vm.as_str()), (at("2026-03-02T22:00:00Z"), "a-1"));
    assert_eq!(order.reboot, RebootSetting::Never);
    assert_eq!(order.selection.classifications, [Classification::Critical, Classification::Other]);
    assert_eq!(order.selection.include, wish("a-1").include);
    assert_eq!(order.deadline - order.not_after, Duration::minutes(60));
    assert_eq!(world.rollout("one").status, Status::Completed { ended: Ended::Passed });
    assert_eq!(world.rollout("one").tally().healthy, 1);
    let again = world.planner.install(&rollout_id("one"), &wish("a-1"), actor(), world.now).unwrap();
    assert_eq!(again, [], "the same wish again installs nothing twice");
    let (planner, coordinator) = world.replayed();
    assert_eq!(planner.decide(world.now), []);
    assert_eq!(coordinator.decide(world.now), []);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let manual = Vm { patch_mode: nightshift_domain::fleet::PatchMode::ImageDefault, ..vm("a", 2) };
    let mut world = World::new(topology(&[], &["a"]), vec![vm("a", 1), manual]);
    let by_day = refused(&world, "x", &InstallWish { within: Duration::minutes(30), ..wish("a-1") });
    assert_eq!(by_day.code, "OutsideWindow");
    assert!(by_day.sentence.contains("2026-03-02 22:00 UTC"), "{by_day}");
    let too_long = refused(&world, "x", &InstallWish { longest_work: Duration::hours(9), ..wish("a-1") });
    assert!(too_long.sentence.contains("never long enough"), "{too_long}");
    assert_eq!(refused(&world, "x", &wish("a-9")).code, "VmNotFound");
    assert_eq!(refused(&world, "x", &wish("a-2")).code, "PatchModeNotAutomaticByPlatform");
    let nothing = InstallWish { classifications: Vec::new(), ..wish("a-1") };
    let nothing = refused(&world, "x", &nothing);
    assert!(nothing.sentence.contains("classifications"), "{nothing}");
    assert_eq!((nothing.code.as_str(), nothing.about.as_str()), ("InvalidPolicy", "classifications"));
    let endless = refused(&world, "x", &InstallWish { longest_work: Duration::days(2), ..wish("a-1") });
    assert_eq!(
        (endless.code.as_str(), endless.about.as_str()),
        ("InvalidPolicy", "maximum_duration_seconds")
    );
    install(&mut world, "one", &wish("a-1"));
    assert_eq!(refused(&world, "two", &wish("a-1")).code, "InstallUnderWay");
    let retried = world.planner.retry(&rollout_id("one"), actor()).unwrap_err();
    assert_eq!((retried.code.as_str(), retried.about.as_str()), ("RolloutOnDemand", "one"));
    let changed = world.planner.change_policy(&rollout_id("one"), policy(), actor()).unwrap_err();
    assert_eq!((changed.code.as_str(), changed.about.as_str()), ("RolloutOnDemand", "one"));
}

#[test]
fn it_waits_for_the_geo_pair_and_ends_with_that_reason_if_it_waits_too_long() {
    let vms = vec![vm("a", 1), vm("b", 1), vm("b", 2)];
    let mut world = World::new(topology(&[("a", "b")], &[]), vms);
    let together = Policy { canaries: vec![crate::world::region("b")], ..policy() };
    world.start("monthly", together);
    install(&mut world, "late", &InstallWish { within: Duration::hours(11), ..wish("a-1") });
    // It was asked for in the moment in which no turn was held: it goes first, and the pair waits for it.
    let lost = |vm: &str, _: Time| if vm.starts_with('b') { Fate::Lost } else { Fate::Healthy };
    world.run_while(1, lost, |world| world.count(|event| matches!(event, Event::TurnEnded { .. })) < 1);
    let turns = world.facts.iter().filter_map(|fact| match &fact.event {
        Event::TurnGranted { rollout, .. } => Some(rollout.as_str()),
        _ => None,
    });
    assert_eq!(turns.collect::<Vec<_>>()[0], "late");
    // From then on b holds its turn.
    world.run_while(1, lost, |world| !world.rollout("monthly").turns().any(|(_, _, turn)| turn.is_held()));
    let asked = world.facts.last().unwrap().at;
    world.now = asked;
    install(&mut world, "later", &InstallWish { within: Duration::minutes(10), ..wish("a-1") });
    let waits = |world: &World| world.rollout("later").phases[0].state == PhaseState::Waiting;
    world.run_while(1, lost, waits);
    let explained = explain(&vm_id("a-1"), &world.planner, &world.coordinator, asked);
    let last = explained.reasons.last().unwrap();
    assert!(last.code == "TurnWaits" && last.sentence.contains("\"b\""), "{explained:?}");
    world.run(40, lost);
    let expired = world.facts.iter().find_map(|fact| match &fact.event {
        Event::RolloutExpired { rollout, why } if rollout.as_str() == "later" => Some(why.clone()),
        _ => None,
    });
    assert!(expired.unwrap().contains("geo-pair"));
    assert_eq!(world.rollout("later").status, Status::Completed { ended: Ended::Expired });
}

/// Who asks for the machine is told of the rollout that was asked for last; who asks for the install, of the install.
#[test]
fn an_install_is_explained_by_itself_whichever_rollout_speaks_for_the_machine() {
    let mut world = World::new(topology(&[], &["a"]), vec![vm("a", 1), vm("a", 2)]);
    install(&mut world, "one", &wish("a-1"));
    world.now += Duration::hours(1);
    world.start("monthly", policy());
    let first = |explained: Explanation| explained.reasons[0].sentence.clone();
    let of_machine = explain(&vm_id("a-1"), &world.planner, &world.coordinator, world.now);
    assert_eq!(first(of_machine), "rollout \"monthly\" is under way");
    let within = |rollout: &str| {
        explain_in(&rollout_id(rollout), &vm_id("a-1"), &world.planner, &world.coordinator, world.now)
    };
    assert_eq!(first(within("one").unwrap()), "rollout \"one\" is under way");
    assert_eq!(within("none"), None);
}

fn placed(number: usize, placement: Placement) -> Vm {
    Vm { placement, ..vm("a", number) }
}

fn set(update_domain: u8) -> Placement {
    Placement::AvailabilitySet { set: "web".parse().unwrap(), update_domain }
}

/// While the machine of the person is in flight, lost to its monitor, no order of the rollout is beside it; and the person's
/// does not wait for the rollout.
fn keeps_clear(vms: Vec<Vm>, asked: &str, others: &[&str]) {
    let mut topology = topology(&[], &["a"]);
    let zones = ["z1", "z2"].map(|zone| zone.parse().unwrap());
    topology.regions.values_mut().for_each(|region| region.zones = zones.clone().into());
    let mut world = World::new(topology, vms);
    let policy = Policy { phase_shares: vec![100], ..policy() };
    world.start("monthly", policy);
    install(&mut world, "one", &wish(asked));
    world.run(6, |vm, now| {
        let is_first = now < at("2026-03-03T00:00:00Z");
        if vm == asked && is_first { Fate::Lost } else { Fate::Healthy }
    });
    let (from, until) = flight(&world, asked, "one");
    assert_eq!(from, at("2026-03-02T22:00:00Z"), "it does not wait for the rollout");
    assert!(until > from + Duration::minutes(30));
    for other in others {
        let (placed, _) = flight(&world, other, "monthly");
        assert!(placed >= until, "{other} is ordered at {placed}, while {asked} is in flight until {until}");
    }
    assert_eq!(world.rollout("monthly").tally().healthy as usize, world.planner.fleet.vms.len());
}

#[test]
fn no_other_zone_is_touched_beside_it() {
    let zone = |name: &str| Placement::Zone(name.parse().unwrap());
    let vms = vec![placed(1, zone("z1")), placed(2, zone("z1")), placed(3, zone("z2"))];
    keeps_clear(vms, "a-3", &["a-1", "a-2"]);
}

#[test]
fn no_other_machine_of_its_set_is_touched_beside_it() {
    let vms = vec![placed(1, set(0)), placed(2, set(0)), placed(3, set(1))];
    keeps_clear(vms, "a-3", &["a-1", "a-2"]);
}

#[test]
fn it_takes_its_part_of_its_subscriptions_share() {
    keeps_clear((1..=3).map(|number| vm("a", number)).collect(), "a-3", &["a-1", "a-2"]);
}

#[test]
fn a_rollout_that_has_the_machine_in_flight_comes_first() {
    let vms = vec![vm("a", 1), vm("a", 2), vm("a", 3), vm("a", 4)];
    let mut world = World::new(topology(&[], &["a"]), vms);
    world.start("monthly", Policy { phase_shares: vec![100], ..policy() });
    let lost = |vm: &str, _: Time| if vm == "a-1" { Fate::Lost } else { Fate::Healthy };
    world.run_while(1, lost, |world| world.orders().is_empty());
    // The moment of the order, not the next one at which anything happens.
    let ordered = world.orders()[0].0;
    world.now = ordered;
    install(&mut world, "one", &wish("a-1"));
    world.run_while(1, lost, |world| !world.rollout("one").turns().any(|(_, _, turn)| turn.is_held()));
    let explained = explain(&vm_id("a-1"), &world.planner, &world.coordinator, ordered);
    assert!(explained.reasons.iter().any(|reason| reason.code == "KeptBack"), "{explained:?}");
    world.run(6, |_, _| Fate::Healthy);
    let (_, until) = flight(&world, "a-1", "monthly");
    let (from, _) = flight(&world, "a-1", "one");
    assert!(from >= until, "ordered at {from}, in flight until {until}");
}

/// The run yields in its own chain: an instance that has not read of it has lost its append already.
#[test]
fn a_run_yields_before_the_order_and_only_once() {
    let vms = (1..=4).map(|number| vm("a", number)).collect();
    let mut world = World::new(topology(&[], &["a"]), vms);
    world.start("monthly", Policy { phase_shares: vec![100], ..policy() });
    world.run_while(1, healthy, |world| world.count(|event| matches!(event, Event::RunStarted { .. })) == 0);
    install(&mut world, "one", &wish("a-1"));
    world.run(6, healthy);
    let place = |wanted: &dyn Fn(&Event) -> bool| world.facts.iter().position(|fact| wanted(&fact.event));
    let yielded = |event: &Event| matches!(event, Event::RunYielded { to, .. } if to.as_str() == "one");
    let ordered =
        |event: &Event| matches!(event, Event::OrderPlaced { order } if order.rollout.as_str() == "one");
    assert!(place(&yielded).unwrap() < place(&ordered).unwrap());
    assert_eq!(world.count(yielded), 1);
}
