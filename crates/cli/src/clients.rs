//! Connections to the services.

use crate::arguments::Servers;
use crate::exit;
use crate::failure::Failure;
use crate::installation::{self, Origin, Setting};
use anyhow::Context as _;
use nightshift_protocol::api::v1::agent_service_client::AgentServiceClient;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::api::v1::fleet_service_client::FleetServiceClient;
use nightshift_protocol::api::v1::health_service_client::HealthServiceClient;
use nightshift_protocol::api::v1::lookback_service_client::LookbackServiceClient;
use nightshift_protocol::api::v1::overview_service_client::OverviewServiceClient;
use nightshift_protocol::api::v1::region_service_client::RegionServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use nightshift_protocol::api::v1::webhook_service_client::WebhookServiceClient;
use nightshift_runtime::access::Bearer;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Rollouts of large fleets and pages of many VMs are long messages.
const LARGEST_RESPONSE: usize = 64 * 1024 * 1024;
/// How long a service may take to answer at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What each certificate of a PEM file begins with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A connection that shows the caller's token with each call.
pub type Authorized = InterceptedService<Channel, Bearer>;

/// The console.
pub async fn console(servers: &Servers) -> anyhow::Result<ConsoleServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Console, &servers.console).await?;
    Ok(ConsoleServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

/// The console's view of what is, and of what would be.
pub async fn overview(servers: &Servers) -> anyhow::Result<OverviewServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Console, &servers.console).await?;
    Ok(OverviewServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

/// The console's view of what was.
pub async fn lookback(servers: &Servers) -> anyhow::Result<LookbackServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Console, &servers.console).await?;
    Ok(LookbackServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

/// The console's service for webhooks.
pub async fn webhooks(servers: &Servers) -> anyhow::Result<WebhookServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Console, &servers.console).await?;
    Ok(WebhookServiceClient::with_interceptor(channel, bearer(servers)?))
}

/// The planner's fleet service.
pub async fn fleet(servers: &Servers) -> anyhow::Result<FleetServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Planner, &servers.planner).await?;
    Ok(FleetServiceClient::with_interceptor(channel, bearer(servers)?))
}

/// The planner's rollout service.
pub async fn rollouts(servers: &Servers) -> anyhow::Result<RolloutServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Planner, &servers.planner).await?;
    Ok(RolloutServiceClient::with_interceptor(channel, bearer(servers)?))
}

/// One of the coordinators.
pub async fn coordinator(
    servers: &Servers,
    address: &str,
) -> anyhow::Result<RegionServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Coordinators, address).await?;
    Ok(RegionServiceClient::with_interceptor(channel, bearer(servers)?))
}

/// The health-monitor.
pub async fn health(servers: &Servers) -> anyhow::Result<HealthServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Health, &servers.health).await?;
    Ok(HealthServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

/// The gateway's service for people.
pub async fn agents(servers: &Servers) -> anyhow::Result<AgentServiceClient<Authorized>> {
    let channel = connect(servers, Setting::Gateway, &servers.gateway).await?;
    Ok(AgentServiceClient::with_interceptor(channel, bearer(servers)?)
        .max_decoding_message_size(LARGEST_RESPONSE))
}

async fn connect(servers: &Servers, setting: Setting, address: &str) -> anyhow::Result<Channel> {
    installation::check(servers, setting, address)?;
    let mut endpoint = Endpoint::from_shared(address.to_owned())?.connect_timeout(CONNECT_WITHIN);
    if address.starts_with("https:") {
        endpoint = endpoint.tls_config(tls(servers)?).with_context(|| address.to_owned())?;
    }
    endpoint.connect().await.map_err(|error| silent(servers, setting, address, &error).into())
}

/// Whom an https address must prove to be: by the named authority, or by those of the system.
fn tls(servers: &Servers) -> anyhow::Result<ClientTlsConfig> {
    let Some(path) = &servers.ca else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let from = servers.origins.of(Setting::Ca);
    let pem = std::fs::read(path).map_err(|error| unreadable(path, &from, &error))?;
    // TLS would trust nobody, and say so only of whoever answers.
    if !pem.windows(CERTIFICATE.len()).any(|part| part == CERTIFICATE) {
        return Err(unreadable(path, &from, &"there is no certificate in it (PEM)").into());
    }
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// Nobody answers: at which address, where it was taken from, and why.
fn silent(servers: &Servers, setting: Setting, address: &str, error: &tonic::transport::Error) -> Failure {
    let from = servers.origins.of(setting);
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let sentence = format!("nothing answers at {address} ({}, from {from}): {cause}", setting.flag());
    let failure = Failure::new(exit::UNREACHABLE, sentence);
    let failure = match from {
        Origin::Usual | Origin::File(_) => failure.next("nightshift up").next("nightshift context list"),
        _ => failure.next("nightshift context show"),
    };
    // Not by its type: rustls has one for each way in which bytes are no TLS.
    let is_tls = |clue: &str| address.starts_with("https:") && cause.to_string().contains(clue);
    let failure = if is_tls("corrupt message") {
        failure.next("or its address begins with http://")
    } else if is_tls("UnknownIssuer") {
        failure.next("or name the authority that vouches for it: --ca FILE")
    } else {
        failure
    };
    failure.next(format!("or say where it is: {} URL, or --context NAME", setting.flag()))
}

/// The caller's token: of a file, or of the environment; an installation without tokens needs none.
fn bearer(servers: &Servers) -> anyhow::Result<Bearer> {
    let from = servers.origins.of(Setting::Token);
    let read = |path| std::fs::read_to_string(path).map_err(|error| unreadable(path, &from, &error));
    let token = match (&servers.token_file, &servers.token) {
        (Some(path), _) => Some(read(path)?),
        (None, token) => token.clone(),
    };
    Bearer::of(token.as_deref().map(str::trim)).map_err(|wrong| {
        Failure::usage(format!("the token (from {from}): {wrong}"))
            .next("nightshift token issue --name NAME --role reader")
            .into()
    })
}

fn unreadable(path: &std::path::Path, from: &Origin, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{} (from {from}): {error}", path.display())).next("nightshift context show")
}
