//! The public contract (proto/): well written, and kept. What was released stays readable for whoever was built with it.

use crate::steps::{root, run};
use crate::tools;
use std::process::Command;

/// The contract that was last released, as buf writes it: in the repository, so that no history is needed to check by it.
const RELEASED: &str = "released.binpb";

fn buf(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new(tools::buf()).args(arguments).current_dir(root().join("proto")))
}

/// The files are as they should be.
pub(crate) fn lint() -> anyhow::Result<()> {
    buf(&["lint"])
}

/// Nothing that was released is broken.
pub(crate) fn keeps() -> anyhow::Result<()> {
    buf(&["breaking", "--against", RELEASED])
}

/// Makes the contract as it is now the one that is kept. It may add to the one before, and break nothing of it.
pub(crate) fn release() -> anyhow::Result<()> {
    lint()?;
    keeps()?;
    buf(&["build", "--output", RELEASED])
}
