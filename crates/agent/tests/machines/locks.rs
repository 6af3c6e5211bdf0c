//! Another program that has the package database: named, waited for, and not longer than the order lasts.

use crate::machine::{Machine, states};
use chrono::{Duration, Utc};
use nightshift_domain::agent::RequirementState::{AtRisk, Met};
use nightshift_domain::event::Order;
use nightshift_domain::patch::PatchState::Installed;
use nightshift_machines::Manager;

/// What somebody else does, in the middle of which a script is held.
fn other_install(manager: Manager) -> &'static str {
    match manager {
        Manager::Apt => "apt-get -y install fx-slow=1.1",
        Manager::Dnf => "dnf -y upgrade fx-slow-1.1-1",
        Manager::Zypper => "zypper -n update fx-slow=1.1-1",
    }
}

fn is_named_and_waited_for(manager: Manager) {
    let machine = Machine::new(manager);
    assert_eq!(machine.doctor("LockFree").state, Met);
    machine.shell("touch /etc/fx-fail-ok /etc/fx-slow-hold");
    machine.shell(&format!("setsid {} >/dev/null 2>&1 &", other_install(manager)));
    machine.until("the other program installs", "test -e /run/fx-slow-started");
    let program = other_install(manager).split(' ').next().unwrap();
    let found = machine.doctor("LockFree");
    let pid = machine.shell(&format!("pgrep -o -f '{}'", other_install(manager)));
    assert!(found.state == AtRisk && found.sentence.contains(program), "{found:?}");
    assert!(found.sentence.contains(&format!("({pid})")), "{pid}: {found:?}");
    // Looking waits for no lock.
    assert!(machine.assess().patches.iter().any(|patch| patch.name == "fx-plain"));

    // For the whole window: nothing is begun, and the reason names the program.
    let late = Order { deadline: Utc::now() + Duration::seconds(1), ..machine.order("o-1") };
    let error = machine.carry_out(&late).error.unwrap();
    assert!(error.contains("busy until the order's deadline") && error.contains(program), "{error}");
    assert!(error.contains(&format!("({pid})")), "{pid}: {error}");
    assert_eq!(machine.installed("fx-sec"), "1.0");

    // For a part of it: waited for.
    let order = machine.order("o-2");
    let mut agent = machine.begin(&order);
    machine.shell("until pidof order; do sleep 0.02; done; rm -f /etc/fx-slow-hold");
    let result = agent.life().result.unwrap();
    assert_eq!(states(&result)["fx-sec"], Installed, "{result:?}");
    assert_eq!((machine.installed("fx-slow").as_str(), machine.half_done().len()), ("1.1", 0));
}

#[test]
fn another_apt_is_named_and_waited_for() {
    is_named_and_waited_for(Manager::Apt);
}

#[test]
fn another_dnf_is_named_and_waited_for() {
    is_named_and_waited_for(Manager::Dnf);
}

#[test]
fn another_zypper_is_named_and_waited_for() {
    is_named_and_waited_for(Manager::Zypper);
}
