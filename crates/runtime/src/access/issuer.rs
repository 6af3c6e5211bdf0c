//! An issuer of tokens in a folder: the one of `nightshift up`, and of installations that have no OpenID Connect.

use super::caller::Role;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use nightshift_domain::SubscriptionId;
use pem::Pem;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 without its public half, as `openssl genpkey` writes it
/// (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The file with the issuer's key.
const KEY: &str = "issuer-key.pem";

/// Signs tokens with an Ed25519 key.
pub struct Issuer {
    key: EncodingKey,
    public: Jwk,
}

/// A key that cannot be used; the sentence names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's key {file}: {what}")]
pub struct IssuerError {
    file: String,
    what: String,
}

/// Whom a token is for, and what it grants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name that goes into events.
    pub name: String,
    /// The roles.
    pub roles: Vec<Role>,
    /// The subscriptions; all if absent.
    pub subscriptions: Option<Vec<SubscriptionId>>,
    /// How long it is good for.
    pub ttl: Duration,
}

impl Wanted {
    /// A token for this person with one role everywhere.
    pub fn new(name: &str, role: Role, ttl: Duration) -> Self {
        Self { name: name.to_owned(), roles: vec![role], subscriptions: None, ttl }
    }
}

impl Issuer {
    /// Its name in tokens (`iss`), and for whom they are (`aud`).
    pub const NAME: &str = "nightshift";
    /// The directory that Azure's clients want to read in a token (`tid`). Nightshift has none of its own: everybody is of
    /// this one.
    pub const TENANT: &str = "6e696768-7473-4869-a674-000000000001";

    /// The issuer of this folder; where there is none, one is made.
    pub fn open(folder: &Path) -> Result<Self, IssuerError> {
        let path = folder.join(KEY);
        match path.try_exists() {
            Ok(false) => make(folder, &path)?,
            Ok(true) => {}
            Err(error) => return Err(failed(&path, error)),
        }
        Self::read(folder)
    }

    /// The issuer of this folder, which must be there.
    pub fn read(folder: &Path) -> Result<Self, IssuerError> {
        let path = folder.join(KEY);
        let mode = fs::metadata(&path).map_err(|error| failed(&path, error))?.mode();
        if mode & 0o077 != 0 {
            let what = format!("mode {:04o} lets others read it: chmod 600", mode & 0o7777);
            return Err(failed(&path, what));
        }
        let text = fs::read(&path).map_err(|error| failed(&path, error))?;
        let document = pem::parse(text).map_err(|error| failed(&path, format!("not a PEM file: {error}")))?;
        let wrong =
            |error: &dyn std::fmt::Display| failed(&path, format!("no Ed25519 key in PKCS #8: {error}"));
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(document.contents()).map_err(|error| wrong(&error))?;
        let key = EncodingKey::from_ed_der(document.contents());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(|error| wrong(&error))?;
        public.common.key_id = Some(hex::encode(&Sha256::digest(pair.public_key().as_ref())[..8]));
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, public })
    }

    /// What services check its tokens by.
    pub fn public_keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }

    /// A token.
    pub fn issue(&self, wanted: &Wanted) -> anyhow::Result<String> {
        let header = Header { kid: self.public.common.key_id.clone(), ..Header::new(Algorithm::EdDSA) };
        let now = get_current_timestamp();
        let mut claims = json!({
            "iss": Self::NAME,
            "aud": Self::NAME,
            "tid": Self::TENANT,
            "sub": wanted.name,
            "roles": wanted.roles,
            "iat": now,
            "nbf": now,
            "exp": now + wanted.ttl.as_secs(),
        });
        if let Some(subscriptions) = &wanted.subscriptions {
            claims["subscriptions"] = json!(subscriptions);
        }
        Ok(encode(&header, &claims, &self.key)?)
    }
}

fn failed(path: &Path, what: impl ToString) -> IssuerError {
    IssuerError { file: path.display().to_string(), what: what.to_string() }
}

/// Written whole or not at all.
fn make(folder: &Path, path: &Path) -> Result<(), IssuerError> {
    let no_random = |_| failed(path, "the system gives no random numbers");
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(no_random)?;
    let document = [&PKCS8_PREFIX[..], &seed].concat();
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let text = pem::encode_config(&Pem::new("PRIVATE KEY", document), lines);
    write_secret(path, &text)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| failed(path, error))
}

/// Writes what only its owner may read; who reads it meanwhile finds the former text, or this one.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)
}
