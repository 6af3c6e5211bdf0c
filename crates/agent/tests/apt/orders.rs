//! Whole orders.

use crate::machine::{Machine, states};
use chrono::{Duration, Utc};
use nightshift_agent::report::Body;
use nightshift_domain::event::Order;
use nightshift_domain::patch::PatchState::{Excluded, Failed, Installed, NotSelected, Pending};
use nightshift_domain::patch::{RebootSetting, RebootStatus};
use std::fs;

#[tokio::test]
async fn the_security_set_is_installed_and_nothing_else() {
    let machine = Machine::new();
    fs::write(machine.root("etc/fx-conf.conf"), "setting=mine\n").unwrap();
    machine.tool("apt-mark", &["auto", "fx-sec", "fx-lib"]);
    let result = machine.carry_out(machine.order("o-1")).await;
    let expected = [
        ("fx-app", Installed),
        ("fx-both", Installed),
        ("fx-conf", Installed),
        ("fx-conflict", Excluded),
        ("fx-fail", Failed),
        ("fx-held", Excluded),
        ("fx-kernel", Installed),
        ("fx-lib", NotSelected),
        ("fx-newdep", Installed),
        ("fx-phased", NotSelected),
        ("fx-plain", NotSelected),
        ("fx-sec", Installed),
        ("fx-slow", Installed),
    ];
    assert_eq!(states(&result), expected.into(), "{result:?}");
    let in_database = [
        ("fx-both", "1.1 installed"),
        ("fx-app", "1.1 installed"),
        ("fx-lib", "1.1 installed"),
        ("fx-newpkg-2", "2.0 installed"),
        ("fx-plain", "1.0 installed"),
        ("fx-phased", "1.0 installed"),
        ("fx-victim", "1.0 installed"),
        ("fx-fail", "1.1 half-configured"),
    ];
    for (package, standing) in in_database {
        assert_eq!(machine.installed(package), standing, "{package}");
    }
    let detail = |name| &result.patches.iter().find(|patch| patch.name == name).unwrap().detail;
    assert!(detail("fx-fail").contains("exit status 1"), "{}", detail("fx-fail"));
    assert!(detail("fx-lib").contains("came along"), "{}", detail("fx-lib"));
    assert_eq!(fs::read_to_string(machine.root("etc/fx-conf.conf")).unwrap(), "setting=mine\n");
    let automatic = machine.tool("apt-mark", &["showauto"]);
    assert!(automatic.contains("fx-sec") && automatic.contains("fx-newpkg-2"), "{automatic}");
    assert_eq!(result.reboot, RebootStatus::Required);
    assert!(result.failure().unwrap().contains("fx-fail"));
    // The batch, and fx-fail once more by itself.
    assert_eq!(machine.installs(), 2);
}

#[tokio::test]
async fn what_was_left_half_configured_is_not_forgotten_and_mends() {
    let machine = Machine::new();
    machine.carry_out(machine.order("o-1")).await;
    let patches = machine.assess().await.patches;
    assert!(patches.iter().any(|patch| patch.name == "fx-fail" && patch.version == "1.1"), "{patches:?}");
    let again = machine.carry_out(machine.order("o-2")).await;
    assert_eq!(states(&again)["fx-fail"], Failed);
    fs::write(machine.root("etc/fx-fail-ok"), "").unwrap();
    // The repair at its beginning mends it: there is nothing left to install.
    let mended = machine.carry_out(machine.order("o-3")).await;
    assert!(!states(&mended).contains_key("fx-fail"));
    assert_eq!(machine.installed("fx-fail"), "1.1 installed");
}

#[tokio::test]
async fn enabled_is_told_once_and_before_anything_is_installed() {
    let machine = Machine::new();
    machine.carry_out(machine.order("o-1")).await;
    machine.carry_out(machine.order("o-2")).await;
    let bodies: Vec<Body> = machine.reports().into_iter().map(|report| report.body).collect();
    let enabled: Vec<usize> = bodies
        .iter()
        .enumerate()
        .filter(|(_, body)| **body == Body::Enabled)
        .map(|(index, _)| index)
        .collect();
    let finished = bodies.iter().position(|body| body.ends().is_some()).unwrap();
    assert_eq!(enabled.len(), 1);
    assert!(enabled[0] < finished);
    assert_eq!(machine.tool("apt-config", &["shell", "V", "APT::Periodic::Unattended-Upgrade"]), "V='0'\n");
}

#[tokio::test]
async fn an_order_asked_for_twice_runs_once() {
    let machine = Machine::new();
    let order = machine.order("o-1");
    let first = machine.carry_out(order.clone()).await;
    let installs = machine.installs();
    assert_eq!(machine.carry_out(order).await, first);
    assert_eq!(machine.installs(), installs);
}

#[tokio::test]
async fn an_expired_order_is_refused() {
    let machine = Machine::new();
    let order = Order { not_after: Utc::now() - Duration::seconds(1), ..machine.order("o-1") };
    machine.engine().carry_out(order).await.unwrap();
    let reports = machine.reports();
    assert!(
        matches!(&reports[0].body, Body::Refused(_, refused) if refused.code == "Expired"),
        "{reports:?}"
    );
    assert_eq!(machine.installs(), 0);
}

#[tokio::test]
async fn a_window_that_is_too_short_leaves_everything_pending() {
    let machine = Machine::new();
    let order = Order { deadline: Utc::now() + Duration::seconds(4), ..machine.order("o-1") };
    let result = machine.carry_out(order).await;
    assert!(result.window_exceeded);
    assert_eq!(states(&result)["fx-sec"], Pending);
    assert_eq!(machine.installs(), 0);
}

#[tokio::test]
async fn a_required_reboot_is_made_and_the_order_goes_on_in_the_next_boot() {
    let mut machine = Machine::new();
    let boot_id = machine.root("proc/sys/kernel/random/boot_id");
    fs::create_dir_all(boot_id.parent().unwrap()).unwrap();
    fs::write(&boot_id, "first\n").unwrap();
    fs::write(machine.root("second"), "second\n").unwrap();
    // A reboot that this test survives: the flag goes as a tmpfs does, the boot id changes.
    let script = "rm -f \"$0/run/reboot-required\"; mv \"$0/second\" \"$0/proc/sys/kernel/random/boot_id\"";
    let root = machine.config.root.display().to_string();
    machine.config.reboot_command = ["sh", "-c", script, &root].map(str::to_owned).to_vec();
    let order = Order { reboot: RebootSetting::IfRequired, ..machine.order("o-1") };
    let engine = machine.engine();
    let rebooted = || fs::read_to_string(&boot_id).unwrap() == "second\n";
    // The machine goes down under the agent.
    tokio::select! {
        result = engine.carry_out(order.clone()) => panic!("it ended before the reboot: {result:?}"),
        () = async { while !rebooted() { tokio::time::sleep(std::time::Duration::from_millis(5)).await } } => {}
    }
    let result = machine.carry_out(order).await;
    assert_eq!((result.reboot, result.boot_id.as_str()), (RebootStatus::Completed, "second"));
    assert_eq!(states(&result)["fx-kernel"], Installed);
    let rebooted = |body: &Body| matches!(body, Body::Rebooted(_, boot_id) if boot_id == "second");
    assert_eq!(machine.reports().iter().filter(|report| rebooted(&report.body)).count(), 1);
}
