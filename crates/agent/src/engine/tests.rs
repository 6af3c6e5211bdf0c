//! The engine's promises, against a scripted package manager and a fast clock.

mod fake;
mod night;
mod steps;

use super::*;
use crate::report::Report;
use chrono::Duration;
use fake::{Fake, Machine, patch};
use nightshift_domain::OrderId;
use nightshift_domain::patch::{Classification, PatchState, RebootSetting};
use nightshift_domain::policy::Policy;
use nightshift_domain::selection::{Mask, PackageVersion};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// An hour of fleet time takes a third of a second: long enough for every step to be seen in between.
const FACTOR: u32 = 10_000;

struct Bench {
    fake: Fake,
    store: Store,
    clock: Clock,
}

impl Bench {
    fn new(machine: Machine) -> Self {
        let clock = Clock::fast("2026-01-01T00:00:00Z".parse().unwrap(), FACTOR);
        let fake = Fake { machine: Arc::new(Mutex::new(machine)), clock: clock.clone() };
        Self { fake, store: Store::in_memory(), clock }
    }

    /// A process of the agent: a new one knows what the store knows, and nothing else.
    fn engine(&self) -> Engine {
        self.engine_on(self.store.clone()).0
    }

    fn engine_on(&self, store: Store) -> (Engine, Spool) {
        let spool = Spool::open(store.clone()).unwrap();
        let vm = VmId::new("vm-1").unwrap();
        let back_end = Arc::new(self.fake.clone());
        let clock = self.clock.clone();
        let engine = Engine::open(vm, back_end, clock, Timings::default(), store, spool.clone()).unwrap();
        (engine, spool)
    }

    fn order(&self, deadline: Duration) -> Order {
        let now = self.clock.now();
        Order {
            id: OrderId::new("o-1").unwrap(),
            rollout: "r-1".parse().unwrap(),
            vm: VmId::new("vm-1").unwrap(),
            not_after: now + Duration::days(2),
            deadline: now + deadline,
            reboot: RebootSetting::IfRequired,
            selection: Policy::default().selection(),
            signature: None,
        }
    }

    fn reports(&self) -> Vec<Report> {
        Spool::open(self.store.clone()).unwrap().after(0)
    }

    fn results(&self) -> Vec<InstallReport> {
        let result = |report: Report| match report.body {
            Body::Finished(_, result) => Some(result),
            _ => None,
        };
        self.reports().into_iter().filter_map(result).collect()
    }

    /// The only result, which accounts for each patch once.
    fn result(&self) -> InstallReport {
        let results = self.results();
        assert_eq!(results.len(), 1, "{:?}", self.reports());
        results.into_iter().next().unwrap()
    }

    fn states(&self) -> BTreeMap<String, PatchState> {
        let result = self.result();
        let states: BTreeMap<_, _> =
            result.patches.iter().map(|patch| (patch.name.clone(), patch.state)).collect();
        assert_eq!(states.len(), result.patches.len());
        states
    }

    fn log(&self) -> Vec<String> {
        self.fake.machine.lock().unwrap().log.clone()
    }

    fn installs(&self) -> Vec<String> {
        self.log().into_iter().filter(|entry| entry.starts_with("install")).collect()
    }
}

