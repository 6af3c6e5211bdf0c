//! The service agent-gateway: see the library of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_runtime::lifecycle::main(nightshift_agent_gateway::NAME, nightshift_agent_gateway::build)
}
