//! What is refused or failed, as gRPC says it: a code, a sentence for people, and details for programs (google.rpc). The one
//! place where a status is made.

use crate::access::Denied;
use crate::host::CommandError;
use nightshift_domain::Refusal;
use nightshift_domain::id::InvalidId;
use nightshift_event_log::ReadError;
use nightshift_protocol::convert::DecodeError;
use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Whose reasons they are: the domain of every `ErrorInfo`.
pub const DOMAIN: &str = "nightshift";

/// In the metadata of an `ErrorInfo`: the newest position.
const NEWEST: &str = "newest";

/// When to ask again what could not be answered now.
const AGAIN: Duration = Duration::from_secs(1);

/// The status for a refusal: the code is the first word of the message, and in capitals the reason for programs.
pub fn refused(refusal: &Refusal) -> Status {
    let Refusal { code, sentence, about } = refusal;
    let (reason, mut details) = info(code, HashMap::new());
    let status = if refusal.is_not_found() {
        let kind = code.trim_end_matches("NotFound");
        details.set_resource_info(kind, about, "", sentence);
        Code::NotFound
    } else if refusal.is_denied() {
        Code::PermissionDenied
    } else if refusal.is_conflict() {
        details.add_precondition_failure_violation(reason, about, sentence);
        Code::FailedPrecondition
    } else {
        details.add_bad_request_violation(about, sentence);
        Code::InvalidArgument
    };
    Status::with_error_details(status, refusal.to_string(), details)
}

/// A request's field (its path) that cannot be read; the error says its value.
pub fn invalid(field: &str, error: impl Display) -> Status {
    let sentence = error.to_string();
    let (_, mut details) = info("InvalidField", HashMap::from([("field", field.to_owned())]));
    details.add_bad_request_violation(field, &sentence);
    Status::with_error_details(Code::InvalidArgument, sentence, details)
}

/// A message that must be there, and be what it should.
pub fn required<P, D: TryFrom<P, Error = DecodeError>>(value: Option<P>, field: &str) -> Result<D, Status> {
    let value = value.ok_or_else(|| invalid(field, format!("{field}: missing")))?;
    D::try_from(value).map_err(|error| within(field, &error))
}

/// What is wrong inside this field of a request.
pub fn within(field: &str, error: &DecodeError) -> Status {
    let dot = if error.field.is_empty() || field.is_empty() { "" } else { "." };
    invalid(&format!("{field}{dot}{}", error.field), format!("{field}{dot}{error}"))
}

/// The identifier in this field.
pub fn id<T: TryFrom<String, Error = InvalidId>>(text: impl Into<String>, field: &str) -> Result<T, Status> {
    T::try_from(text.into()).map_err(|error| invalid(field, error))
}

/// A log that could not be read.
pub fn unreadable(error: &ReadError) -> Status {
    match error {
        ReadError::Unavailable { .. } => unavailable("LogUnavailable", error),
        ReadError::Damaged { .. } => damaged(error),
        ReadError::WentBack { partition, newest, seen } => {
            let sentence = format!(
                "after = {seen}: {partition} ends at position {newest}; the position is of another log, or the log went \
                 back since (then it is to be restored from a good copy)"
            );
            let metadata =
                HashMap::from([("partition", partition.to_string()), (NEWEST, newest.to_string())]);
            let (_, mut details) = info("PositionAfterTheEnd", metadata);
            details.add_bad_request_violation("after", &sentence);
            Status::with_error_details(Code::OutOfRange, sentence, details)
        }
    }
}

/// Where the partition ends, if that is why nothing was read: an answer of [`unreadable`].
pub fn ends_at(status: &Status) -> Option<u64> {
    let is_it = status.code() == Code::OutOfRange;
    status.get_details_error_info().filter(|_| is_it)?.metadata.get(NEWEST)?.parse().ok()
}

/// What is stored is damaged: no asking again helps.
pub fn damaged(error: impl Display) -> Status {
    Status::with_error_details(Code::DataLoss, error.to_string(), info("LogDamaged", HashMap::new()).1)
}

/// A fault of ours.
pub fn failed(error: impl Display) -> Status {
    Status::with_error_details(Code::Internal, error.to_string(), info("Internal", HashMap::new()).1)
}

/// The deadline of the caller has passed. Of a command: before it was appended.
pub fn too_late() -> Status {
    let sentence = "the deadline passed first: nothing was changed";
    Status::with_error_details(Code::DeadlineExceeded, sentence, info("DeadlineExceeded", HashMap::new()).1)
}

