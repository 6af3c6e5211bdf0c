//! All services in one process: each as it is when deployed alone, but with the log embedded.

use crate::arguments::Servers;
use anyhow::Context as _;
use nightshift_event_log::SledLog;
use nightshift_runtime::access::{Access, Issuer, Role, Wanted, write_secret};
use nightshift_runtime::service::{Context, serve_on};
use nightshift_runtime::{Clock, Signals, local_tls, serving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The file in the data folder with the token of whoever may read it: its installation's admin.
pub const ADMIN_TOKEN: &str = "admin.token";
/// The admin's token lies beside the key that could sign any other: a shorter life would protect nothing.
const ADMIN_TTL: Duration = Duration::from_secs(365 * 86_400);

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// The gRPC of console, rollout-planner, region-coordinator, health-monitor and agent-gateway.
    pub services: [SocketAddr; 5],
    /// Agents.
    pub agents: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
}

impl Listen {
    /// The usual ports on this address.
    pub fn usual(address: IpAddr) -> Self {
        let at = |port| SocketAddr::new(address, port);
        Self {
            services: [at(7700), at(7701), at(7702), at(7703), at(7704)],
            agents: at(7709),
            http: at(7780),
        }
    }

    /// Ports of the loopback address that are free.
    pub fn free() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { services: [any; 5], agents: any, http: any }
    }
}

/// What not every installation has.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// A Prometheus that answers the policies' queries.
    pub prometheus: Option<String>,
    /// Whether gRPC and HTTP are served over TLS, by an authority in the data folder.
    pub tls: bool,
    /// Receivers that are sent events.
    pub webhooks: Vec<nightshift_console::Webhook>,
}

/// All services, running.
pub struct Stack {
    /// Where the command line finds them.
    pub servers: Servers,
    /// Where agents connect.
    pub agents: SocketAddr,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Whose tokens are believed.
    pub issuer: Issuer,
    /// The authority that vouches for the doors for people and programs, where they are served over TLS.
    pub door_authority: Option<PathBuf>,
    /// Cancelled when everything is to end.
    pub shutdown: CancellationToken,
    services: JoinSet<anyhow::Result<()>>,
}

impl Stack {
    /// Starts everything. When this returns, everything answers.
    pub async fn start(data: PathBuf, clock: Clock, listen: Listen) -> anyhow::Result<Self> {
        Self::start_with(data, clock, listen, Extras::default()).await
    }

    /// The same, with what not every installation has.
    pub async fn start_with(
        data: PathBuf,
        clock: Clock,
        listen: Listen,
        extras: Extras,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&data).with_context(|| format!("data = {}", data.display()))?;
        let issuer = Issuer::open(&data)?;
        let token = issuer.issue(&Wanted::new("admin", Role::Admin, ADMIN_TTL))?;
        let token_file = data.join(ADMIN_TOKEN);
        write_secret(&token_file, &format!("{token}\n")).with_context(|| token_file.display().to_string())?;
        let access = Access::of_issuer(&issuer);
        let door = extras.tls.then(|| local_tls::identity(&data, listen.http.ip())).transpose()?;
        let (identity, door_authority) = door.unzip();
        let log = SledLog::open(&data.join("log"))?;
        let shutdown = CancellationToken::new();
        let tls = match identity {
            Some(identity) => Some(serving::open(identity, &shutdown).await?),
            None => None,
        };
        let base = Context {
            data,
            settings: (),
            access: access.clone(),
            tls: tls.clone(),
            log: Arc::new(log),
            signals: Signals::in_process(),
            clock,
            shutdown: shutdown.clone(),
        };
        let (agents, http) = (bind(listen.agents).await?, bind(listen.http).await?);
        let (agents_at, http_at) = (agents.local_addr()?, http.local_addr()?);
        let monitor =
            nightshift_health_monitor::Settings { prometheus: extras.prometheus, ..Default::default() };
        let mut listeners = Vec::new();
        for address in listen.services {
            listeners.push(bind(address).await?);
        }
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = |index: usize| format!("{scheme}://{}", reachable(addresses[index]));
        let owners = nightshift_console::Owners {
            planner: url(1),
            gateway: url(4),
            monitor: url(3),
            authority: door_authority.clone(),
        };
        let console =
            nightshift_console::Settings { owners, webhooks: extras.webhooks, ..Default::default() };
        let built = [
            ("console", nightshift_console::build_on(base.clone().of("console", console), http).await?),
            (
                "rollout-planner",
                nightshift_rollout_planner::build(base.clone().of("rollout-planner", Default::default()))
                    .await?,
            ),
            (
                "region-coordinator",
                nightshift_region_coordinator::build(
                    base.clone().of("region-coordinator", Default::default()),
                )
                .await?,
            ),
            (
                "health-monitor",
                nightshift_health_monitor::build(base.clone().of("health-monitor", monitor)).await?,
            ),
            (
                "agent-gateway",
                nightshift_agent_gateway::build_on(base.of("agent-gateway", Default::default()), agents)
                    .await?,
            ),
        ];
        let mut services = JoinSet::new();
        for ((name, service), listener) in built.into_iter().zip(listeners) {
            let (access, tls, shutdown) = (access.clone(), tls.clone(), shutdown.clone());
            services
                .spawn(async move { serve_on(service, listener, access, tls, shutdown).await.context(name) });
        }
        let servers = Servers {
            console: url(0),
            planner: url(1),
            coordinators: vec![url(2)],
            gateway: url(4),
            health: url(3),
            token_file: Some(token_file),
            ca: door_authority.clone(),
            ..Servers::default()
        };
        Ok(Self { issuer, door_authority, servers, agents: agents_at, http: http_at, shutdown, services })
    }

    /// Waits until it is told to end, or a service fails, and then for all to end.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = self.services.join_next().await {
            self.shutdown.cancel();
            outcome = outcome.and(ended.context("a service panicked").and_then(|ended| ended));
        }
        outcome
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Where a socket is reached from this machine: one that listens on all addresses has none of its own.
fn reachable(listening: SocketAddr) -> SocketAddr {
    match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listening.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listening.port())
        }
        _ => listening,
    }
}
