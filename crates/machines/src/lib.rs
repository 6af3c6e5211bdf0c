//! Sandboxed machines and package repositories to patch them from, for `nightshift demo --real` and the tests.
//!
//! A machine is an overlay of the host's own root file system in namespaces of its own: it boots in a tenth of a
//! second, runs the real apt and dpkg, or dnf or zypper with rpm, and leaves the host untouched. Root is needed.

mod machine;
mod power;
mod repository;
mod rpm_repository;
mod sandbox;

pub use machine::{Image, Machine, Manager};
pub use repository::AptRepository;
pub use rpm_repository::RpmRepository;

use std::process::{Command, Output};

/// Runs a command to its end; an error says what it wrote.
fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().map_err(|error| anyhow::anyhow!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{command:?} ended with {}: {}", output.status, said.trim());
    }
    Ok(output)
}
