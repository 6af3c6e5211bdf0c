//! Domain types to the wire (`From`) and back (`TryFrom`). Nothing that is missing or unknown is made up: it
//! is an error that names the field and its value.

mod agent;
mod event;
mod fleet;
mod health;
mod policy;
mod rollout;
mod run;
mod sources;

pub(crate) use event::name;
pub use fleet::feature;

use nightshift_domain::Time;
use nightshift_domain::id::InvalidId;
use nightshift_domain::selection::Mask;
use pbjson_types::Timestamp;
use std::fmt::Display;

/// Something on the wire that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct DecodeError {
    /// The path of the field.
    pub field: String,
    /// What is wrong, with the value.
    pub what: String,
}

impl DecodeError {
    pub(crate) fn new(field: &str, what: impl Display) -> Self {
        Self { field: field.to_owned(), what: what.to_string() }
    }

    /// The same error, seen from the message that holds the field.
    fn within(self, outer: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        Self { field: format!("{outer}{dot}{}", self.field), what: self.what }
    }
}

type Result<T> = std::result::Result<T, DecodeError>;

/// A moment on the wire.
pub fn timestamp(at: Time) -> Timestamp {
    // Nanoseconds of a second, or of a leap second: below 2,000,000,000, so they fit.
    Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(i32::MAX),
    }
}

/// A moment from the wire.
pub fn time(at: Option<Timestamp>, field: &str) -> Result<Time> {
    let at = at.ok_or_else(|| missing(field))?;
    let moment = u32::try_from(at.nanos).ok().and_then(|nanos| Time::from_timestamp(at.seconds, nanos));
    moment.ok_or_else(|| DecodeError::new(field, format!("{}.{:09} is no moment", at.seconds, at.nanos)))
}

fn missing(field: &str) -> DecodeError {
    DecodeError::new(field, "missing")
}

/// An identifier.
fn id<T: TryFrom<String, Error = InvalidId>>(text: String, field: &str) -> Result<T> {
    T::try_from(text).map_err(|error| DecodeError::new(field, error))
}

/// A message that must be there.
fn required<P, D: TryFrom<P, Error = DecodeError>>(value: Option<P>, field: &str) -> Result<D> {
    D::try_from(value.ok_or_else(|| missing(field))?).map_err(|error| error.within(field))
}

/// A list; the error names the place of the element.
fn each<P, D>(values: Vec<P>, field: &str, one: impl Fn(P) -> Result<D>) -> Result<Vec<D>> {
    let read = |(place, value)| one(value).map_err(|error| error.within(&format!("{field}[{place}]")));
    values.into_iter().enumerate().map(read).collect()
}

fn all<P, D: TryFrom<P, Error = DecodeError>>(values: Vec<P>, field: &str) -> Result<Vec<D>> {
    each(values, field, D::try_from)
}

fn ids<T: TryFrom<String, Error = InvalidId>>(texts: Vec<String>, field: &str) -> Result<Vec<T>> {
    each(texts, field, |text| id(text, ""))
}

/// Masks for package names.
fn masks(texts: Vec<String>, field: &str) -> Result<Vec<Mask>> {
    each(texts, field, |text| Mask::new(text).map_err(|error| DecodeError::new("", error)))
}

/// A number that has less room in the domain.
fn small(value: u32, field: &str) -> Result<u8> {
    u8::try_from(value)
        .map_err(|_| DecodeError::new(field, format!("{value} is too large: at most {}", u8::MAX)))
}

/// An enumeration's number.
fn known<W: TryFrom<i32>, D: TryFrom<W>>(value: i32, field: &str) -> Result<D> {
    let known = W::try_from(value).ok().and_then(|wire| D::try_from(wire).ok());
    known.ok_or_else(|| DecodeError::new(field, format!("{value} is not a known value")))
}

/// Enumerations whose values are the same on both sides, in both directions. Unspecified is an error.
macro_rules! enumeration {
    ($($domain:path => $wire:ident { $($ours:ident = $theirs:ident),+ $(,)? })+) => {
        $(
            impl From<$domain> for wire::$wire {
                fn from(value: $domain) -> Self {
                    use $domain as Domain;
                    match value { $(Domain::$ours => wire::$wire::$theirs),+ }
                }
            }

            impl From<&$domain> for wire::$wire {
                fn from(value: &$domain) -> Self {
                    (*value).into()
                }
            }

            impl TryFrom<wire::$wire> for $domain {
                type Error = super::DecodeError;
                fn try_from(value: wire::$wire) -> super::Result<Self> {
                    use $domain as Domain;
                    match value {
                        $(wire::$wire::$theirs => Ok(Domain::$ours),)+
                        wire::$wire::Unspecified => {
                            let what = format!("{} is not a known value", value.as_str_name());
                            Err(super::DecodeError::new(stringify!($wire), what))
                        }
                    }
                }
            }
        )+
    };
}
use enumeration;
