//! `cargo xtask test`: everything that CI runs, from a bare machine on. `cargo xtask tools` only fetches the tools.

mod steps;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wish = std::env::args().nth(1);
    let done = match wish.as_deref() {
        Some("test") => steps::test(),
        Some("tools") => tools::fetch(),
        _ => Err(anyhow::anyhow!("say `cargo xtask test` or `cargo xtask tools`")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
