//! How long to wait before the next try.

use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Waits a little longer each time, and never as long as others do.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    until: Option<Instant>,
}

impl Backoff {
    /// For tries without an end.
    pub(super) fn endless() -> Self {
        Self { next: FIRST, until: None }
    }

    /// For tries within this time.
    pub(super) fn within(patience: Duration) -> Self {
        Self { next: FIRST, until: Some(Instant::now() + patience) }
    }

    /// Waits; `false` if there is no time for another try.
    pub(super) async fn wait(&mut self) -> bool {
        // Between half of it and all of it, so that those who lost the same server do not return together.
        let share = Uuid::new_v4().as_u128() % 128;
        let pause = self.next / 2 + self.next * (share as u32) / 256;
        if self.until.is_some_and(|until| Instant::now() + pause >= until) {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.next = (self.next * 2).min(LONGEST);
        true
    }

    /// After a success the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }
}
