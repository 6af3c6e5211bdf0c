//! Exit codes, each of the real program, and what it says to do next.

use crate::installation::{Installation, Said, nightshift, run, wait_until};
use nightshift_runtime::access::Role;

fn is(said: &Said, code: i32, clues: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    for clue in clues {
        assert!(said.err.contains(clue), "{clue}: {said:?}");
    }
    assert!(said.out.is_empty(), "what went wrong is said on standard error: {said:?}");
}

#[test]
fn without_an_installation() {
    let folder = tempfile::tempdir().unwrap();
    let of = |words: &[&str]| run(nightshift(folder.path(), words));
    assert_eq!(of(&["context", "list"]).code, 0);
    let help = of(&["--help"]);
    assert!(help.out.contains("  7  what was named does not exist"), "{help:?}");
    // It could not be done.
    std::fs::write(folder.path().join("file"), "").unwrap();
    is(&of(&["man", "file/pages"]), 1, &["file/pages"]);
    // The command line, and files that it names.
    is(&of(&["vm", "lst"]), 2, &["'list'"]);
    is(
        &of(&["audit", "nowhere.jsonl"]),
        2,
        &["nowhere.jsonl: No such file", "next: nightshift events export FILE"],
    );
    is(&of(&["forecast", "--log", "nowhere.jsonl"]), 2, &["nowhere.jsonl: No such file"]);
    is(&of(&["simulate", "--seeds", "0"]), 2, &["'0'", "--seeds"]);
    is(&of(&["simulate", "--bad-patch", "200"]), 2, &["'200'", "--bad-patch"]);
    is(&of(&["simulate", "--vms", "1000001"]), 2, &["'1000001'", "from 1 to 1000000"]);
    is(&of(&["vm", "install", "a", "--longest", "0s"]), 2, &["'0s'", "--longest"]);
    for (name, ttl) in [("", "8h"), ("ada ", "8h"), ("ada", "0s"), ("ada", "367d")] {
        let issue = of(&["token", "issue", "--role", "reader", "--name", name, "--ttl", ttl]);
        is(&issue, 2, &[if name == "ada" { ttl } else { name }]);
    }
    is(&of(&["plan", "--fleet", "nowhere.toml"]), 2, &["nowhere.toml: No such file"]);
    std::fs::write(folder.path().join("fleet.toml"), "[[vms]]\nprefix = 3\n").unwrap();
    is(&of(&["plan", "--fleet", "fleet.toml"]), 2, &["fleet.toml, line 2: prefix = 3"]);
    is(
        &of(&["vm", "list", "--console", "patch.example"]),
        2,
        &["\"patch.example\" is no address", "from --console"],
    );
    is(&of(&["vm", "list", "--token-file", "none"]), 5, &[]);
    // Nobody there.
    let silent = of(&["vm", "list", "--console", "http://127.0.0.1:9"]);
    is(&silent, 5, &["http://127.0.0.1:9 (--console, from --console)", "next: nightshift context show"]);
    is(&of(&["vm", "list"]), 5, &["from the default", "next: nightshift up", "--context NAME"]);
    // Several commands ask others than the console.
    is(&of(&["health", "a", "--health", "http://127.0.0.1:9"]), 5, &["--health"]);
    is(&of(&["context", "use", "nowhere"]), 7, &["next: nightshift context add nowhere --host HOST"]);
}

#[test]
fn an_auditor_who_finds_a_violation() {
    let folder = tempfile::tempdir().unwrap();
    let of = |words: &[&str]| run(nightshift(folder.path(), words));
    let simulated = of(&["simulate", "--vms", "60", "--days", "12", "--log", "log.jsonl"]);
    assert_eq!(simulated.code, 0, "{simulated:?}");
    assert_eq!(of(&["audit", "log.jsonl"]).code, 0);
    // An order that was placed at noon.
    let log = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let order = log.lines().find(|line| line.contains("OrderPlaced")).unwrap();
    let at = order.split("\"at\":\"").nth(1).unwrap().split('"').next().unwrap();
    let noon = format!("{}T12:00:00Z", &at[..10]);
    let moved = order.replacen(at, &noon, 1);
    std::fs::write(folder.path().join("moved.jsonl"), log.replacen(order, &moved, 1)).unwrap();
    let said = of(&["audit", "moved.jsonl"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.out.contains("S6"), "{said:?}");
}

#[test]
fn at_an_installation() {
    let installation = Installation::start();
    let of = |words: &[&str]| installation.said(words);
    // What does not exist.
    is(&of(&["rollout", "show", "2026-11"]), 7, &["RolloutNotFound", "next: nightshift rollout list"]);
    is(&of(&["vm", "show", "nowhere"]), 7, &["VmNotFound", "next: nightshift vm list"]);
    is(&of(&["explain", "nowhere"]), 7, &["VmNotFound", "next: nightshift vm list"]);
    is(&of(&["webhook", "retry", "nowhere"]), 7, &["WebhookNotFound", "next: nightshift webhook list"]);
    is(&of(&["rollout", "watch", "nowhere"]), 7, &["RolloutNotFound"]);
    // What is no name at all.
    is(&of(&["vm", "show", "a b"]), 2, &["a b"]);
    // A rule, or the state of things.
    installation.begin("2026-11");
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policy.toml");
    std::fs::write(installation.folder.path().join("other.toml"), "batch_percent = 7\n").unwrap();
    let again = of(&["rollout", "start", "2026-11", "--policy", "other.toml"]);
    is(&again, 6, &["RolloutExists", "next: nightshift rollout show 2026-11"]);
    assert_eq!(
        of(&["rollout", "start", "2026-11", "--policy", policy]).code,
        0,
        "the same again is no other"
    );
    // Tokens: a reader's, none, and one that is none.
    let reader = installation.token("rosa", Role::Reader);
    let mut pause = installation.command(&["rollout", "pause", "2026-11"]);
    pause.env("NIGHTSHIFT_TOKEN_FILE", &reader);
    is(&run(pause), 8, &["rosa", "next: nightshift token issue --name NAME --role operator"]);
    let mut nobody = installation.command(&["vm", "list"]);
    nobody.env_remove("NIGHTSHIFT_TOKEN_FILE");
    is(&run(nobody), 8, &["AuthenticationFailed", "next: nightshift token issue --name NAME --role reader"]);
    let mut wrong = installation.command(&["vm", "list"]);
    wrong.env_remove("NIGHTSHIFT_TOKEN_FILE").env("NIGHTSHIFT_TOKEN", "abc");
    is(&run(wrong), 8, &["InvalidAuthenticationToken"]);
    let mut unreadable = installation.command(&["vm", "list"]);
    unreadable.env("NIGHTSHIFT_TOKEN_FILE", "nowhere.token");
    is(&run(unreadable), 2, &["nowhere.token (from the variable NIGHTSHIFT_TOKEN_FILE)"]);
    // A rollout that somebody ended.
    installation.out(&["rollout", "cancel", "2026-11"]);
    wait_until("the console reads of it", || of(&["rollout", "watch", "2026-11"]).code == 9);
    is(
        &of(&["rollout", "pause", "2026-11"]),
        6,
        &["RolloutStateConflict", "next: nightshift rollout show 2026-11"],
    );
}
