//! `nightshift`: all services in one process, the demo, and every read and wish of the API.

pub mod arguments;
pub mod audit;
pub mod clients;
mod commands;
pub mod demo;
pub mod enrolment;
pub mod exit;
pub mod fleet_file;
mod live;
pub mod nats_users;
mod pages;
pub mod policy_file;
pub mod real_fleet;
pub mod stack;
mod summary;

use arguments::{Arguments, Command};
use std::process::ExitCode;

/// Does what the command line says.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { servers, json, command } = arguments;
    match command {
        Command::Up(up) => commands::up::run(up).await,
        Command::Demo(demo) => demo::run(demo, json).await,
        Command::Fleet(command) => commands::fleet::run(command, &servers, json).await,
        Command::Vm(command) => commands::vm::run(command, &servers, json).await,
        Command::Plan(plan) => commands::plan::run(&plan, json),
        Command::Rollout(command) => commands::rollout::run(command, &servers, json).await,
        Command::Events(command) => commands::events::run(command, &servers, json).await,
        Command::Webhook(command) => commands::webhook::run(command, &servers, json).await,
        Command::Rhythm(command) => commands::rhythm::run(command, &servers, json).await,
        Command::Forecast(wanted) => commands::forecast::run(&wanted, &servers, json).await,
        Command::Simulate(wanted) => commands::simulate::run(&wanted, json),
        Command::Explain { vm } => commands::explain::run(vm, &servers, json).await,
        Command::Health(health) => commands::health::run(health, &servers, json).await,
        Command::Audit { file } => commands::audit::run(file.as_deref(), &servers, json).await,
        Command::NatsUsers { folder, consumers } => commands::nats_users::run(&folder, &consumers, json),
        Command::Token(token) => commands::token::run(token, json),
        Command::Agent(command) => nightshift_agent::command::run(command).await.map(|()| exit::DONE),
    }
}
