//! `nightshift`: all services in one process, the demo, and every read and wish of the API.

mod advice;
pub mod arguments;
pub mod audit;
pub mod clients;
pub mod color;
mod commands;
pub mod demo;
pub mod enrolment;
pub mod exit;
pub mod failure;
pub mod fleet_file;
pub mod installation;
mod log_file;
pub mod nats_users;
pub mod output;
mod pages;
pub mod policy_file;
pub mod real_fleet;
pub mod stack;
mod summary;
mod times;
mod watch;

use arguments::{Arguments, Audit, Command, Flags, Servers};
use output::Format;
use std::process::ExitCode;

/// Does what the command line says.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { installation, style, command } = arguments;
    let output = style.format();
    match command {
        Command::Up(up) => commands::up::run(up).await,
        Command::Demo(demo) => demo::run(demo, output).await,
        Command::Plan(plan) => commands::plan::run(&plan, output),
        Command::Simulate(wanted) => commands::simulate::run(&wanted, output),
        Command::NatsUsers { folder, consumers } => commands::nats_users::run(&folder, &consumers, output),
        Command::Token(token) => commands::token::run(token, output),
        Command::Context(command) => commands::context::run(command, &installation, output),
        Command::Completions { shell } => commands::manual::completions(shell),
        Command::Man { folder } => commands::manual::pages(&folder, output),
        Command::Agent(command) => nightshift_agent::command::run(command).await.map(|()| exit::DONE),
        Command::Audit(Audit { file: Some(file), .. }) => commands::audit::file(&file, output),
        // Of a file, nobody is asked.
        Command::Forecast(wanted) if wanted.fleet.is_some() || wanted.log.is_some() => {
            commands::forecast::run(&wanted, &Servers::default(), output).await
        }
        command => ask(command, &installation, output).await,
    }
}

/// Commands that ask an installation.
async fn ask(command: Command, flags: &Flags, output: Format) -> anyhow::Result<ExitCode> {
    let servers = installation::find(flags)?.servers;
    match command {
        Command::Fleet(command) => commands::fleet::run(command, &servers, output).await,
        Command::Feature(command) => commands::feature::run(command, &servers, output).await,
        Command::Vm(command) => commands::vm::run(command, &servers, output).await,
        Command::Region(command) => commands::region::run(command, &servers, output).await,
        Command::Rollout(command) => commands::rollout::run(command, &servers, output).await,
        Command::Overview(wanted) => commands::overview::run(wanted, &servers, output).await,
        Command::Compliance => commands::compliance::run(&servers, output).await,
        Command::Events(command) => commands::events::run(command, &servers, output).await,
        Command::Webhook(command) => commands::webhook::run(command, &servers, output).await,
        Command::Rhythm(command) => commands::rhythm::run(command, &servers, output).await,
        Command::Forecast(wanted) => commands::forecast::run(&wanted, &servers, output).await,
        Command::Explain { vm } => commands::explain::run(vm, &servers, output).await,
        Command::Health(health) => commands::health::run(health, &servers, output).await,
        Command::Audit(audit) => commands::audit::run(audit, &servers, output).await,
        // `run` answers all others.
        other => anyhow::bail!("{other:?} asks no installation"),
    }
}
