//! An event with its CloudEvents 1.0 attributes, sealed by the hash of the one before it.

use crate::convert::{DecodeError, name, time, timestamp};
use crate::events::v1 as wire;
use nightshift_domain::{Aggregate, Chain, Event, Fact, Partition, Time};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A SHA-256.
pub type Hash = [u8; 32];

const SUBJECT: &str = "nightshift.v1.";
const TYPE: &str = "nightshift.v1.";
const SOURCE: &str = "nightshift/";
const SPEC_VERSION: (&str, &str) = ("ce-specversion", "1.0");
const CONTENT_TYPE: (&str, &str) = ("ce-datacontenttype", "application/protobuf");
const COMMAND: &str = "ce-command";

/// Characters of an idempotency key.
pub const LONGEST_KEY: usize = 128;

/// A command whose caller may ask again: it stands on the last event of what the command made fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The idempotency key, as the caller chose it: 1 to [`LONGEST_KEY`] visible ASCII characters.
    pub key: String,
    /// SHA-256 of the caller's name.
    pub caller: Hash,
    /// SHA-256 of what was asked for.
    pub request: Hash,
    /// How many events it made fact on this chain, this one the last of them.
    pub events: u32,
}

/// How a service signs its events.
pub fn source(service: &str) -> String {
    format!("{SOURCE}{service}")
}

/// Whether this text can be an idempotency key.
pub fn is_key(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
/// Extension attributes of CloudEvents, and the headers in which the first versions had them: readers of those times look
/// for these alone.
const PREVIOUS_HASH: (&str, &str) = ("ce-previoushash", "Nightshift-Previous-Hash");
const TRACEPARENT: (&str, &str) = ("ce-traceparent", "traceparent");

/// An event as it is stored and sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Unique; the same when a write is tried again.
    pub id: String,
    /// `nightshift/<service>`.
    pub source: String,
    /// `nightshift.v1.<Event>`.
    pub event_type: String,
    /// When it was decided.
    pub time: Time,
    /// `nightshift.v1.<partition>.<aggregate>.<id>`; on NATS also the subject it is published to.
    pub subject: String,
    /// W3C Trace Context.
    pub traceparent: Option<String>,
    /// The hash of the event before it in its chain; all zero for the first.
    pub previous_hash: Hash,
    /// The protobuf event.
    pub data: Vec<u8>,
    /// The command that it comes from, where that had an idempotency key.
    pub command: Option<Command>,
}

impl Envelope {
    /// Puts an event into its envelope.
    pub fn seal(
        id: Uuid,
        source: &str,
        partition: &Partition,
        at: Time,
        event: &Event,
        traceparent: Option<String>,
        previous_hash: Hash,
    ) -> Self {
        Self {
            id: id.hyphenated().to_string(),
            source: self::source(source),
            event_type: format!("{TYPE}{}", name(event)),
            time: at,
            subject: format!("{SUBJECT}{partition}.{}", event.aggregate()),
            traceparent: some_text(traceparent),
            previous_hash,
            data: wire::Event::from(event).encode_to_vec(),
            command: None,
        }
    }

    /// The same, as the last event of what this command made fact.
    pub fn of_command(self, command: Option<Command>) -> Self {
        Self { command, ..self }
    }

    /// The hash of everything in it. Each part goes in with its length, so that no two envelopes read alike.
    pub fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        let time = time_bytes(self.time);
        let traceparent = self.traceparent.as_deref().unwrap_or_default();
        let parts: [&[u8]; 8] = [
            self.id.as_bytes(),
            self.source.as_bytes(),
            self.event_type.as_bytes(),
            &time,
            self.subject.as_bytes(),
            traceparent.as_bytes(),
            &self.previous_hash,
            &self.data,
        ];
        // An event without a command has the hash that it always had.
        let command = self.command.as_ref().map(|command| (command, command.events.to_be_bytes()));
        let of_command = command.iter().flat_map(|(command, events)| {
            [command.key.as_bytes(), &command.caller, &command.request, events.as_slice()]
        });
        for part in parts.into_iter().chain(of_command) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    /// What happened, when, and where it is recorded.
    pub fn fact(&self) -> Result<Fact, DecodeError> {
        let event = Event::try_from(self.wire_event()?)?;
        if self.event_type.strip_prefix(TYPE) != Some(name(&event)) {
            let what = format!("\"{}\" is not the type of data, which is {}", self.event_type, name(&event));
            return Err(DecodeError::new("type", what));
        }
        let (partition, aggregate) = self.place()?;
        if event.aggregate() != aggregate {
            let what =
                format!("\"{}\" is not where an event about {} belongs", self.subject, event.aggregate());
            return Err(DecodeError::new("subject", what));
        }
        Ok(Fact { partition, at: self.time, event })
    }

