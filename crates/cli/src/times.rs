//! Moments as people read them, in UTC.

use chrono::{DateTime, Utc};
use pbjson_types::Timestamp;

/// To the minute; a dash if absent.
pub(crate) fn minute(at: Option<Timestamp>) -> String {
    written(at, "%F %H:%M")
}

/// To the second; a dash if absent.
pub(crate) fn second(at: Option<Timestamp>) -> String {
    written(at, "%F %H:%M:%SZ")
}

/// With the day of the week, to the minute; empty if absent.
pub(crate) fn night(at: Option<Timestamp>) -> String {
    if at.is_some() { written(at, "%a %F %H:%M") } else { String::new() }
}

fn written(at: Option<Timestamp>, form: &str) -> String {
    let at: Option<DateTime<Utc>> = at.and_then(|at| DateTime::from_timestamp(at.seconds, 0));
    at.map_or_else(|| "-".to_owned(), |at| at.format(form).to_string())
}
