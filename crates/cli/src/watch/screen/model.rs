//! What is shown, and what keys make of it. Nothing here draws, waits or asks.

use crate::color::Tone;
use crate::watch::changes::Changes;
use crate::watch::feed::Update;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use nightshift_protocol::api::v1 as api;
use std::collections::VecDeque;

/// So many of the newest lines are kept.
const KEPT: usize = 200;
/// A reason is a sentence.
const LONGEST_REASON: usize = 200;

/// All that is shown.
pub(super) struct Model {
    /// Which rollout.
    pub(super) rollout: String,
    /// As it was last heard of.
    pub(super) now: Option<api::RolloutView>,
    /// Why there is no connection; none while there is one.
    pub(super) lost: Option<String>,
    /// Which region, counted over all phases.
    pub(super) selected: usize,
    /// The newest last.
    pub(super) said: VecDeque<Line>,
    /// Whether the log is read as well.
    pub(super) has_log: bool,
    /// A wish that waits for its confirmation.
    pub(super) asking: Option<Asking>,
    /// What came of the last wish.
    pub(super) note: Option<(Tone, String)>,
    /// Whether the keys are explained.
    pub(super) helps: bool,
    changes: Changes,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// When, for people.
    pub(super) at: String,
    /// What.
    pub(super) text: String,
}

/// A wish that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asking {
    /// Which.
    pub(super) wish: Wish,
    /// What was typed so far.
    pub(super) reason: String,
}

/// What can be wished from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// No new order.
    Pause,
    /// It goes on.
    Resume,
}

/// What a key asks of whoever can do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Enough seen.
    Quit,
    /// Send a wish with its reason.
    Wish(Wish, String),
}

impl Model {
    /// Of a rollout that was not heard of yet.
    pub(super) fn new(rollout: String) -> Self {
        Self {
            rollout,
            now: None,
            lost: None,
            selected: 0,
            said: VecDeque::new(),
            has_log: false,
            asking: None,
            note: None,
            helps: false,
            changes: Changes::default(),
        }
    }

    /// Takes what the console said.
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Lost { why } => self.lost = Some(why),
            Update::Now(now) => {
                self.lost = None;
                // Where it is read, the log says this of phases and of the rollout.
                let first = self.now.is_none();
                let news = self.changes.of(&now);
                for change in news {
                    // What has long been so when the view is opened is no news.
                    if !first && (change.is_regional || !self.has_log) {
                        let text = format!("{}: {}", change.about, change.state);
                        self.say(Line { at: change.at, text });
                    }
                }
                self.now = Some(*now);
                self.selected = self.selected.min(self.regions().saturating_sub(1));
            }
        }
    }

    /// Takes a line.
    pub(super) fn say(&mut self, line: Line) {
        self.said.push_back(line);
        if self.said.len() > KEPT {
            self.said.pop_front();
        }
    }

    /// Takes what came of a wish.
    pub(super) fn answered(&mut self, answer: Result<String, String>) {
        self.note = Some(match answer {
            Ok(done) => (Tone::Good, done),
            Err(refused) => (Tone::Bad, refused),
        });
    }

    /// How many regions there are.
    pub(super) fn regions(&self) -> usize {
        self.now.iter().flat_map(|now| &now.phases).map(|phase| phase.regions.len()).sum()
    }

    /// The selected region and its phase.
    pub(super) fn region(&self) -> Option<(&api::PhaseView, &api::RegionView)> {
        let phases = self.now.iter().flat_map(|now| &now.phases);
        phases.flat_map(|phase| phase.regions.iter().map(move |region| (phase, region))).nth(self.selected)
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyEvent) -> Option<Action> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Some(Action::Quit);
        }
        if self.asking.is_some() {
            return self.answer(key);
        }
        self.note = None;
        if self.helps {
            // Any key closes the help, and does nothing else.
            self.helps = false;
            return None;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Action::Quit),
            KeyCode::Char('?' | 'h') => self.helps = true,
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected + 1),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::PageDown => self.select(self.selected + 10),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.select(usize::MAX),
            KeyCode::Char('p') => self.ask(Wish::Pause),
            KeyCode::Char('r') => self.ask(Wish::Resume),
            _ => {}
        }
        None
    }

    fn select(&mut self, wanted: usize) {
        self.selected = wanted.min(self.regions().saturating_sub(1));
    }

    fn ask(&mut self, wish: Wish) {
        let state = self.now.as_ref().map(api::RolloutView::state);
        let why_not = match (wish, state) {
            (_, None) => Some("nothing is known of the rollout yet"),
            (Wish::Pause, Some(api::RolloutState::Paused)) => Some("it is paused already; r lets it go on"),
            (Wish::Pause, Some(api::RolloutState::Halted)) => Some("it is halted: there is nothing to pause"),
            (Wish::Resume, Some(api::RolloutState::Running)) => Some("it is running; p pauses it"),
            _ => None,
        };
        match why_not {
            Some(why_not) => self.note = Some((Tone::Warn, why_not.to_owned())),
            None => self.asking = Some(Asking { wish, reason: String::new() }),
        }
    }

    /// What a key does while a wish waits for its reason.
    fn answer(&mut self, key: KeyEvent) -> Option<Action> {
        let asking = self.asking.as_mut()?;
        match key.code {
            KeyCode::Esc => {
                self.asking = None;
                self.note = Some((Tone::Dim, "nothing was done".to_owned()));
            }
            KeyCode::Enter => {
                let Asking { wish, reason } = self.asking.take()?;
                return Some(Action::Wish(wish, reason.trim().to_owned()));
            }
            KeyCode::Backspace => {
                asking.reason.pop();
            }
            KeyCode::Char(letter) if asking.reason.chars().count() < LONGEST_REASON => {
                asking.reason.push(letter);
            }
            _ => {}
        }
        None
    }
}
