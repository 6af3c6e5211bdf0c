//! The command `nightshift`: see the library of this package.

use clap::Parser as _;
use nightshift_cli::arguments::Arguments;
use nightshift_cli::{color, exit};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    color::decide(std::env::args_os().skip(1));
    match nightshift_cli::run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) if exit::is_broken_pipe(&error) => exit::DONE,
        Err(error) => {
            anstream::eprintln!("{}", exit::words(&error));
            ExitCode::from(exit::of_error(&error))
        }
    }
}
