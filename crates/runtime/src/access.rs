//! Who may do what: bearer tokens, roles scoped by subscription, and the one layer in front of every door for people and
//! programs, HTTP and gRPC alike. Agents have a door of their own, with certificates.

mod caller;
mod calls;
mod guard;
mod issuer;
mod keys;
mod limits;
mod settings;
mod verifier;

pub use caller::{Bearer, Caller, Denied, Grant, Role, Scope};
pub use calls::{Door, Need, Reach, need};
pub use guard::guard;
pub use issuer::{Issuer, IssuerError, Wanted, write_secret};
pub use limits::Deadline;
pub use settings::{GrantSettings, Settings};

use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::Arc;
use verifier::Verifier;

/// How a service tells one caller from another.
#[derive(Clone)]
pub struct Access(Option<Arc<Verifier>>);

impl Access {
    /// Nobody is told from anybody, and everybody may do everything: for the loopback address only.
    pub fn of_anybody() -> Self {
        Self(None)
    }

    /// As it is configured: whoever shows a token that one of these keys signed.
    pub fn of(settings: &Settings) -> anyhow::Result<Self> {
        let verifier = Verifier::of(settings).context("access")?;
        Ok(Self(verifier.map(Arc::new)))
    }

    /// Whoever shows a token of this issuer.
    pub fn of_issuer(issuer: &Issuer) -> Self {
        Self(Some(Arc::new(Verifier::of_issuer(issuer))))
    }

    /// Refuses to serve others than this machine while nobody is told from anybody.
    pub fn allow_listening(&self, field: &str, address: SocketAddr) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.0.is_some() || address.ip().is_loopback(),
            "{field} = \"{address}\": without [access] everybody who reaches this address may do everything; listen on \
             127.0.0.1, or name `keys` or `issuer` under [access] (docs/security.md)"
        );
        Ok(())
    }

    /// Who shows this token.
    pub async fn caller(&self, token: Option<&str>) -> Result<Caller, Denied> {
        match (&self.0, token) {
            (None, _) => Ok(Caller::anybody()),
            (Some(_), None) => Err(Denied::NoToken),
            (Some(verifier), Some(token)) => verifier.check(token).await,
        }
    }
}
