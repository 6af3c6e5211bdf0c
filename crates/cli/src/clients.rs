//! Connections to the services.

use crate::arguments::Servers;
use anyhow::Context as _;
use nightshift_protocol::api::v1::agent_service_client::AgentServiceClient;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::api::v1::fleet_service_client::FleetServiceClient;
use nightshift_protocol::api::v1::health_service_client::HealthServiceClient;
use nightshift_protocol::api::v1::region_service_client::RegionServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// Rollouts of large fleets and pages of many VMs are long messages.
const LARGEST_RESPONSE: usize = 64 * 1024 * 1024;

/// The console.
pub async fn console(servers: &Servers) -> anyhow::Result<ConsoleServiceClient<Channel>> {
    let channel = connect("console", &servers.console).await?;
    Ok(ConsoleServiceClient::new(channel).max_decoding_message_size(LARGEST_RESPONSE))
}

/// The planner's fleet service.
pub async fn fleet(servers: &Servers) -> anyhow::Result<FleetServiceClient<Channel>> {
    Ok(FleetServiceClient::new(connect("planner", &servers.planner).await?))
}

/// The planner's rollout service.
pub async fn rollouts(servers: &Servers) -> anyhow::Result<RolloutServiceClient<Channel>> {
    Ok(RolloutServiceClient::new(connect("planner", &servers.planner).await?))
}

/// One of the coordinators.
pub async fn coordinator(address: &str) -> anyhow::Result<RegionServiceClient<Channel>> {
    Ok(RegionServiceClient::new(connect("coordinators", address).await?))
}

/// The health-monitor.
pub async fn health(servers: &Servers) -> anyhow::Result<HealthServiceClient<Channel>> {
    let channel = connect("health", &servers.health).await?;
    Ok(HealthServiceClient::new(channel).max_decoding_message_size(LARGEST_RESPONSE))
}

/// The gateway's service for people.
pub async fn agents(servers: &Servers) -> anyhow::Result<AgentServiceClient<Channel>> {
    Ok(AgentServiceClient::new(connect("gateway", &servers.gateway).await?))
}

async fn connect(option: &str, address: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .with_context(|| format!("--{option} \"{address}\" is no address: write http://host:port"))?;
    let connected = endpoint.connect_timeout(Duration::from_secs(5)).connect().await;
    connected.with_context(|| {
        format!("nothing answers at --{option} {address}: is `nightshift up` running, or the service deployed there?")
    })
}
