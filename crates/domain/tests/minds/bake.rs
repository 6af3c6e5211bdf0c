//! A phase that bakes under queries passes only with their word, and unknown is never success.

use crate::world::{Fate, World, actor, policy, region, rollout_id, topology, vm};
use chrono::Duration;
use nightshift_domain::gate::{ConditionState, phase_gate};
use nightshift_domain::monitor::Monitor;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Ended, Status};
use nightshift_domain::{Event, Fact, Mind as _, Partition, Time};

const PASSED: Status = Status::Completed { ended: Ended::Passed };

fn queried(during: &str) -> Policy {
    let query = format!(
        r#"[{{"name": "errors", "promql": "errors{{region=~\"$region\"}}", "above": 0.5, "scope": "phase",
              "during": "{during}", "interval_seconds": 60, "failures": 2}}]"#
    );
    Policy { queries: serde_json::from_str(&query).unwrap(), phase_shares: vec![50, 100], ..policy() }
}

/// Two regions that are a phase, and one after them. The first phase has ended, and bakes until the time that is given.
fn baking() -> (World, Monitor, Time) {
    let vms = ["a", "b", "c"].into_iter().flat_map(|name| (1..=4).map(move |n| vm(name, n)));
    let mut world = World::new(topology(&[], &["a", "b", "c"]), vms.collect());
    world.start("one", Policy { phase_shares: vec![70, 100], ..queried("bake") });
    let bakes = |world: &World| world.count(|event| matches!(event, Event::BakeWatchRequested { .. })) > 0;
    world.run_while(3, |_, _| Fate::Healthy, |world| !bakes(world));
    world.now = world.facts.last().unwrap().at;
    let mut monitor = Monitor::default();
    monitor.listen(world.facts[0].at);
    world.facts.iter().for_each(|fact| monitor.apply(fact));
    let until = world.rollout("one").phases[0].ended().unwrap() + Duration::hours(1);
    (world, monitor, until)
}

