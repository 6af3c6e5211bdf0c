//! `nightshift rollout watch` on a terminal: seen, steered, resized, ended in every way, and over a console that restarts.

use crate::installation::{Installation, wait_until};
use crate::pty::Terminal;

const WATCH: [&str; 3] = ["rollout", "watch", "2026-11"];

fn watch(installation: &Installation, rows: u16, columns: u16) -> Terminal {
    let terminal = Terminal::run(installation.command(&WATCH), "", rows, columns);
    terminal.wait_for("the rollout", |screen| screen.contains("RUNNING") && screen.contains("east-asia"));
    assert!(terminal.is_full_screen());
    terminal
}

#[test]
fn keys_steer_and_sizes_change() {
    let installation = Installation::start();
    installation.begin("2026-11");
    let state = || installation.json(&["rollout", "show", "2026-11"])["state"].clone();
    let mut terminal = watch(&installation, 30, 100);
    terminal.wait_for("the log", |screen| screen.contains("rollout requested, by"));
    terminal.wait_for("the first region is selected", |screen| {
        screen.contains("> *east-asia") || screen.contains(">  east-asia")
    });
    terminal.press("\u{1b}[B");
    terminal.wait_for("the next region is selected", |screen| {
        screen.lines().any(|line| line.starts_with('>') && !line.contains("east-asia "))
    });
    terminal.press("?");
    terminal.wait_for("the help", |screen| screen.contains("quit; the rollout goes on"));
    terminal.press(" ");
    terminal.wait_for("no help", |screen| !screen.contains("quit; the rollout goes on"));

    // A wish that is taken back, and one that is confirmed.
    terminal.press("p");
    terminal.wait_for("the question", |screen| screen.contains("Pause it? Why:"));
    terminal.press("\u{1b}");
    terminal.wait_for("nothing was done", |screen| screen.contains("nothing was done"));
    assert_eq!(state(), "ROLLOUT_STATE_RUNNING");
    terminal.press("p");
    terminal.press("wait for qq\u{7f}\r");
    terminal.wait_for("PAUSED", |screen| screen.contains("PAUSED") && screen.contains("rollout paused, by"));
    assert_eq!(state(), "ROLLOUT_STATE_PAUSED");
    let log = installation.out(&["events", "tail", "--no-follow", "--partition", "rollout", "--json"]);
    assert!(log.contains("\"wait for q\""), "{log}");
    terminal.press("r\r");
    terminal.wait_for("RUNNING", |screen| screen.contains("RUNNING") && !screen.contains("PAUSED"));

    // Narrow, tiny, and wide.
    terminal.resize(15, 45);
    terminal.wait_for("a narrow list", |screen| screen.contains("0/") && !screen.contains("[   "));
    terminal.resize(4, 20);
    terminal
        .wait_for("a line", |screen| screen.contains("2026-11  RUNNING") && !screen.contains("east-asia"));
    terminal.resize(40, 160);
    terminal.wait_for("everything", |screen| screen.contains("q quit") && screen.contains("has no turn now"));

    terminal.press("q");
    terminal.ended(0);
    // What was seen last is left on the terminal.
    assert!(terminal.text().contains("rollout 2026-11: running"), "{}", terminal.text());
}

#[test]
fn it_gives_the_terminal_back_however_it_ends() {
    let mut installation = Installation::start();
    installation.begin("2026-11");
    let mut by_key = watch(&installation, 24, 80);
    by_key.press("\u{3}");
    by_key.ended(0);
    for signal in ["-TERM", "-INT", "-HUP"] {
        let by_signal = watch(&installation, 24, 80);
        by_signal.signal(signal);
        by_signal.ended(0);
    }
    // By an error: whoever may see it no more.
    let mut command = installation.command(&WATCH);
    let token = std::fs::read_to_string(installation.servers().token_file.as_ref().unwrap()).unwrap();
    command.env_remove("NIGHTSHIFT_TOKEN_FILE").env("NIGHTSHIFT_TOKEN", token.trim());
    let by_error = Terminal::run(command, "", 24, 80);
    by_error.wait_for("the rollout", |screen| screen.contains("RUNNING"));
    installation.stop();
    std::fs::remove_file(installation.folder.path().join("data/issuer-key.pem")).unwrap();
    installation.start_again();
    by_error.ended(8);
    assert!(by_error.text().contains("InvalidAuthenticationToken"), "{}", by_error.text());
}

#[test]
fn it_goes_on_when_the_console_restarts_and_ends_with_the_rollout() {
    let mut installation = Installation::start();
    installation.begin("2026-11");
    let terminal = watch(&installation, 40, 100);
    let written = installation.folder.path().join("lines");
    let mut lines = installation.command(&[WATCH.as_slice(), &["--plain"]].concat());
    let mut lines = lines.stdout(std::fs::File::create(&written).unwrap()).spawn().unwrap();
    let said = || std::fs::read_to_string(&written).unwrap();
    wait_until("it has begun", || said().contains("rollout: running"));
    installation.stop();
    terminal.wait_for("that nobody answers", |screen| screen.contains("NOT CONNECTED"));
    installation.start_again();
    terminal.wait_for("the rollout again", |screen| {
        !screen.contains("NOT CONNECTED") && screen.contains("RUNNING")
    });
    wait_until("it is cancelled", || installation.said(&["rollout", "cancel", "2026-11"]).code == 0);
    terminal.ended(9);
    assert!(terminal.text().contains("rollout 2026-11: cancelled"), "{}", terminal.text());
    assert_eq!(lines.wait().unwrap().code(), Some(9));
    let said = said();
    assert!(said.contains("trying again") && said.contains("rollout: cancelled"), "{said}");
}

#[test]
fn where_there_is_no_such_terminal_there_are_lines() {
    let installation = Installation::start();
    installation.begin("2026-11");
    for (words, environment) in
        [(["--plain"].as_slice(), ""), (&["--output", "json"], ""), (&[], "TERM=dumb")]
    {
        let command = installation.command(&[WATCH.as_slice(), words].concat());
        let terminal = Terminal::run(command, environment, 24, 80);
        wait_until("a state", || terminal.raw().to_lowercase().contains("running"));
        assert!(!terminal.is_full_screen(), "{words:?} {environment}");
    }
}
