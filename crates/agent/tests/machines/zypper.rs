//! zypper.

use crate::machine::{Machine, detail, states};
use nightshift_domain::event::Order;
use nightshift_domain::patch::Classification::{Critical, Other, Security};
use nightshift_domain::patch::PatchState::{Excluded, Failed, Installed, NotSelected};
use nightshift_domain::patch::{Classification, RebootSetting, RebootStatus};
use nightshift_machines::Manager;

#[test]
fn every_fixture_is_assessed_and_the_security_set_is_installed_and_nothing_else() {
    let machine = Machine::new(Manager::Zypper);
    let assessment = machine.assess();
    let seen: Vec<(&str, &str, Classification, bool)> = assessment
        .patches
        .iter()
        .map(|patch| (&*patch.name, &*patch.version, patch.classification, patch.obstacle.is_none()))
        .collect();
    let expected = [
        ("fx-app", "1.1-1", Security, true),
        ("fx-both", "1.1-1", Security, true),
        ("fx-broken", "1.1-1", Security, false),
        ("fx-conflict", "1.1-1", Security, false),
        ("fx-crit", "1.1-1", Critical, true),
        ("fx-fail", "1.1-1", Security, true),
        ("fx-held", "1.1-1", Security, false),
        ("fx-kernel", "1.1-1", Critical, true),
        ("fx-lib", "1.1-1", Other, true),
        ("fx-low", "1.1-1", Security, true),
        ("fx-newdep", "1.1-1", Security, true),
        ("fx-plain", "1.1-1", Other, true),
        ("fx-pre", "1.1-1", Security, true),
        ("fx-sec", "1.1-1", Security, true),
        ("fx-slow", "1.1-1", Security, true),
        ("linux-firmware", "1.1-1", Security, true),
    ];
    assert_eq!(seen, expected);
    assert!(assessment.warnings.is_empty() && !assessment.reboot_pending, "{assessment:?}");

    let result = machine.carry_out(&machine.order("o-1"));
    let expected = [
        ("fx-app", Installed),
        ("fx-both", Installed),
        ("fx-broken", Excluded),
        ("fx-conflict", Excluded),
        ("fx-crit", Installed),
        // Its script failed after it was in: a warning.
        ("fx-fail", Installed),
        ("fx-held", Excluded),
        // Its patch asks for a reboot: zypper's own `patch` would skip it without a word.
        ("fx-kernel", Installed),
        ("fx-lib", NotSelected),
        ("fx-low", Installed),
        ("fx-newdep", Installed),
        ("fx-plain", NotSelected),
        // Its script before the install fails, and ends the batch: what came after it was tried again by itself.
        ("fx-pre", Failed),
        ("fx-sec", Installed),
        ("fx-slow", Installed),
        ("linux-firmware", Installed),
    ];
    assert_eq!(states(&result), expected.into(), "{result:?}");
    assert!(detail(&result, "fx-pre").contains("%pre"), "{result:?}");
    assert!(detail(&result, "fx-held").contains("addlock"), "{result:?}");
    assert!(detail(&result, "fx-broken").contains("fx-nowhere"), "{result:?}");
    assert!(detail(&result, "fx-conflict").contains("fx-"), "{result:?}");
    assert!(detail(&result, "fx-lib").contains("came along"), "{result:?}");
    let versions = [("fx-both", "1.1"), ("fx-plain", "1.0"), ("fx-held", "1.0"), ("fx-newpkg-2", "1.1")];
    for (package, version) in versions {
        assert_eq!(machine.installed(package), version, "{package}");
    }
    assert_eq!(result.reboot, RebootStatus::Required);

    machine.shell("touch /etc/fx-fail-ok");
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
fn an_agent_that_is_killed_takes_over_the_install_that_went_on_without_it() {
    let machine = Machine::new(Manager::Zypper);
    machine.shell("touch /etc/fx-fail-ok; echo 4 > /etc/fx-slow-seconds");
    let order = machine.order("o-1");
    let agent = machine.begin(&order);
    machine.until("fx-slow's script runs", "test -e /run/fx-slow-started");
    agent.kill(&machine);
    // Meanwhile it can be asked: looking waits for no lock.
    assert!(machine.assess().patches.iter().any(|patch| patch.name == "fx-plain"));
    let result = machine.carry_out(&order);
    assert_eq!(states(&result)["fx-slow"], Installed, "{result:?}");
    assert_eq!(machine.installed("fx-slow"), "1.1");
    assert_eq!(machine.shell("wc -l < /run/fx-slow-started"), "1", "its script ran once");
}

#[test]
fn a_power_cut_in_the_middle_of_a_package_is_repaired_and_the_order_goes_on() {
    let mut machine = Machine::new(Manager::Zypper);
    machine.shell("touch /etc/fx-fail-ok; echo 1000 > /etc/fx-slow-seconds");
    let order = machine.order("o-1");
    let agent = machine.begin(&order);
    machine.until("fx-slow's script runs", "test -e /run/fx-slow-started");
    machine.power_cut();
    drop(agent);
    assert_eq!(machine.installed("fx-slow"), "1.0\n1.1", "both are in rpm's database");
    machine.shell("echo 0 > /etc/fx-slow-seconds");
    let result = machine.carry_out(&order);
    let states = states(&result);
    for package in ["fx-slow", "fx-sec", "fx-kernel", "fx-app", "fx-both", "fx-pre", "linux-firmware"] {
        assert_eq!(states[package], Installed, "{package}: {result:?}");
    }
    assert_eq!(machine.installed("fx-slow"), "1.1");
    assert_eq!(machine.shell("wc -l < /run/fx-slow-started"), "1", "its script was run again");
}

#[test]
fn an_order_waits_for_another_zypper() {
    let machine = Machine::new(Manager::Zypper);
    machine.shell("touch /etc/fx-fail-ok; echo 3 > /etc/fx-slow-seconds");
    machine.shell("setsid zypper -n update fx-slow=1.1-1 >/dev/null 2>&1 &");
    machine.until("the other zypper installs", "test -e /run/fx-slow-started");
    let result = machine.carry_out(&machine.order("o-1"));
    assert_eq!(states(&result)["fx-sec"], Installed, "{result:?}");
    assert_eq!(machine.installed("fx-slow"), "1.1");
}

#[test]
fn sources_that_do_not_answer_are_warnings_as_long_as_one_does() {
    let machine = Machine::new(Manager::Zypper);
    machine.shell(
        "mkdir -p /tmp/page/repodata; echo '<html><body>Sign in</body></html>' > /tmp/page/repodata/repomd.xml; \
         for source in page:/tmp/page gone:/no/such; do name=${source%%:*}; \
         printf '[%s]\\nname=%s\\nenabled=1\\nautorefresh=1\\nbaseurl=dir:%s\\ntype=rpm-md\\ngpgcheck=0\\n' \
         $name $name ${source#*:} > /etc/zypp/repos.d/$name.repo; done",
    );
    let warnings: Vec<String> = machine.ask("refresh", None).unwrap();
    let text = warnings.join("\n");
    // zypper takes the page for an index; nobody else does.
    assert!(text.contains("'page'") && text.contains("Sign in") && text.contains("'gone'"), "{text}");
    let assessment = machine.assess();
    assert!(assessment.critical_and_security() > 10, "{assessment:?}");
    assert!(assessment.warnings.iter().any(|warning| warning.contains("'page'")), "{assessment:?}");
    machine.shell("rm /etc/zypp/repos.d/fx-* /etc/zypp/repos.d/gone.repo");
    let error = machine.ask::<serde_json::Value>("assess", None).unwrap_err();
    assert!(error.contains("no package source answers"), "{error}");
    machine.shell("rm /etc/zypp/repos.d/*");
    let error = machine.ask::<serde_json::Value>("assess", None).unwrap_err();
    assert!(error.contains("no package source is defined"), "{error}");
}

#[test]
fn native_updates_are_turned_off_and_restored_as_they_were() {
    let machine = Machine::new(Manager::Zypper);
    let settings = || machine.shell("cat /etc/sysconfig/automatic_online_update");
    let before = settings();
    assert!(before.contains("AOU_ENABLE_CRONJOB=\"true\""), "{before}");
    machine.tell("disable");
    machine.tell("disable");
    assert_eq!(settings(), before.replace("\"true\"", "\"false\""));
    machine.shell("sed -i 's/\"false\"/\"yes\"/' /etc/sysconfig/automatic_online_update");
    machine.tell("disable");
    machine.tell("restore");
    machine.tell("restore");
    assert_eq!(settings(), before);
}
