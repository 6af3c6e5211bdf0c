//! Which versions of its API a client may speak (REQUIREMENTS.md C5).

use super::error::{ArmError, Result};

/// Versions of `Microsoft.Compute/virtualMachines`. The first is for Windows VMs only, with what it knew.
pub(crate) const COMPUTE: &[&str] = &[
    LIMITED,
    "2020-12-01",
    "2021-03-01",
    "2021-04-01",
    "2021-07-01",
    "2021-11-01",
    "2022-03-01",
    "2022-08-01",
    "2022-11-01",
    "2023-03-01",
    "2023-07-01",
    "2023-09-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-04-01",
    "2025-11-01",
    "2026-04-01",
];
/// The version that is for Windows VMs only.
const LIMITED: &str = "2020-06-01";
/// Versions of `Microsoft.Features`.
pub(crate) const FEATURES: &[&str] = &["2015-12-01", "2021-07-01"];
/// Versions of `Microsoft.Resources`: subscriptions, groups, providers.
pub(crate) const RESOURCES: &[&str] = &[
    "2016-06-01",
    "2018-05-01",
    "2019-05-01",
    "2019-05-10",
    "2019-06-01",
    "2019-07-01",
    "2019-08-01",
    "2019-10-01",
    "2019-11-01",
    "2020-01-01",
    "2020-06-01",
    "2020-08-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2023-07-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-03-01",
    "2025-04-01",
];
/// Versions of `/metadata/endpoints`.
pub(crate) const METADATA: &[&str] =
    &["2015-01-01", "2018-01-01", "2018-05-01", "2019-05-01", "2020-06-01", "2022-09-01", "2023-12-01"];

/// A version that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) String);

impl Version {
    /// Reads the version that a request names.
    pub(crate) fn of(given: Option<&str>, known: &[&str], what: &str) -> Result<Self> {
        let supported = known.join(", ");
        let Some(given) = given.filter(|given| !given.is_empty()) else {
            let sentence = "the api-version query parameter (?api-version=) is required for all requests";
            return Err(ArmError::bad("MissingApiVersionParameter", sentence));
        };
        if known.iter().any(|version| version.eq_ignore_ascii_case(given)) {
            return Ok(Self(given.to_owned()));
        }
        if !is_date(given) {
            let sentence =
                format!("the api-version '{given}' is invalid; the supported versions are '{supported}'");
            return Err(ArmError::bad("InvalidApiVersionParameter", sentence));
        }
        let sentence = format!(
            "no registered resource provider found for API version '{given}' for type '{what}'; the supported \
             api-versions are '{supported}'"
        );
        Err(ArmError::bad("NoRegisteredProviderFound", sentence))
    }

    /// Whether it is the one that knew Windows VMs only.
    pub(crate) fn is_limited(&self) -> bool {
        self.0 == LIMITED
    }
}

/// `2020-12-01`, or with `-preview` behind it.
fn is_date(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() && date.len() == 10
}
