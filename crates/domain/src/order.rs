//! An order, and how it ends.

use crate::id::{OrderId, RolloutId, VmId};
use crate::mind::Time;
use crate::patch::RebootSetting;
use crate::selection::Selection;
use serde::{Deserialize, Serialize};

/// An order to one VM's agent. It exists only as a fact: an agent acts on nothing else (DESIGN.md, idea 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Executed at most once under this identity.
    pub id: OrderId,
    /// The rollout that wants it.
    pub rollout: RolloutId,
    /// The machine.
    pub vm: VmId,
    /// The last moment at which the work may begin; the agent refuses it later (rule S9).
    pub not_after: Time,
    /// When the work must have ended: no package is begun that could not end before (rule S6).
    pub deadline: Time,
    /// Whether the machine may be rebooted.
    pub reboot: RebootSetting,
    /// What to install; a rollout's are Critical and Security (rule S8).
    pub selection: Selection,
    /// The coordinator's word for all of the above. The mind leaves it empty: signing is its shell's work, done before
    /// the order becomes fact. An order of an old log may have none; no agent carries that out.
    #[serde(default)]
    pub signature: Option<Signature>,
}

/// An Ed25519 signature (RFC 8032).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Names the key: the SHA-256 of the public key in its DER form (RFC 8410), in hex.
    pub key: String,
    /// The 64 bytes.
    pub value: Vec<u8>,
}

/// How an order, seen from the run, came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Finished, and health confirmed after the soak.
    Healthy,
    /// Not so; the sentence says why.
    Failed {
        /// For people.
        why: String,
    },
}
