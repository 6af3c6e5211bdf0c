//! The agent's program on a sandboxed Debian machine, beside Debian's own programs. Root is needed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use nightshift_machines::{AptRepository, Image, Machine};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tempfile::TempDir;

const AGENT: &str = env!("CARGO_BIN_EXE_nightshift-agent");

/// Nothing but security archives, in an administrator's own words.
const PINS: &str = "Package: *\nPin: release a=*-security\nPin-Priority: 500\n\nPackage: *\nPin: release l=Debian-Security\n\
     Pin-Priority: 500\n\nPackage: *\nPin: release a=*\nPin-Priority: -1\n";
/// What unattended-upgrades takes: security archives; changed configuration files stay as they are.
const UNATTENDED: &str = "#clear Unattended-Upgrade::Origins-Pattern;\n\
     Unattended-Upgrade::Origins-Pattern { \"origin=Debian,label=Debian-Security\"; };\n\
     Dpkg::Options { \"--force-confdef\"; \"--force-confold\"; };\n";

fn machine() -> (TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let repository = AptRepository::build(&folder.path().join("repository")).unwrap();
    let image = Image::prepare(&folder.path().join("image"), &repository).unwrap();
    let sleep = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
    let machine =
        Machine::create(&folder.path().join("vm"), "vm", &image, &[PathBuf::from(AGENT)], sleep).unwrap();
    (folder, machine)
}

/// What a command said, whether it ended well.
fn said(machine: &Machine, command: &[&str]) -> (String, bool) {
    let output = machine.exec(command).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    (text, output.status.success())
}

fn tonight(machine: &Machine) -> Value {
    serde_json::from_str(&said(machine, &[AGENT, "assess", "--local", "--json"]).0).unwrap()
}

/// Each package with its version.
fn packages(lines: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines.as_array().unwrap().iter().map(|line| (text(&line["name"]), text(&line["version"]))).collect()
}

/// What an upgrade would bring: `Inst NAME [OLD] (NEW …`. A package that is new on the machine is no patch.
fn upgrades(simulation: &str) -> BTreeSet<(String, String)> {
    let step = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(" [")?;
        let new = rest.split_once('(')?.1.split_whitespace().next()?;
        Some((name.to_owned(), new.to_owned()))
    };
    simulation.lines().filter_map(step).collect()
}

#[test]
fn assess_local_agrees_with_apt_under_the_pins_and_with_unattended_upgrades() {
    let (_folder, machine) = machine();
    machine.write("/etc/security-pins", PINS).unwrap();
    machine.write("/etc/apt/apt.conf.d/51test", UNATTENDED).unwrap();
    let tonight = tonight(&machine);
    let ours = packages(&tonight["install"]);
    let fx_app = ("fx-app".to_owned(), "1.1".to_owned());

    let pinned =
        ["-o", "Dir::Etc::Preferences=/etc/security-pins", "-o", "Dir::Etc::PreferencesParts=/dev/null"];
    let command: Vec<&str> =
        ["apt-get", "-s", "-q"].into_iter().chain(pinned).chain(["upgrade", "--with-new-pkgs"]).collect();
    let (simulated, _) = said(&machine, &command);
    let mut expected = upgrades(&simulated);
    assert!(expected.len() >= 7, "{simulated}");
    // Security archives alone keep it back: what it needs is a plain update. All sources together can install it.
    assert!(simulated.contains("fx-app") && !expected.contains(&fx_app), "{simulated}");
    let (alone, possible) = said(&machine, &["apt-get", "-s", "-q", "--no-remove", "install", "fx-app=1.1"]);
    assert!(possible && upgrades(&alone).contains(&fx_app), "{alone}");
    expected.insert(fx_app.clone());
    assert_eq!(ours, expected);

    // unattended-upgrades takes nothing from where it may not, so fx-app is not among its own.
    let (dry_run, _) = said(&machine, &["unattended-upgrade", "--dry-run", "--verbose"]);
    let list = dry_run.lines().find_map(|line| line.strip_prefix("Packages that will be upgraded: "));
    let list = list.unwrap_or_else(|| panic!("{dry_run}"));
    let taken: BTreeSet<String> = list.split_whitespace().map(str::to_owned).collect();
    let names: BTreeSet<String> =
        ours.into_iter().filter(|package| *package != fx_app).map(|(name, _)| name).collect();
    assert_eq!(names, taken);

    let left = packages(&tonight["leave"]);
    for name in ["fx-held", "fx-conflict", "fx-phased", "fx-plain"] {
        assert!(left.iter().any(|(package, _)| package == name), "{name}: {left:?}");
    }
}

#[test]
fn the_doctor_speaks_plainly_and_ends_with_a_code() {
    let (_folder, machine) = machine();
    let (text, well) = said(&machine, &[AGENT, "doctor"]);
    assert!(well && text.contains("nothing stops this machine from being patched"), "{text}");
    assert!(text.contains("look at  NativeUpdatesOff"), "the image has them on: {text}");
    let config = "vm = \"vm-1\"\ngateway = \"https://127.0.0.1:1\"\nauthority = \"/no/such/file\"\n\
         order_keys = \"/no/such/file\"\ntoken_file = \"/no/such/token\"\n";
    machine.write("/etc/nightshift/agent.toml", config).unwrap();
    let (json, well) = said(&machine, &[AGENT, "doctor", "--json", "--config", "/etc/nightshift/agent.toml"]);
    let found: Vec<Value> = serde_json::from_str(&json).unwrap();
    let unmet: BTreeSet<&str> =
        found.iter().filter(|one| one["state"] == "Unmet").map(|one| one["code"].as_str().unwrap()).collect();
    assert!(!well);
    assert_eq!(unmet, BTreeSet::from(["AuthorityKnown", "Enrolled", "GatewayAnswers"]));
}
