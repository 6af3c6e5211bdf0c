//! A bad patch halts a small fleet: what `rollout watch` says of it, and that it can be let go on from the live view.

use crate::installation::{Said, nightshift, run, wait_until};
use crate::pty::Terminal;
use nightshift_cli::demo::simulated::{Simulated, policy};
use nightshift_cli::fleet_file;
use nightshift_cli::stack::Listen;
use nightshift_domain::RegionName;
use nightshift_domain::policy::Policy;
use std::path::Path;
use std::process::Command;

/// One region whose machines all fall ill.
const FLEET: &str = r#"
    [[region]]
    name = "east-asia"
    time_zone = "Asia/Hong_Kong"

    [[subscription]]
    name = "retail"
    features = ["InGuestAutoPatchVMPreview"]

    [[image]]
    name = "ubuntu-18"
    os = "Linux"
    publisher = "Canonical"
    offer = "UbuntuServer"
    sku = "18.04-LTS"

    [[vms]]
    prefix = "eas-web"
    count = 8
    region = "east-asia"
    subscription = "retail"
    resource_group = "web"
    image = "ubuntu-18"
    patch_mode = "AutomaticByPlatform"
"#;
/// A night in some seconds.
const SPEED: u32 = 5_760;

fn command(folder: &Path, simulated: &Simulated, words: &[&str]) -> Command {
    let servers = &simulated.stack.servers;
    let mut command = nightshift(folder, words);
    command
        .env("NIGHTSHIFT_CONSOLE", &servers.console)
        .env("NIGHTSHIFT_PLANNER", &servers.planner)
        .env("NIGHTSHIFT_TOKEN_FILE", servers.token_file.as_ref().unwrap());
    command
}

#[test]
fn a_halt_is_seen_with_its_evidence_and_resumed_from_the_view() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fleet = fleet_file::parse(FLEET).unwrap();
    let bad = RegionName::new("east-asia").unwrap();
    let data = folder.path().join("data");
    let simulated = runtime.block_on(Simulated::start(&fleet, Some(&bad), data, Listen::free())).unwrap();
    simulated.clock.set_speed(SPEED);
    let of = |words: &[&str]| -> Said { run(command(folder.path(), &simulated, words)) };
    let policy = Policy { phase_shares: vec![100], ..policy() };
    let file = folder.path().join("policy.json");
    std::fs::write(&file, toml_of(&policy)).unwrap();
    let started = of(&[
        "rollout",
        "start",
        "monthly",
        "--policy",
        file.to_str().unwrap(),
        "--watch",
        "--reason",
        "it is time",
    ]);
    assert_eq!(started.code, 3, "{started:?}");
    assert!(started.out.contains("rollout monthly: halted in east-asia, because"), "{started:?}");
    assert!(started.out.contains("evidence: ") && started.out.contains("failed: "), "{started:?}");

    let mut terminal =
        Terminal::run(command(folder.path(), &simulated, &["rollout", "watch", "monthly"]), "", 40, 130);
    terminal.wait_for("the halt and its evidence", |screen| {
        screen.contains("HALTED in east-asia")
            && screen.contains("evidence: ")
            && screen.contains("rollout halted")
    });
    terminal.press("r");
    terminal.wait_for("the question", |screen| screen.contains("failures are thereby accepted"));
    terminal.press("the mirror is back\r");
    wait_until("it was resumed", || {
        let log = of(&["events", "tail", "--no-follow", "--partition", "rollout", "--json"]);
        log.out.contains("RolloutResumed") && log.out.contains("the mirror is back")
    });
    terminal.wait_for("that it was resumed", |screen| screen.contains("rollout resumed, by"));
    terminal.press("q");
    terminal.wait_for("its end", |screen| screen.contains("ALL OVER"));
    runtime.block_on(simulated.end()).unwrap();
}

fn toml_of(policy: &Policy) -> String {
    // A policy file is TOML of the same fields.
    let value = serde_json::to_value(policy).unwrap();
    fn without_nothing(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nothing(value)))
                .collect(),
            other => other,
        }
    }
    toml::to_string(&without_nothing(value)).unwrap()
}
