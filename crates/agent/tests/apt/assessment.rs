//! What the machine lacks, and how urgent it is.

use crate::interruptions::hold;
use crate::machine::Machine;
use nightshift_agent::back_end::BackEnd;
use nightshift_domain::patch::Classification::{Other, Security};
use nightshift_domain::patch::{Classification, Patch};
use std::fs;

fn find<'a>(patches: &'a [Patch], name: &str) -> &'a Patch {
    patches.iter().find(|patch| patch.name == name).unwrap_or_else(|| panic!("no {name} in {patches:?}"))
}

#[tokio::test]
async fn every_fixture_is_assessed_and_classified() {
    let assessment = Machine::new().assess().await;
    let seen: Vec<(&str, &str, Classification, bool)> = assessment
        .patches
        .iter()
        .map(|patch| (&*patch.name, &*patch.version, patch.classification, patch.obstacle.is_none()))
        .collect();
    let expected = [
        ("fx-app", "1.1", Security, true),
        ("fx-both", "1.1", Security, true),
        ("fx-conf", "1.1", Security, true),
        ("fx-conflict", "1.1", Security, false),
        ("fx-fail", "1.1", Security, true),
        ("fx-held", "1.1", Security, false),
        ("fx-kernel", "1.1", Security, true),
        ("fx-lib", "1.1", Other, true),
        ("fx-newdep", "1.1", Security, true),
        ("fx-phased", "1.1", Other, false),
        ("fx-plain", "1.1", Other, true),
        ("fx-sec", "1.1", Security, true),
        ("fx-slow", "1.1", Security, true),
    ];
    assert_eq!(seen, expected);
    assert!(assessment.warnings.is_empty() && !assessment.reboot_pending);
}

#[tokio::test]
async fn obstacles_say_what_stands_in_the_way() {
    let patches = Machine::new().assess().await.patches;
    let obstacle = |name| find(&patches, name).obstacle.clone().unwrap();
    assert!(obstacle("fx-held").contains("held"));
    assert!(obstacle("fx-phased").contains("phased"), "{}", obstacle("fx-phased"));
    assert_eq!(obstacle("fx-conflict"), "would remove fx-victim");
}

#[tokio::test]
async fn a_fix_that_the_administrator_pinned_away_is_not_forced() {
    let machine = Machine::new();
    let pin = "Package: fx-sec\nPin: version 1.1\nPin-Priority: -1\n";
    fs::write(machine.root("etc/apt/preferences.d/no-fx-sec"), pin).unwrap();
    let patches = machine.assess().await.patches;
    assert!(find(&patches, "fx-sec").obstacle.as_ref().unwrap().contains("preferences"), "{patches:?}");
}

#[tokio::test]
async fn a_source_that_is_gone_is_a_warning_and_the_old_news_serve_on() {
    let machine = Machine::new();
    let sources = machine.root("etc/apt/sources.list");
    let text = fs::read_to_string(&sources).unwrap() + "deb [trusted=yes] file:/no/such/mirror ./\n";
    fs::write(&sources, text).unwrap();
    let warnings = machine.apt().refresh().await;
    assert!(warnings.iter().any(|warning| warning.contains("/no/such/mirror")), "{warnings:?}");
    assert!(machine.assess().await.critical_and_security() > 5);
}

#[tokio::test]
async fn a_lock_on_the_lists_is_a_warning_and_the_old_news_serve_on() {
    let machine = Machine::new();
    machine.apt().refresh().await;
    // apt waits for dpkg's lock if it is told to, and never for this one.
    let _held = hold(&machine.root("var/lib/apt/lists/lock"));
    let warnings = machine.apt().refresh().await;
    assert!(warnings.iter().any(|warning| warning.contains("Could not get lock")), "{warnings:?}");
    assert!(machine.assess().await.critical_and_security() > 5);
}

#[tokio::test]
async fn native_updates_are_turned_off_without_an_edit_and_on_again() {
    let machine = Machine::new();
    let value = || machine.tool("apt-config", &["shell", "V", "APT::Periodic::Unattended-Upgrade"]);
    let own = fs::read(machine.root("etc/apt/apt.conf.d/20auto-upgrades")).unwrap();
    machine.apt().disable_native_updates().await.unwrap();
    machine.apt().disable_native_updates().await.unwrap();
    assert_eq!(value(), "V='0'\n");
    assert_eq!(fs::read(machine.root("etc/apt/apt.conf.d/20auto-upgrades")).unwrap(), own);
    machine.apt().restore_native_updates().await.unwrap();
    assert_eq!(value(), "V='1'\n");
    fs::write(machine.root("etc/apt/apt.conf.d/99-zz"), "APT::Periodic::Unattended-Upgrade \"1\";\n")
        .unwrap();
    let error = machine.apt().disable_native_updates().await.unwrap_err();
    assert!(error.to_string().contains("still on"), "{error}");
}
