//! The shape that all services share: what they are given, what they are, how they are served.

use crate::access::{Access, Door, guard};
use crate::serving::RustlsConfig;
use crate::{Clock, Signals, serving};
use anyhow::Context as _;
use nightshift_event_log::EventLog;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// What a service is given to work with.
#[derive(Clone)]
pub struct Context<S> {
    /// Its own folder.
    pub data: PathBuf,
    /// What only it is told.
    pub settings: S,
    /// How it tells one caller from another.
    pub access: Access,
    /// With what certificate its doors for people and programs are served; in the clear without.
    pub tls: Option<RustlsConfig>,
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The signals on machines' health.
    pub signals: Signals,
    /// The time.
    pub clock: Clock,
    /// Cancelled when the service is to end.
    pub shutdown: CancellationToken,
}

/// A service that works: its tasks run; its gRPC waits to be served.
pub struct Service {
    /// Its gRPC services.
    pub routes: Routes,
    /// Its tasks. The first that fails ends the service: what is damaged must not be built upon.
    pub tasks: JoinSet<anyhow::Result<()>>,
}

/// How long calls in progress may take to end when the service is told to.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves a service's gRPC, with health and reflection, until `shutdown` or until one of its tasks fails.
pub async fn serve(
    name: &'static str,
    service: Service,
    listen: SocketAddr,
    access: Access,
    tls: Option<RustlsConfig>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listen = \"{listen}\""))?;
    tracing::info!(service = name, listen = %listener.local_addr()?, "serving");
    serve_on(service, listener, access, tls, shutdown).await
}

/// Serves on a socket that is already bound.
pub async fn serve_on(
    service: Service,
    listener: TcpListener,
    access: Access,
    tls: Option<RustlsConfig>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let Service { routes, mut tasks } = service;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(nightshift_protocol::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Many clients know nothing newer than v1alpha.
    let (newest, older) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    let open = routes.add_service(health).add_service(newest).add_service(older).into_axum_router();
    let served = guard(open, Door::Grpc, access);
    tasks.spawn(serving::serve(listener, served, tls, shutdown.clone()));
    let ended = first_end(&mut tasks, &shutdown).await;
    shutdown.cancel();
    let drained = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::debug!("calls that were still open were cut off");
    }
    ended
}

/// Waits for the first task that fails, or for the shutdown.
async fn first_end(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Some(ended) = tasks.join_next() => ended.context("a task panicked")??,
        }
    }
}

impl<S> Context<S> {
    /// The same for another service of this process, with a folder of its own.
    pub fn of<T>(self, name: &str, settings: T) -> Context<T> {
        let Self { data, settings: _, access, tls, log, signals, clock, shutdown } = self;
        Context { data: data.join(name), settings, access, tls, log, signals, clock, shutdown }
    }
}
