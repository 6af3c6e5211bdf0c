//! `cargo xtask test`: everything that CI runs, from a bare machine on. `cargo xtask tools` only fetches the tools.
//! `cargo xtask package` makes the packages of the agent. `cargo xtask release-contract` makes the contract in proto/ the one
//! that later ones may not break.

mod contract;
mod package;
mod steps;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wish = std::env::args().nth(1);
    let done = match wish.as_deref() {
        Some("test") => steps::test(),
        Some("tools") => tools::fetch(),
        Some("release-contract") => contract::release(),
        Some("package") => package::package(std::env::args().skip(2)),
        _ => Err(anyhow::anyhow!(
            "say `cargo xtask test`, `cargo xtask tools`, `cargo xtask package` or `cargo xtask release-contract`"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
