//! console is people's door: it reads everything and decides nothing.

mod arm;
mod changes;
mod deeds;
mod desk;
mod events;
mod foreign;
mod history;
mod http;
mod identity;
mod index;
mod operations;
mod overview;
mod owners;
mod page;
mod past;
mod patching;
mod preview;
mod promise;
mod reading;
mod report;
mod search;
mod service;
mod spans;
mod timeline;
mod topology;
mod verdict;
mod view;
mod views;
mod watch;
mod webhooks;
mod wishes;

pub use owners::Owners;
pub use webhooks::{From as WebhookFrom, Settings as Webhook};

use anyhow::Context as _;
use desk::Desk;
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Context, Service, serving};
use overview::Watcher;
use owners::Connections;
use serde::Deserialize;
use spans::Spans;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use view::View;

/// The service's name.
pub const NAME: &str = "console";

/// What only this service is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where HTTP is served: JSON and live events (SSE).
    pub http_listen: SocketAddr,
    /// Names under which people reach it, beside `localhost` and its addresses: a request for any other is refused.
    pub host_names: Vec<String>,
    /// Where the services answer that own what people wish.
    pub owners: Owners,
    /// Receivers that are sent events.
    pub webhooks: Vec<Webhook>,
}

impl Default for Settings {
    fn default() -> Self {
        let http_listen = SocketAddr::from(([127, 0, 0, 1], 7780));
        Self { http_listen, host_names: Vec::new(), owners: Owners::default(), webhooks: Vec::new() }
    }
}

/// Starts the view, its HTTP, and offers its gRPC.
pub async fn build(context: Context<Settings>) -> anyhow::Result<Service> {
    let listen = context.settings.http_listen;
    context.access.allow_listening("service.http_listen", listen)?;
    let http =
        TcpListener::bind(listen).await.with_context(|| format!("service.http_listen = \"{listen}\""))?;
    build_on(context, http).await
}

/// The same, with the HTTP socket already bound.
pub async fn build_on(context: Context<Settings>, http: TcpListener) -> anyhow::Result<Service> {
    let mut tasks = JoinSet::new();
    let clock = context.clock;
    let spans = Spans::new(&clock);
    let setup = Setup {
        name: NAME,
        mind: Option::<View>::unwrap_or_default,
        dress: None,
        log: context.log.clone(),
        clock: clock.clone(),
        snapshots: Snapshots::open(&context.data)?,
        shutdown: context.shutdown.clone(),
    };
    let host = host::start(setup, &mut tasks).await?;
    let owners = Connections::to(&context.settings.owners)?;
    let arm = arm::Door { host: host.clone(), owners, secure: context.tls.is_some() };
    tasks.spawn(spans.clone().listen(context.signals, context.shutdown.clone()));
    let webhooks = webhooks::start(
        &context.settings.webhooks,
        &context.data.join("webhooks"),
        &context.log,
        &clock,
        &context.shutdown,
        &mut tasks,
    )?;
    let desk = Desk::new(Watcher::of(host), context.log, spans);
    let router = http::router(
        arm,
        desk.clone(),
        context.access.clone(),
        context.shutdown.clone(),
        context.settings.host_names,
    );
    tracing::info!(service = NAME, http_listen = %http.local_addr()?, "serving HTTP");
    tasks.spawn(serving::serve(http, router, context.tls, context.shutdown.clone()));
    Ok(Service { routes: service::routes(desk, webhooks, context.shutdown), tasks })
}
