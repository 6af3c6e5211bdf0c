//! The command `nightshift`: see the library of this package.

use clap::Parser as _;
use nightshift_cli::arguments::Arguments;
use nightshift_cli::exit;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match nightshift_cli::run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            if exit::is_broken_pipe(&error) {
                return exit::DONE;
            }
            eprintln!("nightshift: {}", exit::sentence(&error));
            exit::of_error(&error)
        }
    }
}
