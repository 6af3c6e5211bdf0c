//! The coordinator's side: a key in a file of its own.

use crate::{DER_PREFIX, name, signed_bytes};
use nightshift_domain::event::{Event, Order, Signature};
use pem::Pem;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The key with which a coordinator signs its orders (Ed25519).
pub struct OrderKey {
    pair: Ed25519KeyPair,
    name: String,
}

/// A key that cannot be used; the sentence names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("the order key {file}: {what}")]
pub struct KeyError {
    file: String,
    what: String,
}

impl KeyError {
    fn new(path: &Path, what: impl ToString) -> Self {
        Self { file: path.display().to_string(), what: what.to_string() }
    }
}

impl OrderKey {
    /// Reads the key from this file: PKCS #8 in PEM, readable for its owner alone.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |error: io::Error| KeyError::new(path, error);
        let mode = fs::metadata(path).map_err(failed)?.mode();
        if mode & 0o077 != 0 {
            let what = format!("mode {:04o} lets others read it: chmod 600", mode & 0o7777);
            return Err(KeyError::new(path, what));
        }
        let parsed = pem::parse(fs::read(path).map_err(failed)?);
        let document = parsed.map_err(|error| KeyError::new(path, format!("not a PEM file: {error}")))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(document.contents());
        let pair =
            pair.map_err(|error| KeyError::new(path, format!("no Ed25519 key in PKCS #8: {error}")))?;
        Ok(Self::of(pair))
    }

    /// The same; where there is no such file, a new key is made in it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        match path.try_exists() {
            Ok(false) => make(path)?,
            Ok(true) => {}
            Err(error) => return Err(KeyError::new(path, error)),
        }
        Self::read(path)
    }

    fn of(pair: Ed25519KeyPair) -> Self {
        let name = name(pair.public_key().as_ref());
        Self { pair, name }
    }

    /// The order with the signature over everything else in it.
    pub fn sign(&self, order: Order) -> Order {
        let value = self.pair.sign(&signed_bytes(&order)).as_ref().to_vec();
        Order { signature: Some(Signature { key: self.name.clone(), value }), ..order }
    }

    /// The event as it is to become fact: an order is signed, everything else stays as it is.
    pub fn dress(&self, event: Event) -> Event {
        match event {
            Event::OrderPlaced { order } => Event::OrderPlaced { order: self.sign(order) },
            event => event,
        }
    }

    /// The public key in PEM, for the agents that are to trust it.
    pub fn public_pem(&self) -> String {
        let der = [&DER_PREFIX, self.pair.public_key().as_ref()].concat();
        pem::encode_config(&Pem::new("PUBLIC KEY", der), unix_lines())
    }
}

/// Written whole or not at all: a key that agents trust must not be made twice.
fn make(path: &Path) -> Result<(), KeyError> {
    let no_random = |_| KeyError::new(path, "the system gives no random numbers");
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(no_random)?;
    let text = pem::encode_config(&Pem::new("PRIVATE KEY", document.as_ref()), unix_lines());
    let write = || {
        let part = path.with_extension("part");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| KeyError::new(path, error))
}

fn unix_lines() -> pem::EncodeConfig {
    pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)
}