    /// The chain in which the event stands.
    pub fn chain(&self) -> Result<Chain, DecodeError> {
        let (partition, aggregate) = self.place()?;
        Ok(Chain::of(&partition, &aggregate))
    }

    /// The partition, by the subject.
    pub fn partition(&self) -> Result<Partition, DecodeError> {
        self.place().map(|(partition, _)| partition)
    }

    /// What the event is about, by the subject.
    pub fn aggregate(&self) -> Result<Aggregate, DecodeError> {
        self.place().map(|(_, aggregate)| aggregate)
    }

    /// As protobuf.
    pub fn encode(&self) -> Vec<u8> {
        wire::Envelope::from(self).encode_to_vec()
    }

    /// From protobuf.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope = wire::Envelope::decode(bytes).map_err(|error| DecodeError::new("envelope", error))?;
        Self::try_from(envelope)
    }

    /// The attributes as headers of a NATS message whose body is `data`, by the binary mode of CloudEvents' NATS binding.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (SPEC_VERSION.0, SPEC_VERSION.1.to_owned()),
            ("ce-id", self.id.clone()),
            ("ce-source", self.source.clone()),
            ("ce-type", self.event_type.clone()),
            ("ce-time", self.time.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)),
            ("ce-subject", self.subject.clone()),
            (CONTENT_TYPE.0, CONTENT_TYPE.1.to_owned()),
            (PREVIOUS_HASH.0, hex::encode(self.previous_hash)),
            (PREVIOUS_HASH.1, hex::encode(self.previous_hash)),
        ];
        if let Some(traceparent) = &self.traceparent {
            headers.extend([(TRACEPARENT.0, traceparent.clone()), (TRACEPARENT.1, traceparent.clone())]);
        }
        headers.extend(self.command.as_ref().map(|command| (COMMAND, command.header())));
        headers
    }

    /// From the headers and the body of a NATS message.
    pub fn from_headers(get: impl Fn(&str) -> Option<String>, data: Vec<u8>) -> Result<Self, DecodeError> {
        let header = |name: &str| get(name).ok_or_else(|| DecodeError::new(name, "missing"));
        for (name, must) in [SPEC_VERSION, CONTENT_TYPE] {
            let value = header(name)?;
            if value != must {
                return Err(DecodeError::new(name, format!("\"{value}\" instead of \"{must}\"")));
            }
        }
        let time = header("ce-time")?;
        // An event of the first versions has the older name alone.
        let either = |(name, older): (&str, &str)| get(name).or_else(|| get(older));
        let missing = || DecodeError::new(PREVIOUS_HASH.0, "missing");
        let previous_hash = either(PREVIOUS_HASH).ok_or_else(missing)?;
        Ok(Self {
            id: header("ce-id")?,
            source: header("ce-source")?,
            event_type: header("ce-type")?,
            time: time
                .parse()
                .map_err(|_| DecodeError::new("ce-time", format!("\"{time}\" is no moment")))?,
            subject: header("ce-subject")?,
            traceparent: some_text(either(TRACEPARENT)),
            previous_hash: hash_from_hex(&previous_hash)?,
            data,
            command: get(COMMAND).map(|text| Command::from_header(&text)).transpose()?,
        })
    }

    pub(crate) fn wire_event(&self) -> Result<wire::Event, DecodeError> {
        let wrong = |what: String| DecodeError::new("data", what);
        let event = wire::Event::decode(self.data.as_slice()).map_err(|error| wrong(error.to_string()))?;
        if event.kind.is_none() {
            let bytes = self.data.len();
            // A newer version may have written it: its type is all that can be said of it.
            let what =
                format!("{bytes} bytes hold no event that is known here; type is \"{}\"", self.event_type);
            return Err(wrong(what));
        }
        Ok(event)
    }

    /// `nightshift.v1.<partition>.<kind>.<id>`; a region's partition has a dot of its own.
    fn place(&self) -> Result<(Partition, Aggregate), DecodeError> {
        let wrong =
            || DecodeError::new("subject", format!("\"{}\" is not a subject of Nightshift", self.subject));
        let rest = self.subject.strip_prefix(SUBJECT).ok_or_else(wrong)?;
        let mut parts = rest.rsplitn(3, '.');
        let (Some(id), Some(kind), Some(partition)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        if kind.is_empty() || id.is_empty() {
            return Err(wrong());
        }
        let partition = partition.parse().map_err(|error| DecodeError::new("subject", error))?;
        Ok((partition, Aggregate { kind: kind.to_owned(), id: id.to_owned() }))
    }
}

