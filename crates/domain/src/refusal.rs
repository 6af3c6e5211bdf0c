//! Why something that was asked for is not done: a stable code for programs, a sentence for people.

use serde::{Deserialize, Serialize};

/// A refusal. The code never changes its meaning; the sentence says what was wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {sentence}")]
pub struct Refusal {
    /// The stable code, in the manner of Azure's error codes (`RolloutNotFound`).
    pub code: String,
    /// For people.
    pub sentence: String,
}

impl Refusal {
    /// A refusal with this code and sentence.
    pub fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        Self { code: code.to_owned(), sentence: sentence.into() }
    }

    /// Whether the thing that was asked about does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code.ends_with("NotFound")
    }

    /// Whether the one who asks may not speak for what was asked about.
    pub fn is_denied(&self) -> bool {
        ["InvalidEnrolmentToken", "KeyNotCurrent", "CertificateEnded", "SecondPersonNeeded"]
            .contains(&self.code.as_str())
    }

    /// Whether the state of the thing, not the request, stands against it.
    pub fn is_conflict(&self) -> bool {
        self.code.ends_with("Conflict") || self.code.ends_with("Exists")
    }
}
