//! Every event goes over the wire and comes back the same, is read from the golden files for ever, and what
//! is not an event is an error that says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

mod examples;
mod golden;
mod random;
mod round_trip;
mod sources;
mod wrong;

use nightshift_domain::{Event, Partition, Time};
use nightshift_protocol::envelope::{Command, Envelope};
use uuid::Uuid;

/// The event in an envelope that is always the same.
fn seal(partition: &Partition, event: &Event) -> Envelope {
    let at: Time = "2026-01-13T22:00:00.123456789Z".parse().unwrap();
    let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    Envelope::seal(Uuid::from_u128(7), "test", partition, at, event, trace, [9; 32])
}

fn command() -> Command {
    Command { key: "pause/1".into(), caller: [3; 32], request: [4; 32], events: 2 }
}

/// The event's name, as in its CloudEvents type.
fn name(envelope: &Envelope) -> &str {
    envelope.event_type.rsplit('.').next().unwrap()
}

/// The envelope as it comes out of a NATS message.
fn over_headers(envelope: &Envelope) -> Envelope {
    let headers = envelope.headers();
    let get = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    Envelope::from_headers(get, envelope.data.clone()).unwrap()
}
