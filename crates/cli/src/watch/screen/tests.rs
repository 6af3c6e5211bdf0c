//! The drawing at every size, the keys, and the terminal after a panic.

use super::draw::{Palette, draw};
use super::model::{Action, Line, Model, Wish};
use super::terminal::Screen;
use crate::watch::feed::Update;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;
use std::process::Command;

fn region(name: &str, turn: bool) -> api::RegionView {
    api::RegionView {
        region: name.to_owned(),
        why: "one of the larger ones".to_owned(),
        vms: 40,
        turn,
        stage: if turn { "zone 2".to_owned() } else { String::new() },
        waiting: 20,
        in_flight: if turn { 3 } else { 0 },
        soaking: if turn { 2 } else { 0 },
        tally: Some(wire::Tally { healthy: 10, failed: 1, skipped: 2, deferred: 2 }),
        exceptions: vec![api::Exception {
            vm: "weu-web-0007".to_owned(),
            progress: api::VmProgress::Failed.into(),
            why: "its probe web does not answer".to_owned(),
        }],
        round: 1,
        skipped_by: None,
        gates: vec![api::Gate {
            whole: "step 3".to_owned(),
            conditions: vec![api::Condition {
                code: "HealthPending".to_owned(),
                state: api::ConditionState::Waits.into(),
                sentence: "two machines soak".to_owned(),
                until: None,
            }],
        }],
    }
}

fn rollout(state: api::RolloutState) -> api::RolloutView {
    let phase = |number, state: api::PhaseState, regions| api::PhaseView {
        number,
        state: state.into(),
        regions,
        tally: None,
        approval_needed: number == 3,
        gate: Vec::new(),
    };
    let halted = state == api::RolloutState::Halted;
    api::RolloutView {
        rollout: "2026-11".to_owned(),
        state: state.into(),
        why: if halted { "more failed than its budget allows".to_owned() } else { String::new() },
        halted_region: if halted { "west-europe".to_owned() } else { String::new() },
        halted_phase: if halted { 2 } else { 0 },
        evidence: halted.then(|| wire::HaltEvidence {
            failed: 3,
            vms: vec!["weu-web-0007".to_owned()],
            ..wire::HaltEvidence::default()
        }),
        phases: vec![
            phase(1, api::PhaseState::Passed, vec![region("east-asia", false)]),
            phase(2, api::PhaseState::Running, vec![region("west-europe", true), region("east-us", false)]),
            phase(
                3,
                api::PhaseState::Waiting,
                (0..12).map(|n| region(&format!("region-{n:02}"), false)).collect(),
            ),
        ],
        tally: Some(wire::Tally { healthy: 150, failed: 15, skipped: 30, deferred: 30 }),
        as_of: Some(pbjson_types::Timestamp { seconds: 1_795_000_000, nanos: 0 }),
        ..api::RolloutView::default()
    }
}

fn model(state: api::RolloutState) -> Model {
    let mut model = Model::new("2026-11".to_owned());
    model.update(Update::Now(Box::new(rollout(state))));
    for number in 0..30 {
        model.say(Line { at: "Tue 22:00".to_owned(), text: format!("event {number}") });
    }
    model
}

