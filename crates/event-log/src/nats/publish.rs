//! Hands events to a stream: one alone as a plain message, several as an atomic batch (NATS ADR-50), which this client
//! library does not know.

use super::connection::{ANSWER_WITHIN, LOST};
use super::{Inner, message, streams};
use crate::admission::Sealed;
use async_nats::client::Request;
use async_nats::{HeaderMap, Message, RequestError, RequestErrorKind, header};
use bytes::Bytes;
use nightshift_domain::{Chain, Partition};
use serde::Deserialize;
use uuid::Uuid;

/// What the server says, as far as it decides what to do next.
#[derive(Debug)]
pub(super) enum Answer {
    /// Durable; the last event stands here.
    Stored(u64),
    /// The server knows the event's id; it stands here.
    Known(u64),
    /// It cannot be stored, now or later.
    Never(String),
    /// Nothing was stored by this try, and there may be no stream.
    NotThere(String),
    /// The expected head is not the newest, or there was no clear answer: look what is stored.
    Look(String),
}

/// One event on its way.
struct Outgoing {
    subject: String,
    headers: HeaderMap,
    data: Bytes,
}

#[derive(Deserialize)]
struct Acknowledgement {
    error: Option<Refusal>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Inner {
    /// Tries once to append.
    pub(super) async fn publish(&self, partition: &Partition, writes: &[Sealed]) -> Answer {
        if !self.connection.ready().await {
            return Answer::Look("there is no connection to NATS".into());
        }
        let mut messages = outgoing(partition, writes);
        let Some(last) = messages.pop() else {
            return Answer::Never("there is nothing to append".into());
        };
        let asked = async {
            match messages.is_empty() {
                true => self.ask(last).await,
                false => self.publish_batch(messages, last).await,
            }
        };
        match self.connection.answer(asked).await {
            None => Answer::Look(LOST.into()),
            Some(Ok(message)) => read(&message),
            Some(Err(error)) => match error.kind() {
                RequestErrorKind::NoResponders => {
                    Answer::NotThere("the stream has no leader, or there is none".into())
                }
                RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                    Answer::Never(error.to_string())
                }
                _ => Answer::Look(self.connection.explain(&error.to_string())),
            },
        }
    }

    async fn publish_batch(
        &self,
        before: Vec<Outgoing>,
        mut last: Outgoing,
    ) -> Result<Message, RequestError> {
        let closed = |error: &dyn std::fmt::Display| {
            RequestError::with_source(RequestErrorKind::Other, error.to_string())
        };
        let _permit = self.batches.acquire().await.map_err(|error| closed(&error))?;
        let batch = Uuid::new_v4().simple().to_string();
        let count = before.len() + 1;
        for (index, mut message) in before.into_iter().enumerate() {
            number(&mut message.headers, &batch, index + 1);
            let Outgoing { subject, headers, data } = message;
            self.connection.client.publish_with_headers(subject, headers, data).await.map_err(|error| {
                match error.kind() {
                    async_nats::client::PublishErrorKind::MaxPayloadExceeded => {
                        RequestError::with_source(RequestErrorKind::MaxPayloadExceeded, error)
                    }
                    _ => closed(&error),
                }
            })?;
        }
        number(&mut last.headers, &batch, count);
        last.headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
        self.ask(last).await
    }

    async fn ask(&self, message: Outgoing) -> Result<Message, RequestError> {
        let Outgoing { subject, headers, data } = message;
        let request = Request::new().headers(headers).payload(data).timeout(Some(ANSWER_WITHIN));
        self.connection.client.send_request(subject, request).await
    }
}

fn number(headers: &mut HeaderMap, batch: &str, number: usize) {
    headers.insert(header::NATS_BATCH_ID, batch);
    headers.insert(header::NATS_BATCH_SEQUENCE, number.to_string());
}

/// The messages, the first of each chain with the head that it expects: the server takes the others' for granted, for
/// they come in one piece.
fn outgoing(partition: &Partition, writes: &[Sealed]) -> Vec<Outgoing> {
    let stream = streams::name(partition);
    let mut messages = Vec::new();
    for write in writes {
        for (index, (envelope, _)) in write.events.iter().enumerate() {
            let mut headers = message::headers(envelope);
            if messages.is_empty() {
                headers.insert(header::NATS_EXPECTED_STREAM, stream.as_str());
            }
            if index == 0 {
                let expected = match write.chain {
                    Chain::Whole(_) => header::NATS_EXPECTED_LAST_SEQUENCE,
                    Chain::Of(..) => header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                };
                headers.insert(expected, write.expected.position.to_string());
            }
            let data = Bytes::from(envelope.data.clone());
            messages.push(Outgoing { subject: envelope.subject.clone(), headers, data });
        }
    }
    messages
}

fn read(message: &Message) -> Answer {
    let Ok(answer) = serde_json::from_slice::<Acknowledgement>(&message.payload) else {
        return Answer::Look(format!("an answer that is none: {:?}", message.payload));
    };
    match answer {
        Acknowledgement { error: Some(refusal), .. } => refused(refusal),
        Acknowledgement { seq: Some(position), duplicate: true, .. } => Answer::Known(position),
        Acknowledgement { seq: Some(position), .. } => Answer::Stored(position),
        Acknowledgement { seq: None, .. } => Answer::Look("an answer without a position".into()),
    }
}

/// The codes are the server's; the sentence goes to people only.
fn refused(refusal: Refusal) -> Answer {
    let cause = format!("{} ({})", refusal.description, refusal.err_code);
    match refusal.err_code {
        // Too large a message, too large a batch, a stream that takes no batches, no space left by its configuration.
        10054 | 10199 | 10174 | 10110 => Answer::Never(cause),
        // No leader, no quorum, JetStream on its way up or down.
        10008 | 10009 | 10023 | 10039 | 10059 | 10076 => Answer::NotThere(cause),
        // 10071 and 10164: another head. 10201: an id of the batch is known. 10176 and all others: look.
        _ if refusal.code == 503 => Answer::NotThere(cause),
        _ => Answer::Look(cause),
    }
}
