//! One who asks, and what they may.

use nightshift_domain::rollout::Actor;
use nightshift_domain::{Refusal, SubscriptionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// What somebody may do. An operator and an approver may read; an admin may everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, and changes nothing.
    Reader,
    /// Starts and steers rollouts; puts, changes, assesses and patches VMs.
    Operator,
    /// Lets phases start that wait for a person.
    Approver,
    /// Declares the fleet, opts in, issues enrolment tokens, changes what was agreed.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Operator, Self::Approver, Self::Admin];

    /// Whether who has this role may do what needs the other. An operator approves nothing, and an approver operates
    /// nothing: two people are two people.
    pub fn covers(self, needed: Self) -> bool {
        self == needed || self == Self::Admin || needed == Self::Reader
    }

    /// The role of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.to_string() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        })
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| format!("\"{name}\": a role is reader, operator, approver or admin"))
    }
}

/// Whose VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's, and what concerns all of them, such as rollouts.
    All,
    /// Those of these subscriptions.
    Only(BTreeSet<SubscriptionId>),
}

impl Scope {
    fn holds(&self, subscription: &SubscriptionId) -> bool {
        match self {
            Self::All => true,
            Self::Only(subscriptions) => subscriptions.contains(subscription),
        }
    }
}

/// A role and where it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// Where.
    pub scope: Scope,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    /// Absent where nobody is told from anybody.
    name: Option<Arc<str>>,
    grants: Arc<[Grant]>,
    token: Option<Arc<str>>,
    expires: u64,
}

/// The token stays out of every log.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("name", &self.name)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl Caller {
    pub(super) fn anybody() -> Self {
        let grants = Arc::from([Grant { role: Role::Admin, scope: Scope::All }]);
        Self { name: None, grants, token: None, expires: 0 }
    }

    /// Who asks for what needs nobody's leave.
    pub(super) fn nobody() -> Self {
        Self { name: None, grants: Arc::from([]), token: None, expires: 0 }
    }

    pub(super) fn new(name: &str, grants: Vec<Grant>, token: &str, expires: u64) -> Self {
        Self { name: Some(name.into()), grants: grants.into(), token: Some(token.into()), expires }
    }

    /// Who made this request; the layer of [`guard`](super::guard) has put them there.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get().cloned().ok_or_else(|| Denied::NoToken.into())
    }

    /// The name, as it goes into the log.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("somebody at the REST door")
    }

    /// Their token, and when it ends, in seconds since 1970; none where nobody is told from anybody.
    pub fn token(&self) -> Option<(&str, u64)> {
        self.token.as_deref().map(|token| (token, self.expires))
    }

    /// As the one who wishes something, for this reason.
    pub fn wishes(&self, reason: &str) -> Actor {
        Actor { name: self.name().to_owned(), reason: reason.to_owned() }
    }

    /// As the one who wishes what this message says. Who has a token is who the token says; the reason is theirs.
    pub fn acts(&self, said: Actor) -> Actor {
        match &self.name {
            Some(name) => Actor { name: name.to_string(), reason: said.reason },
            None => said,
        }
    }

    /// Where they have this role.
    pub fn scope(&self, needed: Role) -> Scope {
        let mut subscriptions = BTreeSet::new();
        for grant in self.grants.iter().filter(|grant| grant.role.covers(needed)) {
            match &grant.scope {
                Scope::All => return Scope::All,
                Scope::Only(some) => subscriptions.extend(some.iter().cloned()),
            }
        }
        Scope::Only(subscriptions)
    }

    /// Whether they have this role for this subscription's VMs.
    pub fn may(&self, needed: Role, subscription: &SubscriptionId) -> bool {
        self.scope(needed).holds(subscription)
    }

    /// Whether they may see this subscription's VMs.
    pub fn sees(&self, subscription: &SubscriptionId) -> bool {
        self.may(Role::Reader, subscription)
    }

    /// Whether they may see everybody's.
    pub fn sees_all(&self) -> bool {
        self.scope(Role::Reader) == Scope::All
    }

    /// Refuses what they may not do in this subscription.
    pub fn check(&self, needed: Role, subscription: &SubscriptionId) -> Result<(), Denied> {
        if self.may(needed, subscription) {
            return Ok(());
        }
        Err(Denied::Role(format!(
            "{}: role {needed} for subscription {subscription} is needed, and not among what the token grants",
            self.name()
        )))
    }

    /// Refuses what they may nowhere do, or not for everybody.
    pub(super) fn check_reach(&self, needed: Role, everybodys: bool) -> Result<(), Denied> {
        let whose = match (self.scope(needed), everybodys) {
            (Scope::All, _) => return Ok(()),
            (Scope::Only(some), false) if !some.is_empty() => return Ok(()),
            (Scope::Only(_), true) => " for all subscriptions",
            (Scope::Only(_), false) => "",
        };
        let name = self.name();
        Err(Denied::Role(format!(
            "{name}: role {needed}{whose} is needed, and not among what the token grants"
        )))
    }

    /// Shows the same token to another service, which checks it again.
    pub fn bearer(&self) -> Bearer {
        // A token that came in a header goes into a header.
        Bearer::of(self.token.as_deref()).unwrap_or_default()
    }
}

/// Puts a token into each call of a client.
#[derive(Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Of this token; of none, calls go as they are.
    pub fn of(token: Option<&str>) -> Result<Self, String> {
        let value = token.map(|token| format!("Bearer {token}").parse::<MetadataValue<Ascii>>()).transpose();
        let mut value =
            value.map_err(|_| "a token is letters, digits, dots, dashes and underscores".to_owned())?;
        value.iter_mut().for_each(|value| value.set_sensitive(true));
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Why somebody is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token.
    #[error("a bearer token is needed: Authorization: Bearer …")]
    NoToken,
    /// One that cannot be believed; says why.
    #[error("the token is refused: {0}")]
    Invalid(String),
    /// A good token that does not grant this.
    #[error("{0}")]
    Role(String),
    /// Nothing is wrong with the caller; the issuer of the tokens gives no keys to check them by.
    #[error("tokens cannot be checked now: {0}")]
    Unchecked(String),
}

impl Denied {
    /// The same as a decision's refusal.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(self.code(), self.to_string())
    }

    /// The code in the manner of Azure Resource Manager.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "AuthenticationFailed",
            Self::Invalid(_) => "InvalidAuthenticationToken",
            Self::Role(_) => "AuthorizationFailed",
            Self::Unchecked(_) => "ServiceUnavailable",
        }
    }
}
