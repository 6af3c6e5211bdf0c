//! The agent's side: the keys that it was told to trust.

use crate::{DER_PREFIX, name, signed_bytes};
use nightshift_domain::event::Order;
use ring::signature::{ED25519, UnparsedPublicKey};
use std::collections::BTreeMap;

/// The public keys of every coordinator whose orders are carried out, by name. Several: regions may have coordinators of
/// their own, and a key that is replaced is trusted beside the new one for a while.
#[derive(Debug, Clone)]
pub struct TrustedKeys(BTreeMap<String, [u8; 32]>);

/// A text that is no set of public keys.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKeys(String);

/// Why an order is not believed. Each ends it: the agent touches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It has no signature.
    #[error(
        "the order carries no signature: its coordinator is too old to sign, or it is no coordinator's order"
    )]
    Unsigned,
    /// It is signed by a key that is not among the trusted ones.
    #[error(
        "the order is signed with key {key}, which is none of those that this machine trusts ({trusted})"
    )]
    UnknownKey {
        /// The key's name, as the order gives it.
        key: String,
        /// The names of the trusted keys.
        trusted: String,
    },
    /// The signature does not fit the order.
    #[error(
        "the signature does not fit the order: it was altered on its way, or asks for something that is newer than \
         this agent"
    )]
    Forged,
}

impl Distrust {
    /// For programs; the sentence is for people.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "Unsigned",
            Self::UnknownKey { .. } => "UnknownKey",
            Self::Forged => "Forged",
        }
    }
}

impl TrustedKeys {
    /// The keys in this text: one or more Ed25519 public keys in PEM.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let documents = pem::parse_many(text).map_err(|error| InvalidKeys(format!("not PEM: {error}")))?;
        let mut keys = BTreeMap::new();
        for document in documents {
            let raw = document.contents().strip_prefix(DER_PREFIX.as_slice());
            let raw = raw.filter(|_| document.tag() == "PUBLIC KEY").and_then(|raw| raw.try_into().ok());
            let Some(raw): Option<[u8; 32]> = raw else {
                let what = format!("\"{}\" holds no Ed25519 public key", document.tag());
                return Err(InvalidKeys(what));
            };
            keys.insert(name(&raw), raw);
        }
        if keys.is_empty() {
            return Err(InvalidKeys("there is no public key in it".into()));
        }
        Ok(Self(keys))
    }

    /// The names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a trusted coordinator ordered exactly this.
    pub fn verify(&self, order: &Order) -> Result<(), Distrust> {
        let signature = order.signature.as_ref().ok_or(Distrust::Unsigned)?;
        let unknown = || Distrust::UnknownKey {
            // Of a stranger's text no more than a name is long.
            key: signature.key.chars().take(64).collect(),
            trusted: self.names().collect::<Vec<_>>().join(", "),
        };
        let key = self.0.get(&signature.key).ok_or_else(unknown)?;
        let verified = UnparsedPublicKey::new(&ED25519, key).verify(&signed_bytes(order), &signature.value);
        verified.map_err(|_| Distrust::Forged)
    }
}
