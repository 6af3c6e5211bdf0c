//! What is different from the state before, in lines.

use crate::{summary, times};
use nightshift_protocol::api::v1 as api;
use std::collections::BTreeMap;
use std::fmt;

/// One thing that became different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// When, for people.
    pub(super) at: String,
    /// What is different: the rollout, a phase, a region's stage, a machine.
    pub(super) about: String,
    /// How it is now.
    pub(super) state: String,
    /// Whether it is within a region, rather than the rollout or a phase.
    pub(super) is_regional: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}: {}", self.at, self.about, self.state)
    }
}

/// What was said last of each thing.
#[derive(Debug, Default)]
pub(super) struct Changes {
    said: BTreeMap<String, String>,
}

impl Changes {
    /// What is new in this state.
    pub(super) fn of(&mut self, rollout: &api::RolloutView) -> Vec<Change> {
        let at = times::night(rollout.as_of);
        let mut changes = Vec::new();
        let mut say = |about: String, state: String, is_regional: bool| {
            if self.said.get(&about) != Some(&state) {
                self.said.insert(about.clone(), state.clone());
                changes.push(Change { at: at.clone(), about, state, is_regional });
            }
        };
        for phase in &rollout.phases {
            say(format!("phase {}", phase.number), summary::phase_state(phase.state()).to_owned(), false);
            for region in phase.regions.iter().filter(|region| !region.stage.is_empty()) {
                say(format!("{} stage", region.region), region.stage.clone(), true);
                for exception in &region.exceptions {
                    let progress = summary::progress(exception.progress());
                    let about = format!("{} {}", region.region, exception.vm);
                    say(about, format!("{progress}: {}", exception.why), true);
                }
            }
        }
        let state = summary::state(rollout.state());
        say("rollout".to_owned(), format!("{state} {}", rollout.why).trim_end().to_owned(), false);
        changes
    }
}
