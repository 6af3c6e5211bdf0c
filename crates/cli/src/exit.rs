//! Exit codes, stable for scripts, and what the command line says of an error.

use crate::advice;
use crate::color::{Tone, paint};
use crate::failure::Failure;
use crate::fleet_file::Mistake;
use std::error::Error as _;
use std::fmt::Write as _;
use std::process::ExitCode;
use tonic::{Code, Status};

/// Done, and as it should be.
pub const DONE: ExitCode = ExitCode::SUCCESS;
/// It could not be done; standard error says why.
pub const FAILED: u8 = 1;
/// The command line, or a file that it names, is wrong. clap's own code.
pub const USAGE: u8 = 2;
/// A rollout halted that was to complete.
pub const HALTED: u8 = 3;
/// The auditor found a safety rule broken.
pub const VIOLATED: u8 = 4;
/// The installation does not answer.
pub const UNREACHABLE: u8 = 5;
/// A rule, or the state of things, stands against it.
pub const REFUSED: u8 = 6;
/// What was named does not exist.
pub const NOT_FOUND: u8 = 7;
/// The token is missing, not believed, or does not grant this.
pub const NOT_ALLOWED: u8 = 8;
/// A rollout ended otherwise than by completing or halting: cancelled, or its deadline was over.
pub const ENDED: u8 = 9;

/// What `--help` says of them.
pub const HELP: &str = "Exit codes:
  0  done, and as it should be
  1  it could not be done; standard error says why
  2  the command line, or a file that it names, is wrong
  3  a rollout halted that was to complete
  4  a safety rule was broken (audit, simulate, demo)
  5  the installation does not answer
  6  refused: a rule, or the state of things, stands against it
  7  what was named does not exist
  8  not allowed: the token is missing, not believed, or does not grant this
  9  a watched rollout was cancelled, or its deadline was over";

/// The code for an error.
pub fn of_error(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.code();
        }
        if let Some(status) = cause.downcast_ref::<Status>() {
            return of_status(status);
        }
        if cause.is::<Mistake>() {
            return USAGE;
        }
        if cause.is::<tonic::transport::Error>() {
            return UNREACHABLE;
        }
    }
    FAILED
}

/// The code for what a service answered.
pub fn of_status(status: &Status) -> u8 {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded => UNREACHABLE,
        _ if is_of_transport(status) => UNREACHABLE,
        Code::NotFound => NOT_FOUND,
        Code::Unauthenticated | Code::PermissionDenied => NOT_ALLOWED,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted | Code::OutOfRange => REFUSED,
        // A rule has a code of its own; what has none could not be read.
        Code::InvalidArgument if advice::code_word(status.message()).is_some() => REFUSED,
        Code::InvalidArgument => USAGE,
        _ => FAILED,
    }
}

/// Whether no service said this, but our own end of the connection: what answers there does not speak gRPC, or not so.
pub(crate) fn is_of_transport(status: &Status) -> bool {
    status.source().is_some_and(|source| source.is::<tonic::transport::Error>())
}

/// An error as a person reads it: what was wrong (of a service's refusal, the sentence alone), and what to do next.
pub fn words(error: &anyhow::Error) -> String {
    let mut words = format!("{} {}", paint(Tone::Bad, "nightshift:"), sentence(error));
    for next in advice::next(error) {
        // Writing to a String cannot fail.
        let _ = write!(words, "\n  {} {next}", paint(Tone::Dim, "next:"));
    }
    words
}

fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Status>() {
        Some(status) if !status.message().is_empty() => status.message().to_owned(),
        _ => format!("{error:#}"),
    }
}

/// Whether whoever read the output has seen enough (`nightshift events tail | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    // A connection that broke is another matter.
    error.chain().all(|cause| !cause.is::<Status>() && !cause.is::<tonic::transport::Error>())
        && error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(broken))
}
