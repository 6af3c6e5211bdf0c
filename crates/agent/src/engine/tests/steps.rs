//! Death at every write of a whole order: the writes are counted first, then the agent dies before and after each of
//! them, once by kill -9, once by a power cut; and goes on.

use super::*;
use crate::store::{Moment, Watcher};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    Kill,
    PowerCut,
}

/// Everything that an order can meet: a reboot that is due already, the package manager's own package, one that
/// always fails, a kernel, and a patch that only shows when the others are in.
fn machine() -> Machine {
    Machine {
        reboot_required: true,
        failing: set(&["bad"]),
        lacks_later: vec![patch("late", Classification::Critical)],
        ..lacking(&["kernel", "a", "bad", "b", "c", "pm-tool"])
    }
}

/// Dies at this change.
fn dies(at: usize, when: Moment, count: Arc<AtomicUsize>) -> Watcher {
    Arc::new(move |name, moment| {
        if moment == when && count.fetch_add(1, Ordering::SeqCst) == at {
            panic!("the test ends the agent at change {at}, {moment:?}: {name}");
        }
    })
}

/// One life of the agent, as its worker lives it.
async fn live(engine: Engine, spool: Spool, order: Order) {
    engine.catch_up().unwrap();
    for order in engine.unfinished().unwrap() {
        engine.carry_out(order).await.unwrap();
    }
    if !spool.holds_end_of(&order.id) {
        engine.carry_out(order).await.unwrap();
    }
}

async fn die_and_go_on(at: usize, when: Moment, death: Death) -> bool {
    let bench = Bench::new(machine());
    let order = bench.order(NIGHT);
    let count = Arc::new(AtomicUsize::new(0));
    let store = bench.store.clone().watched(dies(at, when, count));
    let (engine, spool) = bench.engine_on(store);
    if tokio::spawn(live(engine, spool, order.clone())).await.is_ok() {
        return false;
    }
    if death == Death::PowerCut {
        bench.fake.machine.lock().unwrap().power_cut();
    }
    let (engine, spool) = bench.engine_on(bench.store.clone());
    live(engine, spool, order.clone()).await;
    let what = format!("change {at}, {when:?}, {death:?}: {:?} {:?}", bench.log(), bench.reports());

    let expected = [
        ("a", PatchState::Installed),
        ("b", PatchState::Installed),
        ("bad", PatchState::Failed),
        ("c", PatchState::Installed),
        ("kernel", PatchState::Installed),
        ("late", PatchState::Installed),
        ("pm-tool", PatchState::Installed),
    ];
    assert_eq!(bench.states(), expected.map(|(name, state)| (name.to_owned(), state)).into(), "{what}");
    assert_eq!(bench.result().error, None, "{what}");
    assert_eq!(bench.result().reboot, RebootStatus::Completed, "{what}");
    let numbers: Vec<u64> = bench.reports().iter().map(|report| report.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{what}");
    let accepted = bench.reports().iter().filter(|report| matches!(report.body, Body::Accepted(_))).count();
    assert_eq!(accepted, 1, "{what}");
    {
        let machine = bench.fake.machine.lock().unwrap();
        assert!(machine.violations.is_empty(), "{what}: {:?}", machine.violations);
        assert!(machine.times.values().all(|times| *times == 1), "{what}: {:?}", machine.times);
        assert!(machine.running.is_none() && machine.half_done.is_none(), "{what}");
        // Told twice at most where the crash came between the command and the journal.
        assert!(machine.log.iter().filter(|entry| *entry == "reboot").count() <= 3, "{what}");
    }
    // Asked again, it touches nothing and tells the same.
    let (before, result) = (bench.log(), bench.result());
    bench.engine().carry_out(order).await.unwrap();
    assert_eq!(bench.log(), before, "{what}");
    assert!(bench.results().iter().all(|again| *again == result), "{what}");
    true
}

#[tokio::test]
async fn death_at_every_change_of_a_whole_order_loses_nothing_and_doubles_nothing() {
    let bench = Bench::new(machine());
    let count = Arc::new(AtomicUsize::new(0));
    let store = bench.store.clone().watched(dies(usize::MAX, Moment::Before, count.clone()));
    let (engine, spool) = bench.engine_on(store);
    live(engine, spool, bench.order(NIGHT)).await;
    let changes = count.load(Ordering::SeqCst);
    assert!(changes > 20, "{changes}");
    let installs = ["install pm-tool", "install a bad b c", "install kernel", "install bad", "install late"];
    let made = bench.installs();
    assert_eq!((made[0].as_str(), made[1].as_str()), (installs[0], installs[1]));
    assert_eq!(made.iter().map(String::as_str).collect::<BTreeSet<_>>(), installs.into());
    for death in [Death::Kill, Death::PowerCut] {
        for when in [Moment::Before, Moment::After] {
            for at in 0..changes {
                assert!(die_and_go_on(at, when, death).await, "change {at} of {changes} was never made");
            }
        }
    }
}