fn lacking(names: &[&str]) -> Machine {
    let lacks = names.iter().map(|name| patch(name, Classification::Security)).collect();
    Machine { lacks, reboots: true, ..Machine::default() }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const NIGHT: Duration = Duration::hours(30);

#[tokio::test]
async fn the_selected_are_installed_and_every_patch_is_accounted_for() {
    let mut machine = lacking(&["a", "b", "held"]);
    machine.lacks[2].obstacle = Some("held".into());
    machine.lacks.push(patch("other", Classification::Other));
    let bench = Bench::new(machine);
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let expected = [
        ("a", PatchState::Installed),
        ("b", PatchState::Installed),
        ("held", PatchState::Excluded),
        ("other", PatchState::NotSelected),
    ];
    assert_eq!(bench.states(), expected.map(|(name, state)| (name.to_owned(), state)).into());
    assert_eq!(bench.result().reboot, RebootStatus::NotNeeded);
    let log = ["repair", "disable", "refresh", "download a b", "install a b"];
    assert_eq!(bench.log(), log);
    let bodies = bench.reports().into_iter().map(|report| report.body);
    let kinds: Vec<&str> = bodies
        .map(|body| match body {
            Body::Accepted(_) => "accepted",
            Body::Enabled => "enabled",
            Body::Finished(..) => "finished",
            Body::Assessed(_) => "assessed",
            _ => "else",
        })
        .collect();
    assert_eq!(kinds, ["accepted", "enabled", "finished", "assessed"]);
}

#[tokio::test]
async fn an_order_s_selection_is_obeyed_to_the_version() {
    let bench = Bench::new(lacking(&["certified", "newer", "barred", "masked"]));
    let lacks = bench.fake.machine.lock().unwrap().lacks.clone();
    let version = |name: &str| lacks.iter().find(|patch| patch.name == name).unwrap().version.clone();
    let package = |name: &str, version: String| PackageVersion { name: name.into(), version };
    let mut order = bench.order(NIGHT);
    order.selection.exclude = vec![Mask::new("mask*").unwrap()];
    order.selection.barred = vec![package("barred", version("barred"))];
    order.selection.certified = Some(vec![
        package("certified", version("certified")),
        package("newer", "0.9".into()),
        package("barred", version("barred")),
        package("masked", version("masked")),
    ]);
    bench.engine().carry_out(order).await.unwrap();
    let expected = [
        ("certified", PatchState::Installed),
        ("newer", PatchState::Excluded),
        ("barred", PatchState::Excluded),
        ("masked", PatchState::Excluded),
    ];
    assert_eq!(bench.states(), expected.map(|(name, state)| (name.to_owned(), state)).into());
    assert_eq!(bench.installs(), ["install certified"]);
    let why = |name: &str| {
        let patches = bench.result().patches;
        patches.into_iter().find(|patch| patch.name == name).unwrap().detail
    };
    assert!(why("newer").contains("certified") && why("barred").contains("barred"));
}

#[tokio::test]
async fn an_order_asked_for_twice_runs_once_and_tells_its_result_again() {
    let bench = Bench::new(lacking(&["a"]));
    let order = bench.order(NIGHT);
    bench.engine().carry_out(order.clone()).await.unwrap();
    bench.engine().carry_out(order).await.unwrap();
    assert_eq!(bench.installs(), ["install a"]);
    let results = bench.results();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0], results[1]);
}

