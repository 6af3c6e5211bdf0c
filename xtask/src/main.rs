//! `cargo xtask test`: everything that CI runs, from a bare machine on. `cargo xtask tools` only fetches the tools.
//! `cargo xtask package` makes the packages of the agent.

mod package;
mod steps;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wish = std::env::args().nth(1);
    let done = match wish.as_deref() {
        Some("test") => steps::test(),
        Some("tools") => tools::fetch(),
        Some("package") => package::package(std::env::args().skip(2)),
        _ => Err(anyhow::anyhow!("say `cargo xtask test`, `cargo xtask tools` or `cargo xtask package`")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
