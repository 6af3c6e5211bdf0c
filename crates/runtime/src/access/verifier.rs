//! Whether a token is to be believed, and what it grants.

use super::caller::{Caller, Denied, Grant, Role, Scope};
use super::issuer::Issuer;
use super::keys::{Keys, Source};
use super::settings::{GrantSettings, Settings};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use nightshift_domain::SubscriptionId;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Clocks of issuers may differ by so many seconds.
pub(super) const LEEWAY: u64 = 30;
/// Bytes of a token, and of a name.
const LONGEST_TOKEN: usize = 16 * 1024;
const LONGEST_NAME: usize = 200;

pub(super) struct Verifier {
    source: Source,
    issuers: Vec<String>,
    audience: String,
    name: String,
    roles: String,
    subscriptions: String,
    grants: Vec<GrantSettings>,
}

impl Verifier {
    /// None if there is nobody whose tokens could be believed.
    pub(super) fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let (source, issuers) = match (&settings.keys, &settings.issuer) {
            (None, None) => return Ok(None),
            (Some(path), issuer) => {
                (Source::file(path)?, vec![issuer.clone().unwrap_or_else(|| Issuer::NAME.to_owned())])
            }
            (None, Some(issuer)) => {
                let bare = issuer.trim_end_matches('/');
                (Source::issuer(issuer)?, vec![bare.to_owned(), format!("{bare}/")])
            }
        };
        Ok(Some(Self::new(source, issuers, settings.clone())))
    }

    pub(super) fn of_issuer(issuer: &Issuer) -> Self {
        let keys = Keys::of(issuer.public_keys()).unwrap_or_default();
        Self::new(Source::Fixed(keys), vec![Issuer::NAME.to_owned()], Settings::default())
    }

    fn new(source: Source, issuers: Vec<String>, settings: Settings) -> Self {
        let Settings { audience, name_claim, roles_claim, subscriptions_claim, grants, .. } = settings;
        let (name, roles, subscriptions) = (name_claim, roles_claim, subscriptions_claim);
        Self { source, issuers, audience, name, roles, subscriptions, grants }
    }

    pub(super) async fn check(&self, token: &str) -> Result<Caller, Denied> {
        if token.len() > LONGEST_TOKEN {
            return Err(Denied::Invalid(format!("it is longer than {LONGEST_TOKEN} bytes")));
        }
        let header = decode_header(token).map_err(|error| why(&error))?;
        let key = self.source.find(header.kid.as_deref()).await?;
        if !key.algorithms.contains(&header.alg) {
            let allowed: Vec<String> =
                key.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            let sentence = format!("its key signs with {}, not with {:?}", allowed.join(", "), header.alg);
            return Err(Denied::Invalid(sentence));
        }
        let mut validation = Validation::new(header.alg);
        validation.algorithms = key.algorithms;
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&self.issuers);
        validation.set_audience(&[&self.audience]);
        let claims =
            decode::<Map<String, Value>>(token, &key.key, &validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::InvalidIssuer => {
                        Denied::Invalid(format!("its issuer (iss) is not {}", self.issuers[0]))
                    }
                    ErrorKind::InvalidAudience => {
                        Denied::Invalid(format!("it is not for us (aud): {}", self.audience))
                    }
                    _ => why(&error),
                }
            })?;
        self.caller(&claims.claims, token)
    }

    fn caller(&self, claims: &Map<String, Value>, token: &str) -> Result<Caller, Denied> {
        let name = claims.get(&self.name).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(Denied::Invalid(format!("its claim `{}` names nobody", self.name)));
        }
        let of_token = match claims.get(&self.subscriptions) {
            None => Scope::All,
            Some(listed) => Scope::Only(subscriptions(listed).ok_or_else(|| {
                Denied::Invalid(format!("its claim `{}` is no list of subscriptions", self.subscriptions))
            })?),
        };
        let values = claims.get(&self.roles).and_then(texts).unwrap_or_default();
        let grants = values.into_iter().flat_map(|value| self.granted(value, &of_token)).collect();
        let expires = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
        Ok(Caller::new(name, grants, token, expires))
    }

    /// What one value of the roles' claim grants.
    fn granted(&self, value: &str, of_token: &Scope) -> Vec<Grant> {
        if self.grants.is_empty() {
            return Role::named(value)
                .map(|role| Grant { role, scope: of_token.clone() })
                .into_iter()
                .collect();
        }
        let granted = self.grants.iter().filter(|grant| grant.value == value);
        let scope = |grant: &GrantSettings| match (&grant.subscriptions, of_token) {
            (None, scope) => scope.clone(),
            (Some(some), Scope::All) => Scope::Only(some.clone()),
            // Who asked for a narrower token gets it.
            (Some(some), Scope::Only(others)) => Scope::Only(some & others),
        };
        granted.map(|grant| Grant { role: grant.role, scope: scope(grant) }).collect()
    }
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn subscriptions(value: &Value) -> Option<BTreeSet<SubscriptionId>> {
    texts(value)?.into_iter().map(|text| SubscriptionId::new(text.to_ascii_lowercase()).ok()).collect()
}

fn why(error: &jsonwebtoken::errors::Error) -> Denied {
    Denied::Invalid(match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired (exp)".into(),
        ErrorKind::ImmatureSignature => "it is not good yet (nbf)".into(),
        ErrorKind::InvalidSignature => "its signature is not by that key".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no claim `{claim}`"),
        ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm | ErrorKind::MissingAlgorithm => {
            "it is not signed with a public key's algorithm (alg)".into()
        }
        ErrorKind::Json(error) if error.to_string().contains("unknown variant") => {
            "it is not signed with a public key's algorithm (alg)".into()
        }
        _ => format!("it is no JSON Web Token that could be read: {error}"),
    })
}
