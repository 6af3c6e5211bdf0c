//! The services that own what people wish: the console decides nothing, it asks them.

use anyhow::Context as _;
use nightshift_protocol::api::v1::agent_service_client::AgentServiceClient;
use nightshift_protocol::api::v1::fleet_service_client::FleetServiceClient;
use nightshift_protocol::api::v1::health_service_client::HealthServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use nightshift_runtime::access::{Bearer, Caller};
use nightshift_runtime::crypto::authority_file;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// A wish that took longer is tried again by its caller: every one of them may be.
const LONGEST_WISH: Duration = Duration::from_secs(10);

/// Where the owners answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a table: { planner = \"…\", gateway = \"…\", monitor = \"…\" }, each an address"
)]
pub struct Owners {
    /// The gRPC of rollout-planner.
    pub planner: String,
    /// The gRPC of agent-gateway.
    pub gateway: String,
    /// The gRPC of health-monitor.
    pub monitor: String,
    /// Whose certificates vouch for the https ones among these addresses, in PEM; the system's authorities if absent.
    pub authority: Option<PathBuf>,
}

impl Default for Owners {
    /// As `nightshift up` serves them.
    fn default() -> Self {
        Self {
            planner: "http://127.0.0.1:7701".into(),
            gateway: "http://127.0.0.1:7704".into(),
            monitor: "http://127.0.0.1:7703".into(),
            authority: None,
        }
    }
}

/// Calls in the caller's own name: with their token, which the owner checks again.
type InTheirName = InterceptedService<Channel, Bearer>;

/// Connections to the owners; made when they are first needed, and again when they broke.
#[derive(Clone)]
pub(crate) struct Connections {
    planner: Channel,
    gateway: Channel,
    monitor: Channel,
}

impl Connections {
    pub(crate) fn to(owners: &Owners) -> anyhow::Result<Self> {
        let tls = tls(owners.authority.as_deref())?;
        Ok(Self {
            planner: connect("planner", &owners.planner, &tls)?,
            gateway: connect("gateway", &owners.gateway, &tls)?,
            monitor: connect("monitor", &owners.monitor, &tls)?,
        })
    }

    pub(crate) fn fleet(&self, caller: &Caller) -> FleetServiceClient<InTheirName> {
        FleetServiceClient::with_interceptor(self.planner.clone(), caller.bearer())
    }

    pub(crate) fn rollouts(&self, caller: &Caller) -> RolloutServiceClient<InTheirName> {
        RolloutServiceClient::with_interceptor(self.planner.clone(), caller.bearer())
    }

    pub(crate) fn health(&self, caller: &Caller) -> HealthServiceClient<InTheirName> {
        HealthServiceClient::with_interceptor(self.monitor.clone(), caller.bearer())
    }

    pub(crate) fn agents(&self, caller: &Caller) -> AgentServiceClient<InTheirName> {
        AgentServiceClient::with_interceptor(self.gateway.clone(), caller.bearer())
    }
}

/// Whom an https address must prove to be.
fn tls(authority: Option<&Path>) -> anyhow::Result<ClientTlsConfig> {
    let Some(path) = authority else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let pem = authority_file("service.owners.authority", path)?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn connect(field: &str, at: &str, tls: &ClientTlsConfig) -> anyhow::Result<Channel> {
    let wrong = || format!("service.owners.{field} = \"{at}\"");
    let mut endpoint = Endpoint::from_shared(at.to_owned()).with_context(wrong)?;
    if endpoint.uri().scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(tls.clone()).with_context(wrong)?;
    }
    Ok(endpoint.connect_timeout(Duration::from_secs(5)).timeout(LONGEST_WISH).connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_is_none_is_refused_at_the_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owners = Owners { authority: Some(file.path().to_owned()), ..Owners::default() };
        let error = Connections::to(&owners).err().unwrap().to_string();
        assert!(error.starts_with("service.owners.authority = "), "{error}");
        assert!(error.ends_with("there is no certificate in it (PEM)"), "{error}");
    }
}
