//! Every fixture package, with dnf and with zypper: what each sees, and what becomes of it.

use crate::machine::{Machine, detail, states};
use nightshift_domain::event::Order;
use nightshift_domain::patch::Classification::{Critical, Other, Security};
use nightshift_domain::patch::PatchState::{Excluded, Failed, Installed, NotSelected};
use nightshift_domain::patch::{Classification, PatchState, RebootSetting, RebootStatus};
use nightshift_machines::Manager;

/// Each package, its classification, and what a first order makes of it.
const FIXTURES: [(&str, Classification, PatchState); 16] = [
    ("fx-app", Security, Installed),
    // Of two newer versions the one with the fix.
    ("fx-both", Security, Installed),
    ("fx-broken", Security, Excluded),
    ("fx-conflict", Security, Excluded),
    ("fx-crit", Critical, Installed),
    // Its script failed after it was in: a warning.
    ("fx-fail", Security, Installed),
    ("fx-held", Security, Excluded),
    // Its patch asks for a reboot: zypper's own `patch` would skip it without a word.
    ("fx-kernel", Critical, Installed),
    ("fx-lib", Other, NotSelected),
    ("fx-low", Security, Installed),
    ("fx-newdep", Security, Installed),
    ("fx-plain", Other, NotSelected),
    // Its script before the install fails; with zypper that ends the batch, and what came after it is tried again.
    ("fx-pre", Security, Failed),
    ("fx-sec", Security, Installed),
    ("fx-slow", Security, Installed),
    ("linux-firmware", Security, Installed),
];

/// What the assessment sees an obstacle for already; dnf finds some only when it plans.
fn obstacles(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::Zypper => &["fx-broken", "fx-conflict", "fx-held"],
        Manager::Apt | Manager::Dnf => &["fx-held"],
    }
}

/// Words of the reasons.
fn reasons(manager: Manager) -> [(&'static str, &'static str); 5] {
    match manager {
        Manager::Zypper => [
            ("fx-pre", "%pre"),
            ("fx-held", "addlock"),
            ("fx-broken", "fx-nowhere"),
            ("fx-conflict", "fx-"),
            ("fx-lib", "came along"),
        ],
        Manager::Apt | Manager::Dnf => [
            ("fx-pre", "%pre"),
            ("fx-fail", "%post"),
            ("fx-broken", "fx-nowhere"),
            ("fx-conflict", "fx-victim"),
            ("fx-lib", "came along"),
        ],
    }
}

fn security_is_installed_and_nothing_else(manager: Manager) {
    let machine = Machine::new(manager);
    let assessment = machine.assess();
    let seen: Vec<(&str, &str, Classification, bool)> = assessment
        .patches
        .iter()
        .map(|patch| (&*patch.name, &*patch.version, patch.classification, patch.obstacle.is_some()))
        .collect();
    let expected =
        FIXTURES.map(|(name, class, _)| (name, "1.1-1", class, obstacles(manager).contains(&name)));
    assert_eq!(seen, expected);
    assert!(assessment.warnings.is_empty() && !assessment.reboot_pending, "{assessment:?}");

    let result = machine.carry_out(&machine.order("o-1"));
    let expected = FIXTURES.map(|(name, _, state)| (name, state));
    assert_eq!(states(&result), expected.into(), "{result:?}");
    for (package, words) in reasons(manager) {
        assert!(detail(&result, package).contains(words), "{package}: {result:?}");
    }
    let versions = [("fx-both", "1.1"), ("fx-plain", "1.0"), ("fx-held", "1.0"), ("fx-newpkg-2", "1.1")];
    for (package, version) in versions {
        assert_eq!(machine.installed(package), version, "{package}");
    }
    // To dnf, linux-firmware is newer than the boot, and nothing says so but its age.
    assert_eq!(result.reboot, RebootStatus::Required);

    machine.shell("touch /etc/fx-fail-ok");
    // The reboot that an order makes takes the agent with it; the next boot's goes on.
    let order = Order { reboot: RebootSetting::IfRequired, ..machine.order("o-2") };
    let agent = machine.begin(&order);
    machine.until_booted(2);
    drop(agent);
    let result = machine.carry_out(&order);
    assert_eq!(result.reboot, RebootStatus::Completed, "{result:?}");
    assert_eq!(states(&result)["fx-pre"], Installed);
    assert!(!machine.assess().reboot_pending);
}

#[test]
fn dnf_installs_the_security_set_and_nothing_else() {
    security_is_installed_and_nothing_else(Manager::Dnf);
}

#[test]
fn zypper_installs_the_security_set_and_nothing_else() {
    security_is_installed_and_nothing_else(Manager::Zypper);
}
