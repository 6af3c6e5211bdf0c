//! The services that own what people wish: the console decides nothing, it asks them.

use nightshift_protocol::api::v1::agent_service_client::AgentServiceClient;
use nightshift_protocol::api::v1::fleet_service_client::FleetServiceClient;
use nightshift_protocol::api::v1::health_service_client::HealthServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use serde::Deserialize;
use std::time::Duration;
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

    pub(crate) fn fleet(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.planner.clone())
    }

    pub(crate) fn rollouts(&self) -> RolloutServiceClient<Channel> {
        RolloutServiceClient::new(self.planner.clone())
    }

    pub(crate) fn health(&self) -> HealthServiceClient<Channel> {
        HealthServiceClient::new(self.monitor.clone())
    }

    pub(crate) fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.gateway.clone())
    }
}

fn connect(at: &str) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(at.to_owned())?;
    Ok(endpoint.connect_timeout(Duration::from_secs(5)).timeout(LONGEST_WISH).connect_lazy())
}
