//! What the command line itself finds wrong.

use crate::exit;

/// Something that could not be done: the exit code, the sentence, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    code: u8,
    sentence: String,
    next: Vec<String>,
}

impl Failure {
    /// The command line, or a file that it names, is wrong: says which value, and what it must be.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::new(exit::USAGE, sentence)
    }

    /// With this exit code.
    pub fn new(code: u8, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), next: Vec::new() }
    }

    /// A command, or a step, that helps.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// What helps, the most likely first.
    pub fn steps(&self) -> &[String] {
        &self.next
    }
}
