//! The service region-coordinator: see the library of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_runtime::lifecycle::main(
        nightshift_region_coordinator::NAME,
        nightshift_region_coordinator::build,
    )
}
