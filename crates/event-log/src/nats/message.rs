//! An event as a NATS message: the body is the event, the headers are its attributes.

use crate::selection::damaged;
use crate::{ReadError, Recorded};
use async_nats::jetstream::message::StreamMessage;
use async_nats::{HeaderMap, header};
use nightshift_domain::Partition;
use nightshift_protocol::envelope::Envelope;

/// The headers of the event's message.
pub(super) fn headers(envelope: &Envelope) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in envelope.headers() {
        headers.insert(name, value);
    }
    headers.insert(header::NATS_MESSAGE_ID, envelope.id.as_str());
    headers
}

/// The event of a message that was asked for.
pub(super) fn stored(partition: &Partition, message: StreamMessage) -> Result<Recorded, ReadError> {
    let StreamMessage { subject, sequence, headers, payload, .. } = message;
    event(partition, sequence, &subject, Some(&headers), payload.into())
}

/// The event of a message.
pub(super) fn event(
    partition: &Partition,
    position: u64,
    subject: &str,
    headers: Option<&HeaderMap>,
    data: Vec<u8>,
) -> Result<Recorded, ReadError> {
    let get = |name: &str| headers?.get(name).map(ToString::to_string);
    let envelope =
        Envelope::from_headers(get, data).map_err(|error| damaged(partition, position, error.to_string()))?;
    if envelope.subject != subject {
        let cause = format!("the event of subject \"{}\" stands under \"{subject}\"", envelope.subject);
        return Err(damaged(partition, position, cause));
    }
    Ok(Recorded { position, envelope })
}
