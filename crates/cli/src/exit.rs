//! Exit codes, stable for scripts. 2 is the command line's own (clap).

use std::process::ExitCode;

/// Done, and as it should be.
pub const DONE: ExitCode = ExitCode::SUCCESS;
/// It could not be done; standard error says why.
pub const FAILED: u8 = 1;
/// A rollout halted that was to complete.
pub const HALTED: u8 = 3;
/// The auditor found a safety rule broken.
pub const VIOLATED: u8 = 4;
/// The installation does not answer.
pub const UNREACHABLE: u8 = 5;

/// The code for an error.
pub fn of_error(error: &anyhow::Error) -> ExitCode {
    let unreachable = error.chain().any(|cause| {
        let refused = cause.downcast_ref::<tonic::Status>();
        cause.is::<tonic::transport::Error>() || refused.is_some_and(|s| s.code() == tonic::Code::Unavailable)
    });
    ExitCode::from(if unreachable { UNREACHABLE } else { FAILED })
}
