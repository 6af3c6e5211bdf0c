//! The JSON view of an event: CloudEvents' own JSON format, with the payload in protobuf's JSON mapping.

use crate::convert::DecodeError;
use crate::envelope::Envelope;
use serde_json::{Value, json};

/// The event as a CloudEvents JSON document.
pub fn event_json(envelope: &Envelope) -> Result<Value, DecodeError> {
    let event =
        serde_json::to_value(envelope.wire_event()?).map_err(|error| DecodeError::new("data", error))?;
    // {"orderPlaced": {…}}: the name is in the type already.
    let kind = event.as_object().and_then(|kinds| kinds.values().next());
    let data = kind.ok_or_else(|| DecodeError::new("data", format!("{event} is no event")))?;
    let mut document = json!({
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.event_type,
        "time": envelope.time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        "subject": envelope.subject,
        "previoushash": hex::encode(envelope.previous_hash),
        "data": data,
    });
    if let Some(traceparent) = &envelope.traceparent {
        document["traceparent"] = json!(traceparent);
    }
    if let Some(command) = &envelope.command {
        document["idempotencykey"] = json!(command.key);
    }
    Ok(document)
}
