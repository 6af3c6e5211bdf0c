//! What the gateway said when it welcomed the agent, and the machine compares itself with.

use chrono::Duration;
use nightshift_domain::agent::{Requirement, RequirementState};
use std::sync::{Arc, Mutex, PoisonError};

/// Windows and deadlines are judged by two clocks: by more than this they must not differ.
pub(crate) const MOST_SKEW: Duration = Duration::minutes(5);

/// The newest welcome; cheap to clone, every clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Welcomed(Arc<Mutex<Option<Welcome>>>);

#[derive(Debug, Clone)]
struct Welcome {
    skew: Duration,
    oldest_agent: String,
}

impl Welcomed {
    /// The machine's clock is ahead of the gateway's by so much (behind if negative), and the gateway wants an agent of
    /// at least this version (any if empty).
    pub fn note(&self, skew: Duration, oldest_agent: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Welcome { skew, oldest_agent });
    }

    /// Whether the two clocks agree.
    pub(crate) fn clock(&self) -> Requirement {
        let (state, sentence) = match self.get() {
            None => {
                let why = "the clock was not compared with the gateway's: no session yet";
                (RequirementState::AtRisk, why.to_owned())
            }
            Some(Welcome { skew, .. }) if skew.abs() <= MOST_SKEW => {
                (RequirementState::Met, "the clock agrees with the gateway's".to_owned())
            }
            Some(Welcome { skew, .. }) => {
                let which = if skew > Duration::zero() { "ahead of" } else { "behind" };
                let why = format!(
                    "the clock is {} minutes {which} the gateway's: no order begins until it is right (chrony or \
                     systemd-timesyncd keeps it so)",
                    skew.num_minutes().abs()
                );
                (RequirementState::Unmet, why)
            }
        };
        Requirement { code: "ClockAgrees".into(), state, sentence }
    }

    /// Whether the agent is new enough.
    pub(crate) fn version(&self) -> Requirement {
        let own = env!("CARGO_PKG_VERSION");
        let oldest = self.get().map(|welcome| welcome.oldest_agent).unwrap_or_default();
        let (state, sentence) = if numbers(own) >= numbers(&oldest) {
            (RequirementState::Met, format!("the agent is version {own}"))
        } else {
            let why = format!("the agent is version {own}, the gateway wants {oldest} or newer: update it");
            (RequirementState::Unmet, why)
        };
        Requirement { code: "AgentVersion".into(), state, sentence }
    }

    fn get(&self) -> Option<Welcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The numbers of a version, what follows a `-` or `+` left out.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_and_an_old_agent_are_told() {
        let welcomed = Welcomed::default();
        assert_eq!(welcomed.clock().state, RequirementState::AtRisk);
        assert_eq!(welcomed.version().state, RequirementState::Met);
        welcomed.note(Duration::seconds(-200), "0.0.9".into());
        assert_eq!(welcomed.clock().state, RequirementState::Met);
        assert_eq!(welcomed.version().state, RequirementState::Met);
        welcomed.note(Duration::days(-1), "99.10".into());
        let clock = welcomed.clock();
        assert_eq!(clock.state, RequirementState::Unmet);
        assert!(clock.sentence.contains("1440 minutes behind"), "{}", clock.sentence);
        assert!(welcomed.version().sentence.contains("99.10"), "{}", welcomed.version().sentence);
        assert!(numbers("0.10.0") > numbers("0.9.9-rc.1"));
    }
}
