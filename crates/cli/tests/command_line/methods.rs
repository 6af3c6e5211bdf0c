//! Every method of the contract has its command, and that command really calls it.

use crate::installation::{Installation, wait_until};
use crate::recorder::Recorder;
use clap::Parser as _;
use nightshift_cli::arguments::Arguments;
use prost::Message as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A method and a command that calls it, in an order in which each finds what it needs. VM and ROLLOUT are there; FLEET,
/// POLICY, ONE and REPORTS are files. A new method gets its row here.
const METHODS: &[(&str, &str)] = &[
    ("FleetService/DeclareFleet", "fleet apply FLEET"),
    ("FleetService/RegisterFeature", "feature register retail InGuestPatchVMPreview"),
    ("FleetService/RegisterProvider", "feature provider retail"),
    ("FleetService/ListFeatures", "feature list --subscription retail"),
    ("FleetService/UnregisterFeature", "feature unregister retail InGuestPatchVMPreview"),
    ("FleetService/PutVm", "vm put ONE"),
    ("FleetService/PutVm", "vm change VM --window 21:00-05:00"),
    ("RolloutService/InstallPatches", "vm install VM --no-wait"),
    ("FleetService/RemoveVm", "vm remove weu-web-99"),
    ("RolloutService/StartRollout", "rollout start ROLLOUT --policy POLICY"),
    ("RolloutService/PauseRollout", "rollout pause ROLLOUT --reason later"),
    ("RolloutService/ResumeRollout", "rollout resume ROLLOUT"),
    ("RolloutService/RetryRollout", "rollout retry ROLLOUT"),
    ("RolloutService/SkipRegion", "rollout skip-region ROLLOUT west-us"),
    ("RolloutService/ApprovePhase", "rollout approve ROLLOUT 1"),
    ("RolloutService/ChangePolicy", "rollout policy ROLLOUT POLICY"),
    ("RolloutService/DeclareRhythm", "rhythm declare --reason monthly"),
    ("RolloutService/DeclareRhythm", "rhythm stop"),
    ("RolloutService/GetRhythm", "rhythm show"),
    ("RegionService/ListRuns", "region runs"),
    ("RegionService/GetOrderKeys", "region order-keys"),
    ("AgentService/IssueEnrolmentTokens", "vm token VM"),
    ("AgentService/ListAgents", "vm agents"),
    ("AgentService/AssessVm", "vm assess VM --no-wait"),
    ("HealthService/GetVmHealth", "health VM"),
    ("HealthService/ListRegionHealth", "health --region west-europe"),
    ("HealthService/ReportSignals", "vm report VM --source balancer --ailment slow"),
    ("HealthService/ReportSignals", "vm report --file REPORTS"),
    ("ConsoleService/ListVms", "vm list --region west-europe --filter eligible:yes"),
    ("ConsoleService/GetVm", "vm show VM"),
    ("ConsoleService/ExplainVm", "explain VM"),
    ("ConsoleService/ListRollouts", "rollout list"),
    ("ConsoleService/GetRollout", "rollout show ROLLOUT"),
    ("ConsoleService/WatchRollout", "rollout watch ROLLOUT --plain"),
    ("ConsoleService/ReadEvents", "events tail --no-follow"),
    ("ConsoleService/ReadEvents", "events export EXPORT"),
    ("ConsoleService/ReadEvents", "audit"),
    ("ConsoleService/ListPartitions", "events partitions"),
    ("WebhookService/ListWebhooks", "webhook list"),
    ("WebhookService/RetryWebhook", "webhook retry nowhere"),
    ("OverviewService/GetOverview", "overview ROLLOUT"),
    ("OverviewService/WatchOverview", "overview --watch"),
    ("OverviewService/GetTopology", "fleet topology"),
    ("OverviewService/PreviewRollout", "rollout preview --policy POLICY"),
    ("LookbackService/GetVmHistory", "vm history VM"),
    ("LookbackService/GetVmSignals", "vm signals VM"),
    ("LookbackService/GetTimeline", "rollout timeline ROLLOUT"),
    ("LookbackService/GetReport", "rollout report ROLLOUT"),
    ("LookbackService/ListReportRows", "rollout machines ROLLOUT"),
    ("LookbackService/GetCompliance", "compliance"),
    ("LookbackService/Audit", "audit --remote"),
    ("RolloutService/CancelRollout", "rollout cancel ROLLOUT"),
];

