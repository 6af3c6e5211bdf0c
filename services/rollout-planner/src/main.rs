//! The service rollout-planner: see the library of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_runtime::lifecycle::main(nightshift_rollout_planner::NAME, nightshift_rollout_planner::build)
}
