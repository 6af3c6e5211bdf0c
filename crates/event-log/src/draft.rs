//! What a writer hands to the log.

use crate::Head;
use nightshift_domain::{Chain, Event, Time};
use nightshift_protocol::envelope::{Command, Envelope, Hash};
use uuid::Uuid;

/// An event that is to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The event's id for ever; the same when the append is tried again.
    pub id: Uuid,
    /// The service that decided it.
    pub source: &'static str,
    /// When it was decided.
    pub at: Time,
    /// What is to become fact.
    pub event: Event,
    /// W3C Trace Context of the decision, if there is one.
    pub traceparent: Option<String>,
    /// The command that this is the last event of, if it had an idempotency key.
    pub command: Option<Command>,
}

/// Events for the end of one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The chain.
    pub chain: Chain,
    /// Its newest event, as the writer knows it.
    pub expected: Head,
    /// What to append, in this order; never empty.
    pub events: Vec<Draft>,
}

impl Write {
    /// The envelopes of the events, each naming the hash of the one before it, the first that of the expected head.
    pub fn envelopes(&self) -> Vec<(Envelope, Hash)> {
        let mut previous = self.expected.hash;
        let seal = |draft: &Draft| {
            let envelope = Envelope::seal(
                draft.id,
                draft.source,
                &self.chain.partition(),
                draft.at,
                &draft.event,
                draft.traceparent.clone(),
                previous,
            )
            .of_command(draft.command.clone());
            previous = envelope.hash();
            (envelope, previous)
        };
        self.events.iter().map(seal).collect()
    }
}
