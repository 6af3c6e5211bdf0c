//! On what terms a command is carried out: until when, and under which idempotency key.

use crate::access::{Caller, Deadline};
use crate::status::invalid;
use nightshift_domain::Chain;
use nightshift_protocol::commands::Keyed;
use nightshift_protocol::envelope::{Hash, LONGEST_KEY, is_key};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tonic::{Request, Status};

/// The terms of one command. Without any it is carried out whenever its turn comes, as often as it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    pub(crate) key: Option<Key>,
    /// Later it is not carried out.
    pub(crate) until: Option<Instant>,
    /// The part of a request that this command is, where one request is several: what the key did elsewhere does not
    /// answer it.
    pub(crate) part: Option<Chain>,
}

/// An idempotency key, whose it is, and what was asked for with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) key: String,
    pub(crate) caller: Hash,
    pub(crate) request: Hash,
}

impl Terms {
    /// Who asks, on what terms, and for what.
    ///
    /// # Errors
    /// If nobody asks (the layer that finds out who was left out), or if the idempotency key cannot be one.
    pub fn of<R: Keyed>(request: Request<R>) -> Result<(Caller, Self, R), Status> {
        let caller = Caller::of(&request)?;
        let until = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let mut request = request.into_inner();
        let key = request.take_key();
        let key = match key.is_empty() {
            true => None,
            false => Some(Key::new(key, &caller, &request)?),
        };
        Ok((caller, Self { key, until, part: None }, request))
    }

    /// The terms of that part of the request that is about this chain.
    pub fn for_part(&self, part: Chain) -> Self {
        Self { part: Some(part), ..self.clone() }
    }

    /// The caller's idempotency key, to derive from it what must come out the same again; none if there is none. It is
    /// good for this caller and this request alone.
    pub fn seed(&self) -> Option<Vec<u8>> {
        self.key.as_ref().map(|key| [&key.caller, &key.request, key.key.as_bytes()].concat())
    }
}

impl Key {
    fn new<R: Keyed>(key: String, caller: &Caller, request: &R) -> Result<Self, Status> {
        if !is_key(&key) {
            let shown: String = key.escape_debug().take(2 * LONGEST_KEY).collect();
            let sentence = format!(
                "idempotency_key = \"{shown}\": use 1 to {LONGEST_KEY} visible ASCII characters, such as a UUID"
            );
            return Err(invalid("idempotency_key", sentence));
        }
        let mut hasher = Sha256::new();
        // The name has no zero byte: nothing else reads the same.
        hasher.update(R::NAME);
        hasher.update([0]);
        hasher.update(request.encode_to_vec());
        let request = hasher.finalize().into();
        Ok(Self { key, caller: Sha256::digest(caller.name()).into(), request })
    }
}
