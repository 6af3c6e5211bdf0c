//! The keys that tokens are signed with: of a file, or of an OpenID Connect issuer.

use super::caller::Denied;
use anyhow::{Context as _, ensure};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// An issuer's keys are asked for anew when they are older than this: what it took back is then believed no more.
const KEPT: Duration = Duration::from_secs(3_600);
/// An unknown key is looked for at the issuer at most this often: anybody can name one.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// The longest an issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One key, and the algorithms that it may be used with. A secret that both sides share is none.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

/// All keys of one moment.
#[derive(Clone, Default)]
pub(super) struct Keys(Arc<[Key]>);

impl Keys {
    /// The keys of a set that can be used here: public ones, for signatures.
    pub(super) fn of(set: JwkSet) -> anyhow::Result<Self> {
        let keys: Vec<Key> = set.keys.iter().filter_map(usable).collect();
        ensure!(!keys.is_empty(), "no key in it is a public key (RSA, EC or Ed25519) for signatures");
        Ok(Self(keys.into()))
    }

    /// The key of this identity. A token that names none is checked by the only key there is.
    fn find(&self, id: Option<&str>) -> Option<Key> {
        match id {
            Some(id) => self.0.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
            None => self.0.first().filter(|_| self.0.len() == 1).cloned(),
        }
    }
}

fn usable(jwk: &Jwk) -> Option<Key> {
    if matches!(&jwk.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let family = key.family();
    if family == AlgorithmFamily::Hmac {
        return None;
    }
    let named = jwk.common.key_algorithm.and_then(|named| named.to_string().parse::<Algorithm>().ok());
    let algorithms = match named {
        Some(named) if named.family() != family => return None,
        Some(named) => vec![named],
        None => family.algorithms().to_vec(),
    };
    Some(Key { id: jwk.common.key_id.clone(), key, algorithms })
}

/// Where keys come from.
pub(super) enum Source {
    /// They are what they are until the service is restarted.
    Fixed(Keys),
    /// They are asked of their issuer.
    Issuer(Box<Remote>),
}

/// An OpenID Connect issuer.
pub(super) struct Remote {
    issuer: String,
    client: reqwest::Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Keys,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    failure: Option<String>,
}

impl Source {
    /// The keys of a file.
    pub(super) fn file(path: &Path) -> anyhow::Result<Self> {
        let field = || format!("keys = \"{}\"", path.display());
        let text = std::fs::read(path).with_context(field)?;
        let set = serde_json::from_slice(&text).context("not a JSON Web Key Set").with_context(field)?;
        Ok(Self::Fixed(Keys::of(set).with_context(field)?))
    }

    /// The keys of an issuer, which is asked when the first token comes.
    pub(super) fn issuer(issuer: &str) -> anyhow::Result<Self> {
        let url = reqwest::Url::parse(issuer).ok().filter(is_safe).with_context(|| {
            format!(
                "issuer = \"{issuer}\": without `keys` it must be the address of an OpenID Connect issuer, https://… \
                 (http:// on the loopback address alone)"
            )
        })?;
        crate::crypto::install();
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let issuer = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self::Issuer(Box::new(Remote { issuer, client: client.build()?, known: Mutex::default() })))
    }

    /// The key of this identity.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Key, Denied> {
        let found = match self {
            Self::Fixed(keys) => keys.find(id),
            Self::Issuer(remote) => remote.find(id).await?,
        };
        let unknown = || match id {
            Some(id) => format!("its key \"{}\" is none of the issuer's", id.escape_debug()),
            None => "it does not say which key signed it".to_owned(),
        };
        found.ok_or_else(|| Denied::Invalid(unknown()))
    }
}

/// Whether nobody on the way can change what is read there.
fn is_safe(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

impl Remote {
    async fn find(&self, id: Option<&str>) -> Result<Option<Key>, Denied> {
        // Who comes while another asks the issuer waits for that answer.
        let mut known = self.known.lock().await;
        let now = Instant::now();
        let passed =
            |since: Option<Instant>, span| since.is_none_or(|since| now.duration_since(since) >= span);
        let found = known.keys.find(id);
        let worth_asking = found.is_none() || passed(known.fetched, KEPT);
        if worth_asking && passed(known.tried, ASKED_AGAIN) {
            known.tried = Some(now);
            match self.fetch().await {
                Ok(keys) => (known.keys, known.fetched, known.failure) = (keys, Some(now), None),
                Err(error) => {
                    tracing::warn!(issuer = self.issuer, "keys of tokens: {error:#}");
                    known.failure = Some(format!("{error:#}"));
                }
            }
        }
        match (known.keys.find(id), &known.failure) {
            // Its keys stay good while the issuer is away: nobody could work otherwise.
            (Some(key), _) => Ok(Some(key)),
            (None, Some(failure)) => Err(Denied::Unchecked(failure.clone())),
            (None, None) => Ok(None),
        }
    }

    /// OpenID Connect Discovery 1.0, section 4.
    async fn fetch(&self) -> anyhow::Result<Keys> {
        #[derive(Deserialize)]
        struct Discovered {
            issuer: String,
            jwks_uri: String,
        }
        let at = format!("{}/.well-known/openid-configuration", self.issuer);
        let discovered: Discovered = self.get(&at).await?;
        ensure!(
            discovered.issuer.trim_end_matches('/') == self.issuer,
            "{at} speaks for another issuer, \"{}\"",
            discovered.issuer
        );
        let url = reqwest::Url::parse(&discovered.jwks_uri).ok().filter(is_safe);
        let url =
            url.with_context(|| format!("{at}: jwks_uri = \"{}\" is not https", discovered.jwks_uri))?;
        Keys::of(self.get(url.as_str()).await?).with_context(|| url.to_string())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, at: &str) -> anyhow::Result<T> {
        let response = self.client.get(at).send().await?.error_for_status()?;
        response.json().await.with_context(|| at.to_owned())
    }
}
