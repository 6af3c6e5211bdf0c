//! Whose tokens are believed: those of a file's keys, those of an OpenID Connect issuer, and nobody else's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod discovery;
mod refused;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use nightshift_runtime::access::{Issuer, Settings};
use serde_json::{Value, json};
use std::path::Path;

/// The issuer's own key, to sign what it would never sign.
fn key(folder: &Path) -> EncodingKey {
    EncodingKey::from_ed_pem(&std::fs::read(folder.join("issuer-key.pem")).unwrap()).unwrap()
}

/// The claims of a good token.
fn claims() -> Value {
    let now = get_current_timestamp();
    json!({ "iss": "nightshift", "aud": "nightshift", "sub": "ada", "roles": ["operator"], "exp": now + 600 })
}

fn signed(issuer: &Issuer, folder: &Path, claims: &Value) -> String {
    let kid = issuer.public_keys().keys[0].common.key_id.clone();
    encode(&Header { kid, ..Header::new(Algorithm::EdDSA) }, claims, &key(folder)).unwrap()
}

/// An installation's issuer, and a service that has its keys in a file.
fn installation(folder: &Path) -> (Issuer, Settings) {
    let issuer = Issuer::open(folder).unwrap();
    let keys = folder.join("keys.json");
    std::fs::write(&keys, serde_json::to_string(&issuer.public_keys()).unwrap()).unwrap();
    (issuer, Settings { keys: Some(keys), ..Settings::default() })
}
