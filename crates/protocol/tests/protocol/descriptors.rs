//! The events by the contract's descriptors. Only the little of a descriptor set that this needs, so that it
//! needs no further dependency.

use std::collections::BTreeSet;

#[derive(Clone, PartialEq, prost::Message)]
pub struct FileDescriptorSet {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    message_type: Vec<Message>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    field: Vec<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "6")]
    type_name: String,
}

impl FileDescriptorSet {
    pub fn event_kinds(&self) -> BTreeSet<String> {
        let messages =
            self.file.iter().filter(|f| f.package == "nightshift.events.v1").flat_map(|f| &f.message_type);
        let event = messages.filter(|message| message.name == "Event");
        event
            .flat_map(|e| &e.field)
            .filter_map(|f| Some(f.type_name.rsplit('.').next()?.to_owned()))
            .collect()
    }
}
