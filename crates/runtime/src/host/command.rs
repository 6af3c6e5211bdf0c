//! A command on its way through the loop, and what can become of it.

use crate::terms::Terms;
use nightshift_domain::{Decision, Fact, Refusal, Time};
use nightshift_event_log::{AppendError, ReadError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

pub(super) type Decide<M> = Box<dyn Fn(&M, Time) -> Result<Vec<Decision>, Refusal> + Send>;
pub(super) type Answer = Result<Vec<Arc<Fact>>, CommandError>;

/// Why a command did not become fact.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The mind refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The idempotency key was used for another request.
    #[error("IdempotencyKeyReused: idempotency_key = \"{0}\" was used for another request: choose a new one")]
    KeyReused(String),
    /// Its deadline passed before it was appended; it never will be.
    #[error("the deadline passed first: nothing was changed")]
    TooLate,
    /// Its deadline passed while it was being appended.
    #[error(
        "the deadline passed while this was being written: it may have been done or not; ask again with the same \
         idempotency_key"
    )]
    Unknown,
    /// The service is ending; ask again.
    #[error("the service is ending: ask again")]
    Stopped,
    /// The log did not take it.
    #[error(transparent)]
    Log(Arc<AppendError>),
    /// It was done before, but the log does not say what it did.
    #[error(transparent)]
    Unread(ReadError),
}

pub(super) struct Command<M> {
    pub(super) decide: Decide<M>,
    pub(super) terms: Terms,
    reply: oneshot::Sender<Answer>,
    stage: Stage,
}

/// Waits for what becomes of a command.
pub(super) struct Waiting {
    answer: oneshot::Receiver<Answer>,
    stage: Stage,
    until: Option<Instant>,
}

/// Whether the command is being appended or was given up: whoever is first counts.
#[derive(Clone, Default)]
struct Stage(Arc<AtomicU8>);

const WAITS: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Stage {
    /// Whether it was as it was to be, and now is what it is to become.
    fn turn(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl<M> Command<M> {
    pub(super) fn new(decide: Decide<M>, terms: Terms) -> (Self, Waiting) {
        let (reply, answer) = oneshot::channel();
        let stage = Stage::default();
        let waiting = Waiting { answer, stage: stage.clone(), until: terms.until };
        (Self { decide, terms, reply, stage }, waiting)
    }

    /// Whether its deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        self.terms.until.is_some_and(|until| Instant::now() >= until)
    }

    /// From now on it counts as being appended; not if it was given up.
    pub(super) fn begin(&self) -> bool {
        !self.is_late() && self.stage.turn(WAITS, BEGUN)
    }

    /// Nothing of it was appended, and it is to be decided anew.
    pub(super) fn wait_again(&self) {
        self.stage.turn(BEGUN, WAITS);
    }

    pub(super) fn answer(self, answer: Answer) {
        // Who asked may have gone away; the facts stay.
        drop(self.reply.send(answer));
    }
}

impl Waiting {
    /// What became of it. At its deadline it is given up, if it was not begun.
    pub(super) async fn answer(mut self) -> Answer {
        let answer = match self.until {
            None => self.answer.await,
            Some(until) => match timeout_at(until, &mut self.answer).await {
                Ok(answer) => answer,
                Err(_) if self.stage.turn(WAITS, GIVEN_UP) => return Err(CommandError::TooLate),
                Err(_) => return Err(CommandError::Unknown),
            },
        };
        answer.map_err(|_| CommandError::Stopped)?
    }
}
