//! The public contract in Rust: generated protobuf, and the only place where domain types meet the wire.

pub mod commands;
pub mod convert;
pub mod envelope;
pub mod json;
pub mod kinds;
pub mod renewal;
pub mod words;

/// What happened: `nightshift.events`.
pub mod events {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/nightshift.events.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/nightshift.events.v1.serde.rs"));
    }
}

/// What agents and agent-gateway say to each other: `nightshift.agent`.
pub mod agent {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/nightshift.agent.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/nightshift.agent.v1.serde.rs"));
    }
}

/// gRPC for people and programs: `nightshift.api`.
pub mod api {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/nightshift.api.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/nightshift.api.v1.serde.rs"));
    }
}

/// All of it, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