/// The token of whoever opened a stream has ended.
pub(crate) fn token_ended() -> Status {
    let sentence = "AuthenticationExpired: the token has expired (exp): open the stream again with a new one, from where it was";
    Status::with_error_details(
        Code::Unauthenticated,
        sentence,
        info("AuthenticationExpired", HashMap::new()).1,
    )
}

fn unavailable(code: &str, error: impl Display) -> Status {
    let (_, mut details) = info(code, HashMap::new());
    details.set_retry_info(Some(AGAIN));
    Status::with_error_details(Code::Unavailable, error.to_string(), details)
}

impl From<CommandError> for Status {
    fn from(error: CommandError) -> Self {
        let sentence = error.to_string();
        match error {
            CommandError::Refused(refusal) => refused(&refusal),
            CommandError::KeyReused(key) => {
                let (reason, mut details) = info("IdempotencyKeyReused", HashMap::from([("key", key)]));
                details.add_precondition_failure_violation(reason, "idempotency_key", &sentence);
                Status::with_error_details(Code::FailedPrecondition, sentence, details)
            }
            CommandError::TooLate => too_late(),
            CommandError::Unknown => {
                let (_, mut details) = info("OutcomeUnknown", HashMap::new());
                details.set_retry_info(Some(AGAIN));
                Status::with_error_details(Code::DeadlineExceeded, sentence, details)
            }
            CommandError::Stopped => unavailable("ServiceEnding", sentence),
            CommandError::Log(_) => unavailable("LogUnavailable", sentence),
            CommandError::Unread(error) => unreadable(&error),
        }
    }
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        let code = denied.code();
        let message = format!("{code}: {denied}");
        let status = match denied {
            Denied::NoToken | Denied::Invalid(_) => Code::Unauthenticated,
            Denied::Role(_) => Code::PermissionDenied,
            Denied::Unchecked(_) => return unavailable(code, message),
        };
        Status::with_error_details(status, message, info(code, HashMap::new()).1)
    }
}

/// The reason, and the details to begin with.
fn info(code: &str, metadata: HashMap<&str, String>) -> (String, ErrorDetails) {
    let reason = in_capitals(code);
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (reason.clone(), ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

/// `RolloutNotFound` as google.rpc writes reasons: `ROLLOUT_NOT_FOUND`.
fn in_capitals(code: &str) -> String {
    let mut reason = String::new();
    for letter in code.chars() {
        if letter.is_ascii_uppercase() && !reason.is_empty() {
            reason.push('_');
        }
        reason.push(letter.to_ascii_uppercase());
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_refusal_has_its_code_and_its_details() {
        let of = |code| refused(&Refusal::new(code, "it is so").about("it"));

        let status = of("RolloutNotFound");
        let details = status.get_error_details();
        let (info, resource) = (details.error_info().unwrap(), details.resource_info().unwrap());
        assert_eq!((status.code(), status.message()), (Code::NotFound, "RolloutNotFound: it is so"));
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("ROLLOUT_NOT_FOUND", "nightshift"));
        assert_eq!((resource.resource_type.as_str(), resource.resource_name.as_str()), ("Rollout", "it"));

        let status = of("RolloutStateConflict");
        let details = status.get_error_details();
        let violation = &details.precondition_failure().unwrap().violations[0];
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!((violation.r#type.as_str(), violation.subject.as_str()), ("ROLLOUT_STATE_CONFLICT", "it"));

        let status = of("InvalidPolicy");
        let details = status.get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!((violation.field.as_str(), violation.description.as_str()), ("it", "it is so"));

        assert_eq!(of("SecondPersonNeeded").code(), Code::PermissionDenied);
    }

    #[test]
    fn who_asks_for_what_comes_after_the_end_is_told_where_that_is() {
        let partition = nightshift_domain::Partition::Fleet;
        let status = unreadable(&ReadError::WentBack { partition, newest: 34, seen: 99 });
        assert_eq!(ends_at(&status), Some(34));
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "after");
        assert!(status.message().starts_with("after = 99: fleet ends at position 34"), "{status}");
    }

    #[test]
    fn what_may_pass_says_when_to_ask_again() {
        for status in [Status::from(CommandError::Stopped), Denied::Unchecked("why".into()).into()] {
            assert_eq!(status.code(), Code::Unavailable);
            assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(AGAIN));
        }
    }
}