/// The monitor asks every minute, and its verdicts become facts; until the rollout halts, or has passed its first phase.
fn watch(world: &mut World, monitor: &mut Monitor, value: impl Fn(Time) -> Option<Option<f64>>) {
    let end = world.now + Duration::days(1);
    let phase = |world: &World| {
        world.count(|event| matches!(event, Event::PhasePassed { .. } | Event::RolloutHalted { .. }))
    };
    while world.now < end && phase(world) == 0 {
        for question in monitor.questions(world.now) {
            assert_eq!(question.promql, r#"errors{region=~"a|b"}"#, "once for the phase");
            if let Some(value) = value(world.now) {
                monitor.answer(&question, world.now, value, world.now);
            }
        }
        for decision in monitor.decide(world.now) {
            let Partition::Region(region) = decision.chain.partition() else { panic!("{decision:?}") };
            for event in decision.events {
                world.fact(&region, event);
                monitor.apply(world.facts.last().unwrap());
            }
        }
        let mut decisions = world.planner.decide(world.now);
        decisions.retain(|decision| !matches!(decision.events[0], Event::PhaseStarted { .. }));
        world.wish(Ok(decisions));
        world.now += Duration::minutes(1);
    }
}

fn outcome(world: &World) -> Option<&Event> {
    let events = world.facts.iter().map(|fact| &fact.event);
    events.rev().find(|event| matches!(event, Event::PhasePassed { .. } | Event::RolloutHalted { .. }))
}

#[test]
fn a_phase_that_baked_well_passes_when_it_has_baked() {
    let (mut world, mut monitor, until) = baking();
    watch(&mut world, &mut monitor, |_| Some(Some(0.1)));
    assert!(matches!(outcome(&world), Some(Event::PhasePassed { .. })));
    assert_eq!(world.facts.last().unwrap().at, until);
    assert_eq!(world.count(|event| matches!(event, Event::BakeConfirmed { .. })), 2, "one for each region");
}

#[test]
fn a_query_over_its_limit_halts_at_once() {
    let (mut world, mut monitor, until) = baking();
    watch(&mut world, &mut monitor, |_| Some(Some(0.9)));
    let Some(Event::RolloutHalted { why, .. }) = outcome(&world) else { panic!("{:?}", outcome(&world)) };
    assert!(why.contains("while it baked: a, query errors: 0.9 is above 0.5"), "{why}");
    assert!(world.facts.last().unwrap().at < until, "it does not wait for the end of the bake");
}

#[test]
fn one_ailment_of_two_is_forgiven_where_the_last_word_is_well() {
    let (mut world, mut monitor, until) = baking();
    let bad = world.now + Duration::minutes(10);
    watch(&mut world, &mut monitor, |now| Some(Some(if now == bad { 0.9 } else { 0.1 })));
    assert!(matches!(outcome(&world), Some(Event::PhasePassed { .. })));
    assert_eq!(world.facts.last().unwrap().at, until);
}

#[test]
fn an_outage_of_the_monitoring_is_unknown_and_halts_by_time() {
    let (mut world, mut monitor, until) = baking();
    watch(&mut world, &mut monitor, |_| None);
    let Some(Event::RolloutHalted { why, .. }) = outcome(&world) else { panic!("{:?}", outcome(&world)) };
    assert!(why.contains("unknown: nothing from query errors"), "{why}");
    assert!(world.facts.last().unwrap().at > until + policy().silence);
}

#[test]
fn a_monitor_that_is_away_holds_nothing_for_ever() {
    let (mut world, _, until) = baking();
    world.run_while(3, |_, _| Fate::Healthy, |world| outcome(world).is_none());
    let Some(Event::RolloutHalted { why, .. }) = outcome(&world) else { panic!("{:?}", outcome(&world)) };
    assert!(why.contains("the health-monitor is away"), "{why}");
    assert!(world.now > until);
}

#[test]
fn the_gate_says_how_far_it_is_and_a_person_may_accept_it() {
    let (mut world, mut monitor, until) = baking();
    let condition = |world: &World| {
        let rollout = world.rollout("one");
        let gate = phase_gate(rollout, 0, &rollout.phases[0], world.now);
        gate.into_iter().find(|condition| condition.reason.code == "BakeQueries")
    };
    let waits = condition(&world).unwrap();
    assert_eq!((waits.state, waits.reason.until), (ConditionState::Waits, Some(until)));
    watch(&mut world, &mut monitor, |_| Some(Some(0.9)));
    assert_eq!(condition(&world).unwrap().state, ConditionState::Closed);
    let resumed = world.planner.resume(&rollout_id("one"), actor());
    world.wish(resumed);
    // The next phase bakes well.
    world.run_while(
        9,
        |_, _| Fate::Healthy,
        |world| world.count(|event| matches!(event, Event::BakeWatchRequested { .. })) < 2,
    );
    let last = world.facts.iter().rev().find_map(|fact| match &fact.event {
        Event::BakeWatchRequested { phase, watch, .. } => Some((*phase, *watch)),
        _ => None,
    });
    assert_eq!(last, Some((1, 2)));
    world.fact(&region("c"), Event::BakeConfirmed { rollout: rollout_id("one"), phase: 1, watch: 2 });
    world.run(9, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(world.replayed().0, world.planner);
}

#[test]
fn an_answer_that_is_read_before_its_wish_is_known_when_that_is_read() {
    let (world, mut monitor, _) = baking();
    let asked =
        world.facts.iter().find(|fact| matches!(fact.event, Event::BakeWatchRequested { .. })).unwrap();
    assert_eq!(monitor.questions(world.now).len(), 1);
    let mut anew = Monitor::default();
    anew.listen(world.now);
    for fact in world.facts.iter().filter(|fact| *fact != asked) {
        anew.apply(fact);
    }
    for name in ["a", "b"] {
        let event = Event::BakeConfirmed { rollout: rollout_id("one"), phase: 0, watch: 1 };
        anew.apply(&Fact { partition: Partition::Region(region(name)), at: world.now, event });
    }
    anew.apply(asked);
    assert!(anew.questions(world.now).is_empty());
}

#[test]
fn a_query_of_the_soak_alone_asks_nothing_of_the_bake() {
    let vms = (1..=4).map(|n| vm("a", n)).collect();
    let mut world = World::new(topology(&[], &["a"]), vms);
    world.start("one", queried("soak"));
    world.run(3, |_, _| Fate::Healthy);
    assert_eq!(world.rollout("one").status, PASSED);
    assert_eq!(world.count(|event| matches!(event, Event::BakeWatchRequested { .. })), 0);
}
