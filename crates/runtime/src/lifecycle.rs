//! From the command line to a clean end: what a service's `main` consists of.

use crate::config::{self, Config, Log, Login, Tls};
use crate::service::{Context, Service, serve};
use crate::{Access, Clock, Signals, serving, telemetry};
use anyhow::Context as _;
use clap::Parser;
use nightshift_event_log::{self as event_log, EventLog, NatsLog, NatsOptions, SledLog};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
#[command(version, about = "A service of Nightshift")]
struct Arguments {
    /// The configuration file (TOML). NIGHTSHIFT_* variables override it.
    #[arg(long, short, env = "NIGHTSHIFT_CONFIG")]
    config: PathBuf,
}

/// Runs a service to its end: configuration, telemetry, log, then what `build` makes of them, until SIGTERM.
pub fn main<S, B, F>(name: &'static str, build: B) -> ExitCode
where
    S: DeserializeOwned + Default + Clone,
    B: FnOnce(Context<S>) -> F,
    F: Future<Output = anyhow::Result<Service>>,
{
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(name, build)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run<S, B, F>(name: &'static str, build: B) -> anyhow::Result<()>
where
    S: DeserializeOwned + Default + Clone,
    B: FnOnce(Context<S>) -> F,
    F: Future<Output = anyhow::Result<Service>>,
{
    let arguments = Arguments::parse();
    let config: Config<S> = config::load(&arguments.config)?;
    let _telemetry = telemetry::start(name, &config.telemetry)?;
    let access = Access::of(&config.access)?;
    access.allow_listening("listen", config.listen)?;
    let shutdown = CancellationToken::new();
    let tls = match config.tls {
        Some(identity) => Some(serving::open(identity, &shutdown).await?),
        None => None,
    };
    let (log, signals) = open(name, &config.log).await?;
    tokio::spawn(end_on_signal(shutdown.clone()));
    let context = Context {
        data: config.data.clone(),
        settings: config.service.clone(),
        access: access.clone(),
        tls: tls.clone(),
        log,
        signals,
        clock: Clock::system(),
        shutdown: shutdown.clone(),
    };
    let service = build(context).await.context("could not start")?;
    serve(name, service, config.listen, access, tls, shutdown).await
}

/// Opens the event log for this service, and the signals that go with it.
pub async fn open(name: &str, log: &Log) -> anyhow::Result<(Arc<dyn EventLog>, Signals)> {
    match log {
        Log::Nats { servers, replicas, login, tls } => {
            let options = NatsOptions {
                servers: servers.clone(),
                replicas: *replicas,
                login: login.as_ref().map(login_to_nats).unwrap_or_default(),
                tls: tls.as_ref().map(tls_to_nats).unwrap_or_default(),
                // Nobody else may listen to its answers.
                inbox_prefix: Some(format!("_INBOX_{name}")),
                ..NatsOptions::default()
            };
            let log =
                NatsLog::connect(options).await.with_context(|| format!("log.servers = {servers:?}"))?;
            let signals = Signals::over_nats(log.client());
            Ok((Arc::new(log), signals))
        }
        Log::Sled { path } => {
            let log = SledLog::open(path).with_context(|| format!("log.path = {}", path.display()))?;
            Ok((Arc::new(log), Signals::in_process()))
        }
    }
}

fn login_to_nats(login: &Login) -> event_log::Login {
    match login {
        Login::NkeySeed(path) => event_log::Login::NkeySeed(path.clone()),
        Login::Credentials(path) => event_log::Login::Credentials(path.clone()),
    }
}

fn tls_to_nats(tls: &Tls) -> event_log::Tls {
    let identity = tls.identity.as_ref().map(|own| (own.certificate.clone(), own.key.clone()));
    event_log::Tls { required: true, authorities: tls.authorities.clone(), identity }
}

/// Ends the process's work when it is told to (SIGTERM, or SIGINT from a keyboard).
pub async fn end_on_signal(shutdown: CancellationToken) {
    let told = async |kind| match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::interrupt()) => {}
    }
    shutdown.cancel();
}
