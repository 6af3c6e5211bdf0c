//! Starts a rollout and watches it to its end, whatever breaks on the way. docs/grpc.md says how to run it.
//!
//! What a client of Nightshift should do, it does:
//! - a deadline for each call, and an idempotency key for each command, so that asking again does nothing twice;
//! - asking again when the service says that it may help, and when;
//! - reading the details of an error, which are for programs, and never its sentence;
//! - resuming a stream from the position of the last answer.

use anyhow::Context as _;
use clap::Parser;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::api::v1::rollout_service_client::RolloutServiceClient;
use nightshift_protocol::events::v1 as events;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

const A_CALL: Duration = Duration::from_secs(10);
const TRIES: usize = 60;

#[derive(Parser)]
#[command(about = "Starts a rollout and watches it to its end")]
struct Arguments {
    /// The new rollout's name.
    rollout: String,
    #[arg(long, default_value = "http://127.0.0.1:7701")]
    planner: String,
    #[arg(long, default_value = "http://127.0.0.1:7700")]
    console: String,
    /// Whose certificate vouches for https addresses, such as nightshift-data/door-authority.pem.
    #[arg(long)]
    ca: Option<PathBuf>,
    #[arg(long, default_value = "nightshift-data/admin.token")]
    token_file: PathBuf,
    #[arg(long, default_value = "to show how")]
    reason: String,
    /// The idempotency key of an earlier try.
    #[arg(long)]
    key: Option<String>,
}

/// What is shown with each call; over channels that are not encrypted only to a service on this machine.
type Bearer = MetadataValue<Ascii>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let file = arguments.token_file.display();
    let token = std::fs::read_to_string(&arguments.token_file).with_context(|| file.to_string())?;
    let bearer: Bearer = format!("Bearer {}", token.trim()).parse()?;
    start(&arguments, &bearer).await?;
    watch(&arguments, &bearer).await
}

async fn start(arguments: &Arguments, bearer: &Bearer) -> anyhow::Result<()> {
    let channel = connect(&arguments.planner, arguments.ca.as_deref())?;
    let wanted = api::StartRolloutRequest {
        rollout: arguments.rollout.clone(),
        // Without a policy, by the default one.
        policy: None,
        actor: Some(events::Actor { name: "example".into(), reason: arguments.reason.clone() }),
        idempotency_key: arguments.key.clone().unwrap_or_else(|| Uuid::new_v4().to_string()),
    };
    let ask = async || {
        let mut request = request(wanted.clone(), bearer);
        request.set_timeout(A_CALL);
        RolloutServiceClient::new(channel.clone()).start_rollout(request).await
    };
    let started = until_answered(ask).await?.into_inner();
    for (number, phase) in (1..).zip(started.phases) {
        let regions: Vec<String> = phase.regions.into_iter().map(|region| region.region).collect();
        println!("phase {number}: {}", regions.join(", "));
    }
    Ok(())
}

/// Asks until there is an answer. A command must have its idempotency key: it may have been carried out before.
async fn until_answered<T>(ask: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let mut answer = ask().await;
    for _ in 1..TRIES {
        let Err(status) = &answer else { break };
        let Some(pause) = pause_before_trying_again(status) else { break };
        eprintln!("asking again: {:?}", status.code());
        tokio::time::sleep(pause).await;
        answer = ask().await;
    }
    answer
}

/// None if asking again would not help.
fn pause_before_trying_again(status: &Status) -> Option<Duration> {
    let may_pass = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
        // So tonic calls a connection that broke, by when it did.
        || (matches!(status.code(), Code::Unknown | Code::Cancelled) && status.get_details_error_info().is_none());
    let said = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
    may_pass.then(|| said.unwrap_or(Duration::from_millis(500)))
}

/// Every state of the rollout, each once, to its end.
async fn watch(arguments: &Arguments, bearer: &Bearer) -> anyhow::Result<()> {
    let channel = connect(&arguments.console, arguments.ca.as_deref())?;
    let mut position = String::new();
    for _ in 0..TRIES {
        let Err(status) = watch_once(&channel, arguments, bearer, &mut position).await else { return Ok(()) };
        // A console may be behind: it hears of the rollout from the log, in moments.
        let behind = position.is_empty() && status.code() == Code::NotFound;
        let pause =
            if behind { Some(Duration::from_millis(200)) } else { pause_before_trying_again(&status) };
        let Some(pause) = pause else { return Err(status.into()) };
        eprintln!("resuming: {:?}", status.code());
        tokio::time::sleep(pause).await;
    }
    anyhow::bail!("the console does not answer")
}

async fn watch_once(
    channel: &Channel,
    arguments: &Arguments,
    bearer: &Bearer,
    position: &mut String,
) -> Result<(), Status> {
    let wanted = api::WatchRolloutRequest { rollout: arguments.rollout.clone(), after: position.clone() };
    let mut console = ConsoleServiceClient::new(channel.clone());
    let mut answers = console.watch_rollout(request(wanted, bearer)).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        println!("{}", answer.rollout.unwrap_or_default().state().as_str_name());
        *position = answer.position;
    }
    Ok(())
}

/// Connects when it is first needed, and again whenever that broke.
fn connect(address: &str, ca: Option<&Path>) -> anyhow::Result<Channel> {
    let mut endpoint = Endpoint::from_shared(address.to_owned()).with_context(|| address.to_owned())?;
    if let Some(path) = ca {
        let pem = std::fs::read_to_string(path).with_context(|| format!("--ca {}", path.display()))?;
        // The transport would take it, and then trust nobody.
        anyhow::ensure!(
            pem.contains("-----BEGIN CERTIFICATE-----"),
            "--ca {}: there is no certificate in it (PEM)",
            path.display()
        );
        endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))?;
    }
    Ok(endpoint.connect_lazy())
}

fn request<T>(message: T, bearer: &Bearer) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

/// An error for people, by what it says to programs.
fn explain(error: &anyhow::Error) {
    let Some(status) = error.downcast_ref::<Status>() else { return eprintln!("{error:#}") };
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        eprintln!("refused: {}", info.reason);
    }
    for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
        eprintln!("{}: {}", violation.field, violation.description);
    }
    eprintln!("{:?}: {}", status.code(), status.message());
}
