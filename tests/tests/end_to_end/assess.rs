//! `nightshift vm assess`: from a person's terminal through the log and the gateway to a real package manager and back.

use crate::demo::binary;
use crate::real_run::{alone, open_folder, prepare, runtime};
use nightshift_cli::arguments::Servers;
use nightshift_cli::clients;
use nightshift_cli::real_fleet::RealFleet;
use nightshift_cli::stack::{Listen, Stack};
use nightshift_domain::fleet::Feature;
use nightshift_domain::rhythm::Rhythm;
use nightshift_domain::rollout::Actor;
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::Clock;
use serde_json::Value;
use std::process::{Command, Output};

/// One machine for each package manager.
const ASKED: [(&str, &str); 3] = [("west-z1", "apt"), ("east-z2", "dnf"), ("west-z2", "zypper")];

fn nightshift(servers: &Servers, words: &[&str]) -> Output {
    let mut command = Command::new(binary("nightshift"));
    let token = std::fs::read_to_string(servers.token_file.as_ref().unwrap()).unwrap();
    command
        .args(words)
        .env("NIGHTSHIFT_TOKEN", token.trim())
        .env("NIGHTSHIFT_CONSOLE", &servers.console)
        .env("NIGHTSHIFT_PLANNER", &servers.planner)
        .env("NIGHTSHIFT_GATEWAY", &servers.gateway);
    command.output().unwrap()
}

fn json(servers: &Servers, words: &[&str]) -> Value {
    let output = nightshift(servers, words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
}

/// The patches as `nightshift vm show` counts them: critical and security, and other.
fn lacks(servers: &Servers, vm: &str) -> String {
    let output = nightshift(servers, &["vm", "show", vm]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("lacks"));
    line.unwrap_or_else(|| panic!("{vm}: {text}")).trim().to_owned()
}

#[test]
fn a_person_asks_what_a_machine_lacks_and_it_looks_itself() {
    let _alone = alone();
    let folder = open_folder();
    let mut fleet = prepare(folder.path());
    let runtime = runtime();
    let stack = runtime.block_on(async {
        let stack =
            Stack::start(folder.path().join("services"), Clock::system(), Listen::free()).await.unwrap();
        fleet.go_live(&stack.servers, stack.agents).await.unwrap();
        // On demand is a feature of its own, which is registered while all is running.
        let mut declared = RealFleet::declared().unwrap();
        declared.features.push(("real".parse().unwrap(), Feature::InGuestPatchVMPreview));
        let fleet = clients::fleet(&stack.servers).await;
        fleet.unwrap().declare_fleet(declared.request()).await.unwrap();
        // Installs are watched as long as the usual rollout's: a region's geo-pair waits for that.
        let rhythm = Rhythm { policy: RealFleet::policy(), ..Rhythm::default() };
        let actor = Actor { name: "tester".into(), reason: "seconds for hours".into() };
        let (rhythm, actor) = (Some((&rhythm).into()), Some((&actor).into()));
        let request = api::DeclareRhythmRequest { rhythm, actor, ..Default::default() };
        clients::rollouts(&stack.servers).await.unwrap().declare_rhythm(request).await.unwrap();
        stack
    });
    for (vm, manager) in ASKED {
        let before = json(&stack.servers, &["vm", "show", vm, "--json"])["assessedAt"].clone();
        let assessment =
            json(&stack.servers, &["vm", "assess", vm, "--reason", "before the weekend", "--json"]);
        let patches = assessment["patches"].as_array().unwrap();
        let find = |name: &str| patches.iter().find(|patch| patch["name"] == name).unwrap();
        assert!(find("fx-sec")["version"].as_str().unwrap().starts_with("1.1"), "{manager}: {assessment:#}");
        assert!(!find("fx-held")["obstacle"].as_str().unwrap().is_empty(), "{manager}: {assessment:#}");

        // The summary is of what was just seen.
        let after = json(&stack.servers, &["vm", "show", vm, "--json"]);
        assert_ne!(after["assessedAt"], before, "{manager}");
        assert_eq!(after["assessment"], assessment, "{manager}");
        let other =
            patches.iter().filter(|patch| patch["classification"].as_str().unwrap().contains("OTHER"));
        let other = other.count();
        let expected = format!("{} critical or security, {other} other", patches.len() - other);
        assert_eq!(lacks(&stack.servers, vm), expected, "{manager}");
    }
    // It only looked.
    for machine in fleet.inspect().unwrap() {
        assert_eq!(machine.packages["fx-sec"], "1.0", "{}", machine.vm);
    }
    install_on_one(&stack.servers, &fleet);
    let unknown = nightshift(&stack.servers, &["vm", "assess", "nowhere"]);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && said.contains("nowhere"), "{said}");
    runtime.block_on(async {
        stack.shutdown.cancel();
        stack.ended().await.unwrap();
    });
}

/// A person has one package of one machine patched: that is done by the real package manager, and nothing else.
fn install_on_one(servers: &Servers, fleet: &RealFleet) {
    for (vm, manager) in ASKED {
        let words =
            ["vm", "install", vm, "--include", "fx-sec", "--longest", "20m", "--reason", "a hole", "--json"];
        let report = json(servers, &words);
        let patches = report["patches"].as_array().unwrap();
        let installed = patches.iter().filter(|patch| patch["state"] == "PATCH_STATE_INSTALLED");
        let installed: Vec<_> = installed.map(|patch| patch["name"].as_str().unwrap()).collect();
        assert_eq!(installed, ["fx-sec"], "{manager}: {report:#}");
    }
    for machine in fleet.inspect().unwrap() {
        let is_asked = ASKED.iter().any(|(vm, _)| machine.vm.as_str() == *vm);
        let version = &machine.packages["fx-sec"];
        assert_eq!(version.starts_with("1.1"), is_asked, "{}: {version}", machine.vm);
        assert_eq!(machine.packages["fx-plain"], "1.0", "{}", machine.vm);
    }
}