fn drawn(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, Palette { colors: true })).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn press(model: &mut Model, code: KeyCode) -> Option<Action> {
    model.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn a_running_rollout_has_its_regions_its_gates_and_its_news() {
    let mut model = model(api::RolloutState::Running);
    press(&mut model, KeyCode::Down);
    let text = drawn(&model, 140, 40);
    for seen in [
        "2026-11  RUNNING",
        "225 of 600 VMs",
        "15 FAILED",
        "Phase 1 passed",
        "Phase 3 waiting, waits for a person's approval",
        "> *west-europe       [===       ]   15/40   3 in flight, 2 soaking",
        "west-europe  phase 2: one of the larger ones",
        "has its turn: zone 2; 20 wait",
        "step 3: waits  two machines soak",
        "weu-web-0007     failed: its probe web does not answer",
        "Newest",
        "Tue 22:00  event 29",
        "q quit  up/down region  p pause  r resume  ? help",
    ] {
        assert!(text.contains(seen), "{seen}:\n{text}");
    }
    assert!(!text.contains("event 3\n"), "only the newest:\n{text}");
}

#[test]
fn a_halt_has_its_evidence() {
    let text = drawn(&model(api::RolloutState::Halted), 100, 30);
    for seen in [
        "2026-11  HALTED in west-europe",
        "more failed than its budget allows",
        "evidence: 3 VMs failed in phase 2: weu-web-0007, …",
    ] {
        assert!(text.contains(seen), "{seen}:\n{text}");
    }
}

#[test]
fn the_selected_region_is_seen_at_every_size_that_has_a_list() {
    for state in [api::RolloutState::Running, api::RolloutState::Halted] {
        let mut model = model(state);
        press(&mut model, KeyCode::End);
        for helps in [false, true] {
            model.helps = helps;
            for width in 1..=150 {
                for height in [1, 2, 3, 5, 6, 7, 9, 10, 12, 19, 20, 24, 50] {
                    let text = drawn(&model, width, height);
                    if width >= 24 && height >= 6 && !helps {
                        assert!(text.contains("region-11"), "{width}x{height}:\n{text}");
                    }
                }
            }
        }
    }
    let empty = Model::new("2026-11".to_owned());
    assert!(drawn(&empty, 80, 24).contains("waiting for the console"));
}

#[test]
fn narrow_terminals_have_the_numbers_that_matter() {
    let text = drawn(&model(api::RolloutState::Running), 40, 12);
    assert!(text.contains("> *west-europe") || text.contains("  *west-europe      15/40 1 FAILED"), "{text}");
    assert_eq!(drawn(&model(api::RolloutState::Paused), 20, 2).lines().next(), Some("2026-11  PAUSED  Wed"));
}

#[test]
fn without_colours_there_is_none() {
    let model = model(api::RolloutState::Halted);
    for colors in [true, false] {
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        terminal.draw(|frame| draw(frame, &model, Palette { colors })).unwrap();
        let painted =
            terminal.backend().buffer().content().iter().any(|cell| cell.fg != ratatui::style::Color::Reset);
        assert_eq!(painted, colors);
    }
}

#[test]
fn a_lost_connection_is_said_and_what_was_known_stays() {
    let mut model = model(api::RolloutState::Running);
    model.update(Update::Lost { why: "nothing answers at http://a:1".to_owned() });
    let text = drawn(&model, 100, 30);
    assert!(text.contains("NOT CONNECTED, trying again: nothing answers at http://a:1"), "{text}");
    assert!(text.contains("west-europe"), "{text}");
    model.update(Update::Now(Box::new(rollout(api::RolloutState::Running))));
    assert!(!drawn(&model, 100, 30).contains("NOT CONNECTED"));
}

#[test]
fn a_wish_is_sent_only_when_it_is_confirmed_and_only_where_it_makes_sense() {
    let mut running = model(api::RolloutState::Running);
    assert_eq!(press(&mut running, KeyCode::Char('r')), None);
    assert!(drawn(&running, 100, 30).contains("it is running; p pauses it"));
    press(&mut running, KeyCode::Char('p'));
    for letter in "qr?".chars() {
        assert_eq!(press(&mut running, KeyCode::Char(letter)), None, "letters are the reason's now");
    }
    press(&mut running, KeyCode::Backspace);
    assert!(drawn(&running, 100, 30).contains("Pause it? Why: qr_   Enter yes, Esc no"));
    assert_eq!(press(&mut running, KeyCode::Enter), Some(Action::Wish(Wish::Pause, "qr".to_owned())));
    running.answered(Err("AuthorizationFailed: role operator is needed".to_owned()));
    assert!(drawn(&running, 100, 30).contains("role operator is needed"));

    let mut halted = model(api::RolloutState::Halted);
    assert_eq!(press(&mut halted, KeyCode::Char('p')), None);
    assert!(halted.asking.is_none());
    press(&mut halted, KeyCode::Char('r'));
    assert_eq!(press(&mut halted, KeyCode::Esc), None);
    assert!(halted.asking.is_none());
    assert_eq!(press(&mut halted, KeyCode::Esc), Some(Action::Quit));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut halted, KeyCode::Char('r'));
    assert_eq!(halted.press(interrupt), Some(Action::Quit), "also while a question is asked");
}

