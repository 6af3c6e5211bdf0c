//! The kinds of events, by the contract itself.

use crate::FILE_DESCRIPTOR_SET;
use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;
use std::collections::BTreeSet;

/// The names of all kinds of events, as in their CloudEvents types (`OrderPlaced` of `nightshift.v1.OrderPlaced`).
pub fn all() -> Result<BTreeSet<String>, DecodeError> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?;
    let messages = set.file.into_iter().filter(|file| file.package() == "nightshift.events.v1");
    let event = messages.flat_map(|file| file.message_type).filter(|message| message.name() == "Event");
    let fields = event.flat_map(|message| message.field);
    Ok(fields.filter_map(|field| Some(field.type_name().rsplit('.').next()?.to_owned())).collect())
}
