//! Identifiers: one grammar for all, so that an identifier is always one token of a subject, a file name and a URL.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest identifier in bytes (the limit of a DNS label, RFC 1035 section 2.3.4).
pub const MAX_LEN: usize = 63;

/// An identifier that does not follow the grammar `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, at most [`MAX_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} \"{value}\" is not an identifier: use 1 to 63 of a-z, 0-9 and \"-\", not beginning or ending with \"-\""
)]
pub struct InvalidId {
    /// What the identifier was to name.
    pub kind: &'static str,
    /// The text that was given.
    pub value: String,
}

fn check(kind: &'static str, value: &str) -> Result<(), InvalidId> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=MAX_LEN).contains(&value.len());
    if fits && value.chars().all(allowed) && !value.starts_with('-') && !value.ends_with('-') {
        Ok(())
    } else {
        Err(InvalidId { kind, value: value.chars().take(2 * MAX_LEN).collect() })
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text that follows the grammar of this module.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                check($kind, &value)?;
                Ok(Self(value))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

identifier!(
    /// A virtual machine of the fleet.
    VmId, "VM");
identifier!(
    /// A subscription: the account that owns VMs and registers for features (REQUIREMENTS.md D1).
    SubscriptionId, "subscription");
identifier!(
    /// A region of a cloud, or a site on premises.
    RegionName, "region");
identifier!(
    /// An availability zone, unique within its region.
    ZoneName, "zone");
identifier!(
    /// An availability set, unique within its region.
    AvailabilitySetId, "availability set");
identifier!(
    /// A rollout of patches over the fleet.
    RolloutId, "rollout");
identifier!(
    /// An order to one VM; at most one execution ever (rule S9).
    OrderId, "order");
identifier!(
    /// A source of health signals: a probe, a reporter or a query of a policy.
    SourceName, "source");
identifier!(
    /// Who reads the event stream and keeps a place in it.
    ConsumerName, "consumer");
identifier!(
    /// A receiver that is sent events by HTTP.
    WebhookName, "webhook");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_one_token_of_a_subject() {
        for good in ["a", "vm-1", "0", "west-europe-2"] {
            assert!(VmId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "a*", ">", "ä", &"x".repeat(64)] {
            let error = VmId::new(bad).unwrap_err();
            assert!(error.to_string().contains("VM"), "{error}");
        }
    }

    #[test]
    fn reading_a_bad_identifier_names_its_value() {
        let error = serde_test_error("\"no.dots\"");
        assert!(error.contains("no.dots"), "{error}");
    }

    fn serde_test_error(json: &str) -> String {
        serde_json::from_str::<VmId>(json).unwrap_err().to_string()
    }
}
