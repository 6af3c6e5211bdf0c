//! `nightshift-agent`: runs on a VM as its administrator.

use clap::Parser;
use nightshift_agent::command::{self, Command};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Nightshift's agent: patches this machine when it is ordered to")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// One thread: the agent waits for a network and for package managers, it does not compute.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match command::run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightshift-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
