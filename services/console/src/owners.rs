//! The services that own what people wish: the console decides nothing, it asks them.

use nightshift_protocol::api::v1::agent_service_client::AgentServiceClient;
use nightshift_protocol::api::v1::fleet_service_client::FleetServiceClient;
use nightshift_protocol::api::v1::health_service_client::HealthServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use nightshift_runtime::access::{Bearer, Caller};
use serde::Deserialize;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// A wish that took longer is tried again by its caller: every one of them may be.
const LONGEST_WISH: Duration = Duration::from_secs(10);

/// Where the owners answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Owners {
    /// The gRPC of rollout-planner.
    pub planner: String,
    /// The gRPC of agent-gateway.
    pub gateway: String,
    /// The gRPC of health-monitor.
    pub monitor: String,
}

impl Default for Owners {
    /// As `nightshift up` serves them.
    fn default() -> Self {
        Self {
            planner: "http://127.0.0.1:7701".into(),
            gateway: "http://127.0.0.1:7704".into(),
            monitor: "http://127.0.0.1:7703".into(),
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
    pub(crate) fn to(owners: &Owners) -> Result<Self, tonic::transport::Error> {
        Ok(Self {
            planner: connect(&owners.planner)?,
            gateway: connect(&owners.gateway)?,
            monitor: connect(&owners.monitor)?,
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

fn connect(at: &str) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(at.to_owned())?;
    Ok(endpoint.connect_timeout(Duration::from_secs(5)).timeout(LONGEST_WISH).connect_lazy())
}
