//! A refusal as gRPC says it.

use crate::host::CommandError;
use nightshift_domain::Refusal;
use tonic::Status;

/// The status for a refusal: the code stays readable for programs as the first word of the message.
pub fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    if refusal.is_not_found() {
        Status::not_found(message)
    } else if refusal.is_denied() {
        Status::permission_denied(message)
    } else if refusal.is_conflict() {
        Status::failed_precondition(message)
    } else {
        Status::invalid_argument(message)
    }
}

/// A request's field that cannot be read.
pub fn invalid(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

impl From<CommandError> for Status {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refused(&refusal),
            CommandError::Stopped | CommandError::Log(_) => Status::unavailable(error.to_string()),
        }
    }
}
