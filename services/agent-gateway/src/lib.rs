//! agent-gateway owns the agents' sessions: enrolment, delivery of orders, reports in.

mod authority;
mod health;
mod people;
mod renewal;
mod sessions;

use anyhow::Context as _;
use authority::Authority;
use nightshift_domain::gateway::Gateway;
use nightshift_protocol::agent::v1::agent_gateway_service_server::AgentGatewayServiceServer;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Service};
use renewal::Terms;
use serde::Deserialize;
use sessions::Sessions;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

/// The service's name, with which it signs its events.
pub const NAME: &str = "agent-gateway";

/// What only this service is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where agents connect, over mutual TLS.
    pub agents_listen: SocketAddr,
    /// How long an agent's certificate is good for, in hours. Agents renew theirs by themselves when half of it is over.
    pub certificate_hours: u32,
    /// How many days after its end a certificate can still be renewed with its key, by a machine that was off. Later it must
    /// be enrolled anew.
    pub renewal_grace_days: u32,
}

impl Settings {
    fn validate(&self) -> anyhow::Result<()> {
        let hours = self.certificate_hours;
        anyhow::ensure!(
            (1..=8_784).contains(&hours),
            "service.certificate_hours = {hours}: 1 to 8784 (a year)"
        );
        let days = self.renewal_grace_days;
        anyhow::ensure!(days <= 3_660, "service.renewal_grace_days = {days}: at most 3660 (ten years)");
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        let agents_listen = SocketAddr::from(([127, 0, 0, 1], 7709));
        Self { agents_listen, certificate_hours: 168, renewal_grace_days: 30 }
    }
}

/// Starts the mind, the agents' door, and offers people's gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let listen = context.settings.agents_listen;
    let agents =
        TcpListener::bind(listen).await.with_context(|| format!("service.agents_listen = \"{listen}\""))?;
    build_on(context, agents).await
}

/// The same, with the agents' socket already bound.
pub async fn build_on(context: Context<Settings>, agents: TcpListener) -> anyhow::Result<Service> {
    let mut tasks = JoinSet::new();
    context.settings.validate()?;
    let authority = Arc::new(Authority::open(&context.data)?);
    let terms = Terms::new(&context.settings);
    let setup = Setup {
        name: NAME,
        mind: Option::<Gateway>::unwrap_or_default,
        dress: None,
        log: context.log,
        clock: context.clock.clone(),
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown.clone(),
    };
    let host = host::start(setup, &mut tasks).await?;
    let sessions =
        Sessions::new(host.clone(), context.clock.clone(), context.signals, authority.clone(), terms);
    tasks.spawn(sessions.clone().deliver(context.shutdown.clone()));
    tracing::info!(service = NAME, agents_listen = %agents.local_addr()?, "serving agents");
    let server = Server::builder()
        .tls_config(authority.server_tls()?)?
        // An agent whose machine lost power holds its connection open: notice it.
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .tcp_nodelay(true)
        .add_service(AgentGatewayServiceServer::new(sessions))
        .serve_with_incoming_shutdown(TcpListenerStream::new(agents), context.shutdown.cancelled_owned());
    tasks.spawn(async move { Ok(server.await?) });
    Ok(Service { routes: people::routes(host, context.clock, authority), tasks })
}