impl Command {
    fn header(&self) -> String {
        let Self { key, caller, request, events } = self;
        format!("{events} {} {} {key}", hex::encode(caller), hex::encode(request))
    }

    fn from_header(text: &str) -> Result<Self, DecodeError> {
        let read = || {
            let mut parts = text.splitn(4, ' ');
            let events = parts.next()?.parse().ok()?;
            let mut hash = || hex::decode(parts.next()?).ok()?.try_into().ok();
            let (caller, request) = (hash()?, hash()?);
            let key = parts.next().filter(|key| is_key(key))?.to_owned();
            Some(Self { key, caller, request, events })
        };
        read().ok_or_else(|| DecodeError::new(COMMAND, format!("\"{}\" is no command", text.escape_debug())))
    }
}

/// Nanoseconds since 1970 where 64 bits hold them (1677 to 2262), as in every log that was ever written.
/// What they cannot tell apart goes in as seconds and nanoseconds: moments far away, and a leap second from
/// the one after it.
fn time_bytes(at: Time) -> Vec<u8> {
    let nanos = at.timestamp_subsec_nanos();
    match at.timestamp_nanos_opt() {
        Some(since_1970) if nanos < 1_000_000_000 => since_1970.to_be_bytes().to_vec(),
        _ => [&at.timestamp().to_be_bytes()[..], &nanos.to_be_bytes()].concat(),
    }
}

/// An empty text is none: protobuf does not tell the two apart.
fn some_text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn hash_from(bytes: &[u8], field: &str) -> Result<Hash, DecodeError> {
    let what = || format!("\"{}\" is {} bytes instead of 32", hex::encode(bytes), bytes.len());
    bytes.try_into().map_err(|_| DecodeError::new(field, what()))
}

fn hash_from_hex(text: &str) -> Result<Hash, DecodeError> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| DecodeError::new(PREVIOUS_HASH.0, format!("\"{text}\" is not 64 hexadecimal digits")))
}

impl From<&Envelope> for wire::Envelope {
    fn from(envelope: &Envelope) -> Self {
        Self {
            id: envelope.id.clone(),
            source: envelope.source.clone(),
            r#type: envelope.event_type.clone(),
            time: Some(timestamp(envelope.time)),
            subject: envelope.subject.clone(),
            traceparent: envelope.traceparent.clone().unwrap_or_default(),
            previous_hash: envelope.previous_hash.to_vec(),
            data: envelope.data.clone(),
            command: envelope.command.as_ref().map(Into::into),
        }
    }
}

impl From<&Command> for wire::Command {
    fn from(command: &Command) -> Self {
        let Command { key, caller, request, events } = command;
        let (idempotency_key, events) = (key.clone(), *events);
        Self { idempotency_key, caller: caller.to_vec(), request: request.to_vec(), events }
    }
}

impl TryFrom<wire::Command> for Command {
    type Error = DecodeError;
    fn try_from(command: wire::Command) -> Result<Self, DecodeError> {
        let wire::Command { idempotency_key: key, caller, request, events } = command;
        if !is_key(&key) {
            let what = format!("\"{}\" is no idempotency key", key.escape_debug());
            return Err(DecodeError::new("command.idempotency_key", what));
        }
        let (caller, request) =
            (hash_from(&caller, "command.caller")?, hash_from(&request, "command.request")?);
        Ok(Self { key, caller, request, events })
    }
}

impl TryFrom<wire::Envelope> for Envelope {
    type Error = DecodeError;
    fn try_from(envelope: wire::Envelope) -> Result<Self, DecodeError> {
        Ok(Self {
            id: envelope.id,
            source: envelope.source,
            event_type: envelope.r#type,
            time: time(envelope.time, "time")?,
            subject: envelope.subject,
            traceparent: some_text(Some(envelope.traceparent)),
            previous_hash: hash_from(&envelope.previous_hash, "previous_hash")?,
            data: envelope.data,
            command: envelope.command.map(Command::try_from).transpose()?,
        })
    }
}
