//! Connections to the services.

use crate::arguments::{DATA, Servers};
use crate::stack::ADMIN_TOKEN;
use anyhow::Context as _;
use nightshift_protocol::api::v1::agent_service_client::AgentServiceClient;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::api::v1::fleet_service_client::FleetServiceClient;
use nightshift_protocol::api::v1::health_service_client::HealthServiceClient;
use nightshift_protocol::api::v1::region_service_client::RegionServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use nightshift_protocol::api::v1::webhook_service_client::WebhookServiceClient;
use nightshift_runtime::access::Bearer;
use std::path::Path;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// Rollouts of large fleets and pages of many VMs are long messages.
const LARGEST_RESPONSE: usize = 64 * 1024 * 1024;

/// A connection that shows the caller's token with each call.
pub type Authorized = InterceptedService<Channel, Bearer>;

/// The console.
pub async fn console(servers: &Servers) -> anyhow::Result<ConsoleServiceClient<Authorized>> {
    let channel = connect("console", &servers.console).await?;
    Ok(ConsoleServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

/// The console's service for webhooks.
pub async fn webhooks(servers: &Servers) -> anyhow::Result<WebhookServiceClient<Authorized>> {
    Ok(WebhookServiceClient::with_interceptor(connect("console", &servers.console).await?, bearer(servers)?))
}

/// The planner's fleet service.
pub async fn fleet(servers: &Servers) -> anyhow::Result<FleetServiceClient<Authorized>> {
    Ok(FleetServiceClient::with_interceptor(connect("planner", &servers.planner).await?, bearer(servers)?))
}

/// The planner's rollout service.
pub async fn rollouts(servers: &Servers) -> anyhow::Result<RolloutServiceClient<Authorized>> {
    Ok(RolloutServiceClient::with_interceptor(connect("planner", &servers.planner).await?, bearer(servers)?))
}

/// One of the coordinators.
pub async fn coordinator(
    servers: &Servers,
    address: &str,
) -> anyhow::Result<RegionServiceClient<Authorized>> {
    Ok(RegionServiceClient::with_interceptor(connect("coordinators", address).await?, bearer(servers)?))
}

/// The health-monitor.
pub async fn health(servers: &Servers) -> anyhow::Result<HealthServiceClient<Authorized>> {
    let channel = connect("health", &servers.health).await?;
    Ok(HealthServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

/// The gateway's service for people.
pub async fn agents(servers: &Servers) -> anyhow::Result<AgentServiceClient<Authorized>> {
    Ok(AgentServiceClient::with_interceptor(connect("gateway", &servers.gateway).await?, bearer(servers)?))
}

async fn connect(option: &str, address: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .with_context(|| format!("--{option} \"{address}\" is no address: write http://host:port"))?;
    let connected = endpoint.connect_timeout(Duration::from_secs(5)).connect().await;
    connected.with_context(|| {
        format!("nothing answers at --{option} {address}: is `nightshift up` running, or the service deployed there?")
    })
}

/// The caller's token: of the named file, of the environment, or what `up` left here; an installation without tokens needs
/// none.
fn bearer(servers: &Servers) -> anyhow::Result<Bearer> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let left_here = Path::new(DATA).join(ADMIN_TOKEN);
    let token = match (&servers.token_file, &servers.token) {
        (Some(path), _) => Some(read(path).context("--token-file")?),
        (None, Some(token)) => Some(token.clone()),
        (None, None) if left_here.is_file() => Some(read(&left_here)?),
        (None, None) => None,
    };
    Bearer::of(token.as_deref().map(str::trim)).map_err(anyhow::Error::msg)
}
