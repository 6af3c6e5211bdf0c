//! Death at every write of an order, with the real package manager: its child goes on without the agent, or dies with
//! it.

use crate::machine::{Machine, states};
use nightshift_agent::report::Body;
use nightshift_agent::store::{Moment, Watcher};
use nightshift_domain::event::Order;
use nightshift_domain::patch::PatchState::Installed;
use nightshift_domain::patch::{RebootSetting, RebootStatus};
use nightshift_domain::selection::Mask;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const PACKAGES: [&str; 3] = ["fx-kernel", "fx-sec", "fx-slow"];

/// Whether the package manager lives on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    Kill,
    PowerCut,
}

/// A machine that a reboot gives a new boot id, as a folder can.
fn machine() -> Machine {
    let mut machine = Machine::new();
    let boot_id = machine.root("proc/sys/kernel/random/boot_id");
    fs::create_dir_all(boot_id.parent().unwrap()).unwrap();
    fs::write(&boot_id, "first\n").unwrap();
    let script = "rm -f \"$0/run/reboot-required\"; cp /proc/sys/kernel/random/uuid \"$0/proc/sys/kernel/random/boot_id\"";
    let root = machine.config.root.display().to_string();
    machine.config.reboot_command = ["sh", "-c", script, &root].map(str::to_owned).to_vec();
    machine
}

fn order(machine: &Machine) -> Order {
    let mut order = Order { reboot: RebootSetting::IfRequired, ..machine.order("o-1") };
    order.selection.include = PACKAGES.map(|name| Mask::new(name).unwrap()).to_vec();
    order
}

/// Takes down the name of each document that is written, and dies before the one of this number.
fn watcher(dies_at: usize, names: Arc<Mutex<Vec<String>>>) -> Watcher {
    let count = AtomicUsize::new(0);
    Arc::new(move |name, moment| {
        if moment == Moment::Before {
            names.lock().unwrap().push(name.to_owned());
            let number = count.fetch_add(1, Ordering::SeqCst);
            assert!(number != dies_at, "the test ends the agent before it writes {name}");
        }
    })
}

/// The programs of this machine's package manager that run.
fn programs(machine: &Machine) -> Vec<Pid> {
    let own = format!("APT_CONFIG={}", machine.root("apt.conf").display());
    let is_own = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&own))
    };
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(is_own).map(Pid::from_raw).collect()
}

/// Everything of the machine stops where it is, and its next boot begins.
fn power_cut(machine: &Machine) {
    loop {
        let running = programs(machine);
        if running.is_empty() {
            break;
        }
        // Those that are over by now need no signal.
        for pid in running {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    drop(fs::remove_file(machine.root("run/reboot-required")));
    fs::write(machine.root("proc/sys/kernel/random/boot_id"), "after the cut\n").unwrap();
}

/// Every document that the whole order writes, in their order.
async fn writes() -> Vec<String> {
    let (machine, names) = (machine(), Arc::default());
    let engine = machine.engine_on(machine.store().watched(watcher(usize::MAX, Arc::clone(&names))));
    engine.carry_out(order(&machine)).await.unwrap();
    check(&machine, "nobody died");
    names.lock().unwrap().clone()
}

async fn die_and_go_on(at: usize, death: Death) {
    let machine = machine();
    let order = order(&machine);
    let engine = machine.engine_on(machine.store().watched(watcher(at, Arc::default())));
    let first = order.clone();
    tokio::spawn(async move { engine.carry_out(first).await }).await.unwrap_err();
    if death == Death::PowerCut {
        power_cut(&machine);
    }
    let engine = machine.engine();
    engine.catch_up().unwrap();
    for order in engine.unfinished().unwrap() {
        engine.carry_out(order).await.unwrap();
    }
    if machine.results().is_empty() {
        engine.carry_out(order).await.unwrap();
    }
    check(&machine, &format!("write {at}, {death:?}"));
}

fn check(machine: &Machine, what: &str) {
    let results = machine.results();
    assert_eq!(results.len(), 1, "{what}: {:?}", machine.reports());
    let result = &results[0];
    for package in PACKAGES {
        assert_eq!(states(result)[package], Installed, "{what}: {result:?}");
        assert_eq!(machine.installed(package), "1.1 installed", "{what}");
    }
    assert_eq!((&result.error, result.window_exceeded), (&None, false), "{what}");
    assert!(
        result.reboot != RebootStatus::Failed && result.reboot != RebootStatus::Required,
        "{what}: {result:?}"
    );
    assert!(!machine.root("run/reboot-required").exists(), "{what}");
    let accepted = machine.reports().iter().filter(|report| matches!(report.body, Body::Accepted(_))).count();
    assert_eq!(accepted, 1, "{what}");
    let numbers: Vec<u64> = machine.reports().iter().map(|report| report.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{what}");
    assert!(programs(machine).is_empty(), "{what}");
}

#[tokio::test]
async fn kill_9_before_each_write_of_an_order() {
    let writes = writes().await;
    assert!(writes.iter().filter(|name| name.starts_with("orders/")).count() >= 7, "{writes:?}");
    for at in 0..writes.len() {
        die_and_go_on(at, Death::Kill).await;
    }
}

#[tokio::test]
async fn a_power_cut_before_each_write_of_the_journal() {
    for (at, name) in writes().await.iter().enumerate() {
        if name.starts_with("orders/") {
            die_and_go_on(at, Death::PowerCut).await;
        }
    }
}
