//! Tables for people, JSON and YAML for programs: both say the same.

use crate::installation::{Installation, run, wait_until};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Another's reader of YAML, one that takes `no` and `1.10` for what they are not if they are not quoted.
fn of_yaml(text: &str) -> Vec<Value> {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/schemathesis/bin/python");
    let script = "import json,sys,yaml\nprint(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let mut reader = Command::new(python);
    let mut reader =
        reader.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success(), "{text}");
    serde_json::from_slice(&read.stdout).unwrap()
}

/// Without the moment at which it was so, which is another at each look.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.remove("asOf");
            fields.values_mut().for_each(|field| *field = timeless(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

#[test]
fn yaml_says_what_json_says_and_tables_have_neither() {
    let installation = Installation::start();
    installation.begin("no");
    installation.out(&["vm", "install", "weu-web-02", "--within", "168h", "--no-wait", "--reason", "urgent"]);
    wait_until("the console reads of the install", || {
        installation.json(&["overview"])["overview"]["installs"][0]["vm"] == "weu-web-02"
    });
    let overview = installation.out(&["overview"]);
    let (head, line) = overview.split_once("ON DEMAND").unwrap();
    assert!(head.contains("rollout no: running") && !head.contains("weu-web-02"), "{overview}");
    let shown = ["weu-web-02", "west-europe", "waiting"].iter().all(|word| line.contains(word));
    assert!(shown && !line.contains("more on demand"), "{overview}");
    let same: &[&[&str]] = &[
        &["vm", "show", "weu-web-01"],
        &["vm", "list"],
        &["vm", "list", "--filter", "weu-db"],
        &["vm", "history", "weu-web-01"],
        &["vm", "agents"],
        &["rollout", "list"],
        &["overview"],
        &["explain", "weu-win-01"],
        &["health", "weu-web-01"],
        &["health", "--region", "west-europe"],
        &["fleet", "topology"],
        &["feature", "list"],
        &["region", "order-keys"],
        &["events", "partitions"],
        &["rhythm", "show"],
        &["audit", "--remote"],
        &["plan", "--fleet", concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/fleet.toml")],
        &["context", "list"],
        &["context", "show"],
    ];
    for words in same {
        // What the clock or the services change between two questions is asked again.
        wait_until(&format!("{words:?} says the same twice"), || {
            let json = installation.json(words);
            let yaml = of_yaml(&installation.out(&[*words, &["-o", "yaml"]].concat()));
            yaml.into_iter().map(timeless).collect::<Vec<_>>() == [timeless(json)]
        });
        let table = installation.out(words);
        assert!(serde_json::from_str::<Value>(&table).is_err(), "{words:?}: {table}");
        assert!(!table.trim().is_empty(), "{words:?}");
    }
    // The name that YAML's older readers take for a boolean.
    let shown = of_yaml(&installation.out(&["rollout", "show", "no", "--output", "yaml"]));
    assert_eq!(shown[0]["rollout"], "no");
    let short = installation.json(&["vm", "show", "weu-web-01"]);
    let long: Value =
        serde_json::from_str(&installation.out(&["vm", "show", "weu-web-01", "--json"])).unwrap();
    assert_eq!(short, long);
}

#[test]
fn streams_are_a_line_or_a_document_for_each_item() {
    let installation = Installation::start();
    installation.begin("2026-11");
    let tail = ["events", "tail", "--no-follow", "--partition", "rollout"];
    let lines = installation.out(&[tail.as_slice(), &["--json"]].concat());
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines.len() >= 2 && lines[0]["type"].as_str().unwrap().ends_with("RolloutRequested"),
        "{lines:#?}"
    );
    let documents = of_yaml(&installation.out(&[tail.as_slice(), &["--output", "yaml"]].concat()));
    assert_eq!(documents[..lines.len()], lines[..]);

    // A cancelled rollout's states end with its last one.
    installation.out(&["rollout", "cancel", "2026-11", "--reason", "enough"]);
    wait_until("it is cancelled", || {
        installation.json(&["rollout", "show", "2026-11"])["state"] != "ROLLOUT_STATE_RUNNING"
    });
    let watched = installation.said(&["rollout", "watch", "2026-11", "--json"]);
    assert_eq!(watched.code, 9, "{watched:?}");
    let last: Value = serde_json::from_str(watched.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "ROLLOUT_STATE_CANCELLED");
    let plain = installation.said(&["rollout", "watch", "2026-11"]);
    assert!(plain.out.contains("rollout: cancelled") && !plain.out.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn what_vm_show_prints_can_be_edited_and_put() {
    let installation = Installation::start();
    let mut shown = installation.json(&["vm", "show", "weu-web-01"]);
    shown["vm"]["timeZone"] = "Europe/Lisbon".into();
    let file = installation.folder.path().join("vm.json");
    std::fs::write(&file, shown.to_string()).unwrap();
    let put = installation.json(&["vm", "put", file.to_str().unwrap()]);
    assert_eq!(put["vm"]["timeZone"], "Europe/Lisbon");
    let zone = || installation.json(&["vm", "show", "weu-web-01"])["vm"]["timeZone"].clone();
    wait_until("the console reads of it", || zone() == "Europe/Lisbon");
    assert!(installation.out(&["vm", "put", file.to_str().unwrap()]).contains("is as it was"));
    // By what was seen before, it is known that somebody else changed it in between.
    let seen = installation.folder.path().join("seen.json");
    std::fs::write(&seen, installation.json(&["vm", "show", "weu-web-01"]).to_string()).unwrap();
    installation.out(&["vm", "change", "weu-web-01", "--time-zone", "region"]);
    wait_until("it is taken back", || zone().is_null());
    shown["vm"]["timeZone"] = "Europe/Paris".into();
    std::fs::write(&file, shown.to_string()).unwrap();
    let put = |vm: &str| installation.said(&["vm", "put", vm, "--seen", "seen.json"]);
    let refused = put("vm.json");
    assert!(refused.code == 6 && refused.err.contains("VmChangedConflict"), "{refused:?}");
    std::fs::write(&seen, installation.json(&["vm", "show", "weu-web-01"]).to_string()).unwrap();
    let taken = put("vm.json");
    assert!(taken.code == 0 && taken.out.contains("is changed"), "{taken:?}");
    let other = put(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/vm.toml"));
    assert!(
        other.code == 2 && other.err.contains("it is VM \"weu-web-01\", not \"weu-web-99\""),
        "{other:?}"
    );
}

#[test]
fn people_are_shown_all_that_a_vm_is() {
    let installation = Installation::start();
    let shown = installation.out(&["vm", "show", "weu-web-01"]);
    for line in [
        "image         Linux: Canonical UbuntuServer 18.04-LTS",
        "assessment    ImageDefault",
        "reboot        as each policy says",
        "rollout       -",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
}

#[test]
fn reports_that_are_refused_are_named_by_their_place() {
    let installation = Installation::start();
    let mut command = installation.command(&["vm", "report", "--file", "-"]);
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text = "{\"vm\": \"weu-web-01\", \"source\": \"lb\"}\n{\"vm\": \"nowhere\", \"source\": \"lb\", \"ailment\": \"slow\"}\n";
    running.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said: crate::installation::Said = running.wait_with_output().unwrap().into();
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.out.contains("report 2 of \"nowhere\"") && said.out.contains("1 reports taken"), "{said:?}");
    let broken = installation.folder.path().join("broken.jsonl");
    std::fs::write(&broken, "{\"vm\": \"a\"}\nvm = b\n").unwrap();
    let said = run(installation.command(&["vm", "report", "--file", broken.to_str().unwrap()]));
    assert!(said.code == 2 && said.err.contains("broken.jsonl, line 2:"), "{said:?}");
}