/// Those of the table that go on until somebody ends them.
const ENDLESS: [&str; 2] = ["rollout watch", "overview --watch"];
/// Those that a rule may refuse, as things are; they are asked all the same.
const REFUSED: [&str; 5] = ["rollout retry", "rollout approve", "vm assess", "vm install", "webhook retry"];

#[test]
fn every_method_has_its_row_and_every_row_is_a_command() {
    let set = prost_types::FileDescriptorSet::decode(nightshift_protocol::FILE_DESCRIPTOR_SET).unwrap();
    let of_api = set.file.into_iter().filter(|file| file.package() == "nightshift.api.v1");
    let methods: Vec<String> = of_api
        .flat_map(|file| file.service)
        .flat_map(|service| {
            let name = service.name().to_owned();
            service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
        })
        .collect();
    for method in &methods {
        assert!(
            METHODS.iter().any(|(row, _)| row == method),
            "{method} has no command: crates/cli, and its row here"
        );
    }
    for (method, words) in METHODS {
        assert!(methods.iter().any(|known| known == method), "{method} is no method any more");
        let read = Arguments::try_parse_from(["nightshift"].into_iter().chain(words.split(' ')));
        assert!(read.is_ok(), "{words}: {}", read.unwrap_err());
    }
}

#[test]
fn every_command_makes_its_call() {
    let installation = Installation::start();
    let folder = installation.folder.path();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let reports = folder.join("reports.jsonl");
    std::fs::write(&reports, "{\"vm\": \"weu-web-01\", \"source\": \"balancer\"}\n\n").unwrap();
    let export = folder.join("log.jsonl");
    let (recorder, door) = installation.runtime.block_on(Recorder::start(installation.servers()));
    for (method, line) in METHODS {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| match word {
                "VM" => "weu-web-01".to_owned(),
                "ROLLOUT" => "2026-11".to_owned(),
                "FLEET" => format!("{root}/fleet.toml"),
                "POLICY" => format!("{root}/policy.toml"),
                "ONE" => format!("{root}/vm.toml"),
                "REPORTS" => reports.display().to_string(),
                "EXPORT" => export.display().to_string(),
                word => word.to_owned(),
            })
            .collect();
        recorder.forget();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = installation.command(&words);
        for service in ["CONSOLE", "PLANNER", "COORDINATORS", "GATEWAY", "HEALTH"] {
            command.env(format!("NIGHTSHIFT_{service}"), &door);
        }
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if ENDLESS.iter().any(|endless| line.starts_with(endless)) {
            wait_until(line, || recorder.has(method));
            running.kill().unwrap();
        }
        let said: crate::installation::Said = running.wait_with_output().unwrap().into();
        assert!(recorder.has(method), "`{line}` did not call {method}: {said:?}");
        let is_refused = REFUSED.iter().any(|refused| line.starts_with(refused));
        let expected = if is_refused { [0, 6, 7].as_slice() } else { &[0, -1] };
        assert!(expected.contains(&said.code), "`{line}`: {said:?}");
        settle(&installation, line);
    }
    // The file is the log: whoever has it can audit it.
    let audited = crate::installation::run(crate::installation::nightshift(
        folder,
        &["audit", export.to_str().unwrap()],
    ));
    assert_eq!(audited.code, 0, "{audited:?}");
}

/// The console reads the log by itself: what the next commands need is there when it has.
fn settle(installation: &Installation, line: &str) {
    let known = |words: &[&str]| installation.said(words).code == 0;
    let begun = Instant::now();
    match line.split(' ').take(2).collect::<Vec<_>>().as_slice() {
        ["rollout", "start"] => wait_until("the rollout is known", || known(&["rollout", "show", "2026-11"])),
        ["vm", "put"] => wait_until("the VM is known", || known(&["vm", "show", "weu-web-99"])),
        _ => {}
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}
