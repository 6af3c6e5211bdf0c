//! Kills, power cuts, locks.

use crate::machine::{Machine, states};
use nightshift_domain::event::Order;
use nightshift_domain::patch::PatchState::{Failed, Installed};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::time::Duration;

/// Looks again until it is so; the test's own time limit is the runner's.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Carries the order out until fx-slow's script runs, then ends the agent as kill -9 would: nothing is put in order.
/// The install goes on. Returns its process, which leads a process group of its own.
async fn kill_in_the_middle(machine: &Machine, order: &Order) -> Pid {
    fs::write(machine.root("etc/fx-slow-hold"), "").unwrap();
    let engine = machine.engine();
    let starts = machine.root("run/fx-slow-starts");
    tokio::select! {
        result = engine.carry_out(order.clone()) => panic!("it ended: {result:?}"),
        () = until(|| starts.exists() && machine.install_of(order).is_some()) => {}
    }
    Pid::from_raw(i32::try_from(machine.install_of(order).unwrap()).unwrap())
}

#[tokio::test]
async fn a_killed_agent_takes_over_the_install_that_went_on_without_it() {
    let machine = Machine::new();
    let order = machine.order("o-1");
    kill_in_the_middle(&machine, &order).await;
    let engine = machine.engine();
    engine.catch_up().unwrap();
    assert_eq!(engine.unfinished().unwrap(), std::slice::from_ref(&order));
    let release = async {
        // The second agent waits for it by now, or will: both are right.
        tokio::task::yield_now().await;
        fs::remove_file(machine.root("etc/fx-slow-hold")).unwrap();
    };
    let (result, ()) = tokio::join!(engine.carry_out(order.clone()), release);
    result.unwrap();
    let result = machine.results().pop().unwrap();
    assert_eq!(states(&result)["fx-slow"], Installed);
    assert_eq!(states(&result)["fx-fail"], Failed);
    assert_eq!(fs::read_to_string(machine.root("run/fx-slow-starts")).unwrap(), "started\n");
    // The batch that went on, and fx-fail by itself.
    assert_eq!(machine.installs(), 2);
}

#[tokio::test]
async fn a_power_cut_in_the_middle_of_a_package_is_repaired_and_the_order_goes_on() {
    let machine = Machine::new();
    let order = machine.order("o-1");
    let install = kill_in_the_middle(&machine, &order).await;
    killpg(install, Signal::SIGKILL).unwrap();
    assert_eq!(machine.installed("fx-slow"), "1.1 half-configured");
    fs::remove_file(machine.root("etc/fx-slow-hold")).unwrap();
    let result = machine.carry_out(order).await;
    let states = states(&result);
    for package in ["fx-slow", "fx-sec", "fx-kernel", "fx-app", "fx-both", "fx-newdep"] {
        assert_eq!(states[package], Installed, "{package}: {result:?}");
    }
    assert_eq!(states["fx-fail"], Failed);
}

#[tokio::test]
async fn an_order_waits_for_another_program_to_let_go_of_dpkg() {
    let machine = Machine::new();
    let lock = machine.root("var/lib/dpkg/lock-frontend");
    let held = hold(&lock);
    let engine = machine.engine();
    let order = machine.order("o-1");
    let logs = machine.config.state_dir.clone().unwrap().join("apt/logs");
    let refused = || {
        let logs = fs::read_dir(&logs).unwrap().flatten().map(|log| log.path());
        logs.into_iter().any(|log| fs::read_to_string(log).unwrap_or_default().contains("another process"))
    };
    let release = async {
        until(refused).await;
        drop(held);
    };
    let (result, ()) = tokio::join!(engine.carry_out(order), release);
    result.unwrap();
    let result = machine.results().pop().unwrap();
    assert_eq!(states(&result)["fx-sec"], Installed);
}

/// Holds dpkg's lock as another program would: it is this process's, and apt is another.
pub fn hold(path: &std::path::Path) -> File {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_SETLK(&whole)).unwrap();
    file
}
