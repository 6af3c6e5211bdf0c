//! Whose tokens are believed, as a service's configuration says it.

use super::caller::Role;
use nightshift_domain::SubscriptionId;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The table `[access]`. Without `keys` and `issuer` nobody is told from anybody, on the loopback address only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a table: { keys = \"…\" } with a key set's file, or { issuer = \"https://…\" }"
)]
pub struct Settings {
    /// A key set (JWKS, RFC 7517) in a file: the public keys that sign tokens, as `nightshift token keys` writes it.
    pub keys: Option<PathBuf>,
    /// Who issues the tokens: their claim `iss`. With no `keys`, the address of an OpenID Connect issuer, whose keys are
    /// found by OpenID Connect Discovery; `https`, or `http` on the loopback address. "nightshift" if absent.
    pub issuer: Option<String>,
    /// For whom they are: the claim `aud`.
    pub audience: String,
    /// The claim that names the caller in events. It must be one that nobody can choose for themselves.
    pub name_claim: String,
    /// The claim that lists groups or roles.
    pub roles_claim: String,
    /// The claim that lists the subscriptions for which the roles count; without it they count for all.
    pub subscriptions_claim: String,
    /// What the values of the roles' claim grant. Without any, a value that is a role's name grants that role.
    pub grants: Vec<GrantSettings>,
}

/// What one value of the roles' claim grants.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { value = \"…\", role = \"…\" }")]
pub struct GrantSettings {
    /// The value: a group's name or identity.
    pub value: String,
    /// The role.
    pub role: Role,
    /// For which subscriptions; for those of the token if absent.
    pub subscriptions: Option<BTreeSet<SubscriptionId>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: None,
            issuer: None,
            audience: "nightshift".into(),
            name_claim: "sub".into(),
            roles_claim: "roles".into(),
            subscriptions_claim: "subscriptions".into(),
            grants: Vec::new(),
        }
    }
}
