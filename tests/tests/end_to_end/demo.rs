//! `nightshift demo`, as a new user runs it.

use serde_json::Value;
use std::process::Command;

/// The program, built beside this test.
pub fn binary(name: &str) -> std::path::PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    path
}

fn demo(arguments: &[&str]) -> (Option<i32>, Value) {
    let output =
        Command::new(binary("nightshift")).arg("demo").args(arguments).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), report)
}

#[test]
fn a_rollout_completes_and_the_log_audits_clean() {
    let _alone = crate::real_run::alone();
    let (code, report) = demo(&[]);
    assert_eq!((code, &report["outcome"]), (Some(0), &Value::from("completed")), "{report:#}");
    assert_eq!(report["violations"], 0);
    let numbers: Vec<u64> =
        report["phases"].as_array().unwrap().iter().map(|p| p["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(report["counts"]["healthy"], 220);
    assert_eq!(report["counts"]["deferred"], 4);
}

#[test]
fn a_bad_patch_halts_the_rollout_where_it_is_and_touches_no_later_phase() {
    let _alone = crate::real_run::alone();
    // The region of the first phase: the two phases after it must stay as they were.
    let (code, report) = demo(&["--bad-patch", "east-asia"]);
    assert_eq!((code, &report["outcome"]), (Some(0), &Value::from("halted")), "{report:#}");
    assert_eq!(report["halted"]["region"], "east-asia");
    assert_eq!(report["violations"], 0);
    let touched: Vec<bool> =
        report["phases"].as_array().unwrap().iter().map(|p| p["touched"].as_bool().unwrap()).collect();
    assert_eq!(touched, [true, false, false]);
}

#[test]
fn an_unknown_region_is_named() {
    let output =
        Command::new(binary("nightshift")).args(["demo", "--bad-patch", "atlantis"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("atlantis") && said.contains("east-asia"), "{said}");
}