#[test]
fn the_selection_stays_on_a_region() {
    let mut model = model(api::RolloutState::Running);
    press(&mut model, KeyCode::Up);
    assert_eq!(model.selected, 0);
    for _ in 0..40 {
        press(&mut model, KeyCode::PageDown);
    }
    assert_eq!(model.selected, 14);
    // Its regions became fewer.
    let mut fewer = rollout(api::RolloutState::Running);
    fewer.phases.truncate(1);
    model.update(Update::Now(Box::new(fewer)));
    assert_eq!(model.selected, 0);
}

#[test]
fn changes_are_told_once_and_by_whoever_knows_best() {
    let mut model = model(api::RolloutState::Running);
    model.said.clear();
    let mut next = rollout(api::RolloutState::Paused);
    next.phases[1].regions[0].stage = "zone 3".to_owned();
    model.update(Update::Now(Box::new(next.clone())));
    model.update(Update::Now(Box::new(next.clone())));
    let texts: Vec<&str> = model.said.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["west-europe stage: zone 3", "rollout: paused"]);
    // The log says that it goes on.
    model.has_log = true;
    model.update(Update::Now(Box::new(rollout(api::RolloutState::Running))));
    assert_eq!(model.said.back().unwrap().text, "west-europe stage: zone 2");
}

#[test]
fn events_are_lines() {
    let of = |kind: &str, data: serde_json::Value| super::news::sentence(kind, &data);
    let granted = json!({"rollout": "a", "phase": 1, "region": "west-europe", "round": 2});
    assert_eq!(of("TurnGranted", granted), "turn granted, phase 2, west-europe, round 2");
    let paused = json!({"rollout": "a", "actor": {"name": "ada", "reason": "the mirror is down"}});
    assert_eq!(of("RolloutPaused", paused), "rollout paused, by ada (the mirror is down)");
    let barred = json!({"rollout": "a", "patch": {"name": "curl", "version": "8.1"}, "why": "two failed"});
    assert_eq!(of("PatchBarred", barred), "patch barred, curl 8.1: two failed");
    assert_eq!(of("WhateverComes", json!({})), "whatever comes");
}

/// Run by the test below, on a terminal.
#[test]
#[ignore = "it needs a terminal that may be spoiled: the_terminal_is_given_back_after_a_panic has one"]
#[should_panic(expected = "in the middle of it")]
fn panics_on_the_screen() {
    let mut screen = Screen::enter().unwrap_or_else(|_| panic!("in the middle of it: no terminal"));
    screen.draw(|frame| draw(frame, &model(api::RolloutState::Running), Palette { colors: true })).unwrap();
    panic!("in the middle of it");
}

#[test]
fn the_terminal_is_given_back_after_a_panic() {
    let own = std::env::current_exe().unwrap();
    let line = format!(
        "stty rows 24 columns 80; '{}' --ignored --exact watch::screen::tests::panics_on_the_screen --nocapture; stty -a",
        own.display()
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
    let said = script.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let entered = text.find("\u{1b}[?1049h").unwrap_or_else(|| panic!("it took the terminal: {text:?}"));
    let left = text.rfind("\u{1b}[?1049l").unwrap_or_else(|| panic!("it gave it back: {text:?}"));
    let told = text.find("in the middle of it").unwrap_or_else(|| panic!("it said why: {text:?}"));
    let first_left = text.find("\u{1b}[?1049l").unwrap();
    assert!(
        entered < first_left && first_left < told && left < text.len(),
        "said where it can be read: {text:?}"
    );
    let modes: Vec<&str> = text[left..].split_whitespace().collect();
    for mode in ["icanon", "echo", "isig"] {
        assert!(modes.contains(&mode), "{mode}: {modes:?}");
    }
}
