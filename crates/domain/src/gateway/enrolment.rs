//! With which keys a VM's agent may speak.

use crate::mind::Time;
use chrono::Duration;
use serde::{Deserialize, Serialize};

/// How an agent enrolled, and the keys that it was given certificates for since. Tokens and keys are SHA-256 in hex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Enrolment {
    token: String,
    current: Key,
    /// The key before, which the agent keeps until the certificate of the current one has proved itself.
    #[serde(default)]
    former: Option<Key>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Key {
    sha256: String,
    /// When its certificate ends. Absent in a log of before certificates were recorded: TLS alone knows then.
    ends: Option<Time>,
}

impl Enrolment {
    pub fn new(token: &str, key: &str) -> Self {
        let current = Key { sha256: key.to_owned(), ends: None };
        Self { token: token.to_owned(), current, former: None }
    }

    /// Whether it was this token that was traded for this key.
    pub fn is(&self, token: &str, key: &str) -> bool {
        self.token == token && self.current.sha256 == key
    }

    /// Takes in that `key` was given a certificate because `former` asked for it.
    pub fn certified(&mut self, key: &str, former: &str, ends: Time) {
        if key != self.current.sha256 {
            self.former = self.find(former).cloned();
            self.current.sha256 = key.to_owned();
        }
        self.current.ends = Some(ends);
    }

    /// Whether `key` is the current one because `former` asked for it.
    pub fn was_certified(&self, key: &str, former: &str) -> bool {
        self.current.sha256 == key && self.former.as_ref().is_some_and(|known| known.sha256 == former)
    }

    /// Whether the agent may speak with this key. That its certificate has not ended is what TLS checks.
    pub fn speaks_with(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Until when this key may ask for another certificate: the current one until `grace` after the end of its own, so that a
    /// machine that was off comes back by itself; the former one only until that end. `None` if it is neither.
    pub fn until(&self, key: &str, grace: Duration) -> Option<Time> {
        let grace = if key == self.current.sha256 { grace } else { Duration::zero() };
        let until = |ends: Time| ends.checked_add_signed(grace).unwrap_or(Time::MAX_UTC);
        self.find(key).map(|known| known.ends.map_or(Time::MAX_UTC, until))
    }

    fn find(&self, key: &str) -> Option<&Key> {
        std::iter::once(&self.current).chain(&self.former).find(|known| known.sha256 == key)
    }
}
