//! The service health-monitor: see the library of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_runtime::lifecycle::main(nightshift_health_monitor::NAME, nightshift_health_monitor::build)
}
