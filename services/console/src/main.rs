//! The service console: see the library of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_runtime::lifecycle::main(nightshift_console::NAME, nightshift_console::build)
}
