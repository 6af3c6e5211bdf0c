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

/// An error as a person reads it: of a service's refusal, the sentence alone.
pub fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<tonic::Status>() {
        Some(status) if !status.message().is_empty() => status.message().to_owned(),
        _ => format!("{error:#}"),
    }
}

/// Whether whoever read the output has seen enough (`nightshift events tail | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(broken))
}
