//! The steps of `cargo xtask test`; the first that fails ends it.

use crate::{contract, tools};
use anyhow::{Context as _, anyhow, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

pub(crate) fn test() -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        // Fetching waits for the network, compiling for the processor.
        let beside = scope.spawn(fetch_and_lint);
        compile()?;
        beside.join().map_err(|_| anyhow!("fetching the tools panicked"))?
    })?;
    step("tests", || cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]))?;
    println!("xtask: nothing was skipped");
    Ok(())
}

fn fetch_and_lint() -> anyhow::Result<()> {
    step("tools", tools::fetch)?;
    step("buf lint", contract::lint)?;
    step("buf breaking", contract::keeps)
}

fn compile() -> anyhow::Result<()> {
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    step("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    })?;
    // The tests across processes start the programs. Built together with the tests, both share what they depend on;
    // alone, the programs would get it with other features and build most of it a second time.
    step("build", || cargo(&["build", "--workspace", "--bins", "--tests", "--examples", "--locked"]))
}

fn step(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("xtask: {name} …");
    let began = Instant::now();
    work().with_context(|| format!("step \"{name}\" failed"))?;
    println!("xtask: {name} done in {} s", began.elapsed().as_secs());
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).args(arguments).current_dir(root()))
}

/// Runs a command, whose output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?} could not be started"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