#[tokio::test]
async fn an_order_that_is_late_or_another_s_is_refused_and_touches_nothing() {
    let bench = Bench::new(lacking(&["a"]));
    let late = Order { not_after: bench.clock.now() - Duration::seconds(1), ..bench.order(NIGHT) };
    let another = Order { id: "o-2".parse().unwrap(), vm: "vm-2".parse().unwrap(), ..bench.order(NIGHT) };
    let engine = bench.engine();
    engine.carry_out(late).await.unwrap();
    engine.carry_out(another).await.unwrap();
    assert!(bench.log().is_empty());
    let codes: Vec<String> = bench
        .reports()
        .into_iter()
        .map(|report| match report.body {
            Body::Refused(_, refused) => refused.code,
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, ["Expired", "NotMine"]);
}

#[tokio::test]
async fn an_order_that_was_accepted_but_not_begun_in_time_is_refused() {
    let bench = Bench::new(lacking(&["a"]));
    let order = Order { not_after: bench.clock.now() - Duration::seconds(1), ..bench.order(NIGHT) };
    let record = Record { order: order.clone(), stage: Stage::Accepted, report: 1 };
    Journal::open(bench.store.clone(), bench.clock.now()).unwrap().put(&record).unwrap();
    let engine = bench.engine();
    engine.catch_up().unwrap();
    engine.carry_out(order).await.unwrap();
    assert!(bench.log().is_empty());
    let reports = bench.reports();
    assert!(matches!(reports[0].body, Body::Accepted(_)), "{reports:?}");
    assert!(
        matches!(&reports[1].body, Body::Refused(_, refused) if refused.code == "Expired"),
        "{reports:?}"
    );
}

#[tokio::test]
async fn what_fails_in_a_batch_is_tried_once_more_by_itself() {
    let bench =
        Bench::new(Machine { failing: set(&["bad"]), shy: set(&["shy"]), ..lacking(&["a", "bad", "shy"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.installs(), ["install a bad shy", "install bad", "install shy"]);
    assert_eq!(bench.states()["bad"], PatchState::Failed);
    assert_eq!(bench.states()["shy"], PatchState::Installed);
    let result = bench.result();
    let bad = result.patches.iter().find(|patch| patch.name == "bad").unwrap();
    assert!(bad.detail.contains("boom"), "{}", bad.detail);
}

#[tokio::test]
async fn what_does_not_go_together_is_installed_apart_and_the_impossible_left_out() {
    let machine = Machine {
        rivals: Some(("a".into(), "c".into())),
        impossible: Some("d".into()),
        ..lacking(&["a", "b", "c", "d"])
    };
    let bench = Bench::new(machine);
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.installs(), ["install a b", "install c"]);
    assert_eq!(bench.states()["d"], PatchState::Excluded);
    assert_eq!(bench.result().count(PatchState::Installed), 3);
}

#[tokio::test]
async fn a_held_lock_makes_pending_not_failed() {
    let once = Bench::new(Machine { locked: 1, ..lacking(&["a"]) });
    once.engine().carry_out(once.order(NIGHT)).await.unwrap();
    assert_eq!(once.states()["a"], PatchState::Installed);
    let always = Bench::new(Machine { locked: 99, ..lacking(&["a"]) });
    always.engine().carry_out(always.order(NIGHT)).await.unwrap();
    assert_eq!(always.states()["a"], PatchState::Pending);
    assert_eq!(always.installs().len(), 2);
}

#[tokio::test]
async fn no_batch_begins_that_cannot_end_before_the_deadline() {
    let names: Vec<String> = (10..40).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // A batch takes an hour whatever is in it; ten packages fit by the averages, then one, then none.
    let bench = Bench::new(Machine { takes: Some(Duration::hours(1)), ..lacking(&names) });
    let deadline = Duration::seconds(900 + 300 + 90 * 9 + 60);
    bench.engine().carry_out(bench.order(deadline)).await.unwrap();
    let result = bench.result();
    assert!(result.window_exceeded);
    let installed = result.count(PatchState::Installed);
    assert!((1..=10).contains(&installed), "{installed}");
    assert_eq!(result.count(PatchState::Pending), 30 - installed);
    assert_eq!(bench.installs().len(), 1);
}

#[tokio::test]
async fn a_window_that_is_too_short_for_anything_leaves_everything_pending() {
    let bench = Bench::new(lacking(&["a", "b"]));
    bench.engine().carry_out(bench.order(Duration::minutes(10))).await.unwrap();
    assert!(bench.installs().is_empty());
    assert!(bench.result().window_exceeded);
    assert_eq!(bench.result().count(PatchState::Pending), 2);
}

#[tokio::test]
async fn what_shows_only_when_the_rest_is_in_is_installed_too() {
    let machine = Machine { lacks_later: vec![patch("late", Classification::Critical)], ..lacking(&["a"]) };
    let bench = Bench::new(machine);
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.states()["late"], PatchState::Installed);
}

#[tokio::test]
async fn a_required_reboot_is_made_where_allowed_and_told_of() {
    let bench = Bench::new(Machine { reboot_required: true, ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let result = bench.result();
    assert_eq!((result.reboot, result.boot_id.as_str()), (RebootStatus::Completed, "boot-1"));
    let rebooted = bench
        .reports()
        .into_iter()
        .any(|report| matches!(report.body, Body::Rebooted(_, boot) if boot == "boot-1"));
    assert!(rebooted);
    assert_eq!(bench.log().iter().filter(|entry| *entry == "reboot").count(), 1);
}

#[tokio::test]
async fn a_reboot_that_is_not_allowed_or_does_not_fit_stays_required() {
    let never = Bench::new(Machine { reboot_required: true, ..lacking(&["a"]) });
    let order = Order { reboot: RebootSetting::Never, ..never.order(NIGHT) };
    never.engine().carry_out(order).await.unwrap();
    assert_eq!(never.result().reboot, RebootStatus::Required);
    assert!(!never.result().window_exceeded);
    let short = Bench::new(Machine { reboot_required: true, ..lacking(&[]) });
    short.engine().carry_out(short.order(Duration::minutes(14))).await.unwrap();
    assert_eq!(short.result().reboot, RebootStatus::Required);
    assert!(short.result().window_exceeded);
    assert!(!short.log().contains(&"reboot".to_owned()));
}

#[tokio::test]
async fn always_reboots_once_even_if_nothing_asks_for_it() {
    let bench = Bench::new(lacking(&["a"]));
    let order = Order { reboot: RebootSetting::Always, ..bench.order(NIGHT) };
    bench.engine().carry_out(order).await.unwrap();
    assert_eq!(bench.result().reboot, RebootStatus::Completed);
    assert_eq!(bench.fake.machine.lock().unwrap().boots, 1);
}

#[tokio::test]
async fn a_machine_that_does_not_reboot_is_a_failure() {
    let bench = Bench::new(Machine { reboot_required: true, reboots: false, ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.result().reboot, RebootStatus::Failed);
    assert!(bench.result().failure().is_some());
}

#[tokio::test]
async fn a_machine_that_cannot_be_repaired_ends_the_order_with_its_reason() {
    let bench = Bench::new(Machine { broken: Some("dpkg is gone".into()), ..lacking(&["a"]) });
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    assert_eq!(bench.result().error.as_deref(), Some("dpkg is gone"));
}

#[tokio::test]
async fn a_kill_in_the_middle_of_an_install_is_gone_on_from() {
    let bench = Bench::new(Machine { hangs: true, ..lacking(&["a", "b"]) });
    let order = bench.order(NIGHT);
    let engine = bench.engine();
    let journal = Journal::open(bench.store.clone(), bench.clock.now()).unwrap();
    let runs = || match journal.get(&order.id).unwrap().map(|record| record.stage) {
        Some(Stage::Installing(work)) => work.batch.is_some_and(|batch| batch.running.is_some()),
        _ => false,
    };
    // Polled, then dropped as it stands: that is what kill -9 leaves.
    tokio::select! {
        result = engine.carry_out(order.clone()) => panic!("it ended: {result:?}"),
        () = async { while !runs() { tokio::task::yield_now().await } } => {}
    }
    bench.fake.machine.lock().unwrap().hangs = false;
    let engine = bench.engine();
    engine.catch_up().unwrap();
    let unfinished = engine.unfinished().unwrap();
    assert_eq!(unfinished, std::slice::from_ref(&order));
    engine.carry_out(order).await.unwrap();
    assert_eq!(bench.result().count(PatchState::Installed), 2);
    // The install of the process before was waited for, not started again.
    assert_eq!(bench.installs(), ["install a b"]);
    let accepted = bench.reports().iter().filter(|report| matches!(report.body, Body::Accepted(_))).count();
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn a_crash_between_journal_and_spool_loses_no_report_and_doubles_none() {
    let bench = Bench::new(lacking(&["a"]));
    bench.engine().carry_out(bench.order(NIGHT)).await.unwrap();
    let finished = bench.reports().into_iter().find(|report| report.body.ends().is_some()).unwrap();
    // As if the crash had come right after the journal was written.
    for report in bench.reports().iter().filter(|report| report.number >= finished.number) {
        bench.store.remove(&format!("spool/{:020}.json", report.number)).unwrap();
    }
    assert!(bench.results().is_empty());
    bench.engine().catch_up().unwrap();
    bench.engine().catch_up().unwrap();
    assert_eq!(bench.result().count(PatchState::Installed), 1);
    assert_eq!(bench.reports().last().unwrap().number, finished.number);
}
