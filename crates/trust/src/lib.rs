//! Whose orders an agent believes: the coordinator signs each with an [`OrderKey`] before it becomes fact, the agent
//! verifies it with the [`TrustedKeys`] that its operator gave it. Whoever stands between the two, gateway or broker,
//! can withhold an order but neither make nor alter one (docs/adr/0007).

mod signing;
mod trusted;

pub use signing::{KeyError, OrderKey};
pub use trusted::{Distrust, InvalidKeys, TrustedKeys};

use nightshift_domain::event::Order;
use nightshift_protocol::events::v1 as wire;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// No other signature of Nightshift's is made over bytes that begin so.
const CONTEXT: &[u8] = b"nightshift order 1\n";
/// The DER form of an Ed25519 public key is this and its 32 bytes (RFC 8410, 4).
const DER_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The bytes that are signed: everything of the order but the signature, as `events/v1/run.proto` says.
///
/// Of the message, so that a field that the order gains is signed from its first day on. prost writes fields in the
/// order of their numbers, and the message has no map: the same order is the same bytes everywhere.
fn signed_bytes(order: &Order) -> Vec<u8> {
    let message = wire::Order { signature: None, ..order.into() };
    let mut bytes = CONTEXT.to_vec();
    bytes.extend(message.encode_to_vec());
    bytes
}

/// Names a public key, given as its 32 bytes.
fn name(public: &[u8]) -> String {
    hex::encode(Sha256::new().chain_update(DER_PREFIX).chain_update(public).finalize())
}

#[cfg(test)]
mod tests;
