//! What a verdict on a VM's health rests on, beside its agent's own word: the agent's probes, the reports of others, and
//! queries to a monitoring system (docs/health.md).

use super::seconds;
use crate::id::SourceName;
use chrono::Duration;
use serde::{Deserialize, Serialize};

/// Whether a verdict waits for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// No confirmation without its word, and its ailment fails the VM.
    #[default]
    Required,
    /// Shown to people; decides nothing.
    Advisory,
}

/// Something that the agent looks at on its own machine while the machine is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Unique among the policy's probes.
    pub name: SourceName,
    /// What is looked at.
    pub check: Check,
    /// Whether a verdict waits for it.
    #[serde(default)]
    pub need: Need,
    /// How often it is looked at.
    #[serde(with = "seconds", rename = "interval_seconds", default = "half_a_minute")]
    pub interval: Duration,
    /// How long one look may take; longer is an ailment.
    #[serde(with = "seconds", rename = "time_limit_seconds", default = "five_seconds")]
    pub time_limit: Duration,
    /// With its so-many-th ailment within the soak the VM has failed.
    #[serde(default = "one")]
    pub failures: u32,
}

/// What a probe looks at. It reaches the machine itself, unless the agent's own configuration allows more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A GET of this `http://` URL: well if the answer's status is 200 to 299. Redirects are not followed.
    Http(String),
    /// A connection to this `host:port`.
    Tcp(String),
    /// A command that the agent's own configuration has under this name: well if it ends with 0. What runs on a machine is
    /// decided there, never by a policy.
    Command(SourceName),
    /// A systemd unit: well if it is active.
    Unit(String),
}

/// Others that report on VMs: a load balancer, a hypervisor, a monitoring system. The *platform* signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reporter {
    /// As it names itself in its reports.
    pub name: SourceName,
    /// Whether a verdict waits for it.
    #[serde(default)]
    pub need: Need,
    /// With its so-many-th ailment within the soak the VM has failed.
    #[serde(default = "one")]
    pub failures: u32,
}

/// A question to the monitoring system, asked again and again while VMs are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Unique among the policy's queries.
    pub name: SourceName,
    /// In PromQL, with one number as its answer. `$vm`, `$vms` (joined by `|`), `$step`, `$zone`, `$region`, `$phase` and
    /// `$rollout` stand for those of the watched VMs.
    pub promql: String,
    /// For what it is asked once; the answer counts for each watched VM in it.
    #[serde(default)]
    pub scope: Scope,
    /// An answer above it is an ailment.
    #[serde(default)]
    pub above: Option<Limit>,
    /// An answer below it is an ailment.
    #[serde(default)]
    pub below: Option<Limit>,
    /// What it means if there is no answer, or none that is a number.
    #[serde(default)]
    pub no_data: NoData,
    /// Whether a verdict waits for it.
    #[serde(default)]
    pub need: Need,
    /// When it is asked.
    #[serde(default)]
    pub during: During,
    /// How often it is asked.
    #[serde(with = "seconds", rename = "interval_seconds", default = "half_a_minute")]
    pub interval: Duration,
    /// With its so-many-th ailment within the soak a VM has failed.
    #[serde(default = "one")]
    pub failures: u32,
}

/// For what a query is asked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each watched VM.
    #[default]
    Vm,
    /// Each update-domain step or batch.
    Step,
    /// Each zone of a region, or all of it that is outside zones.
    Zone,
    /// Each region.
    Region,
    /// The phase; of each of its regions the watched VMs.
    Phase,
}

/// When a query is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum During {
    /// Before the patch of each watched VM, and while it soaks.
    #[default]
    Soak,
    /// While the phase bakes, when nobody soaks any more: its gate waits for the answer.
    Bake,
    /// Both.
    Both,
}

/// What the absence of an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoData {
    /// Nothing: a verdict that waits for it goes on waiting, and is unknown in the end.
    #[default]
    Unknown,
    /// Well: for a count that exists only where something went wrong.
    Well,
    /// An ailment.
    Ill,
}

/// A limit in millionths: decisions compare whole numbers, so that every machine decides alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Limit(i64);

/// A limit, or an answer, that is no number.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no limit: use a number between -9e12 and 9e12")]
pub struct InvalidLimit(f64);

/// Limits are below it, so that their millionths are exact.
const LARGEST: f64 = 9e12;

impl Limit {
    /// So many millionths.
    pub fn of_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub fn millionths(self) -> i64 {
        self.0
    }
}

impl TryFrom<f64> for Limit {
    type Error = InvalidLimit;
    fn try_from(value: f64) -> Result<Self, InvalidLimit> {
        // NaN is in no range.
        if !(-LARGEST..=LARGEST).contains(&value) {
            return Err(InvalidLimit(value));
        }
        // Below 9e18, which an i64 holds.
        Ok(Self((value * 1e6).round() as i64))
    }
}

impl From<Limit> for f64 {
    fn from(limit: Limit) -> Self {
        limit.0 as f64 / 1e6
    }
}

impl Query {
    /// Whether verdicts on VMs go by it.
    pub fn is_of_soak(&self) -> bool {
        self.during != During::Bake
    }

    /// Whether the gate of a phase goes by it.
    pub fn is_of_bake(&self) -> bool {
        self.during != During::Soak
    }

    /// What an answer says: `None` if nothing, as that of a system that knows no number where that means nothing;
    /// else what ails, or that nothing does.
    pub fn says(&self, value: Option<f64>) -> Option<Option<String>> {
        match (value.filter(|value| !value.is_nan()), self.no_data) {
            (Some(value), _) => Some(self.ailment(value)),
            (None, NoData::Unknown) => None,
            (None, NoData::Well) => Some(None),
            (None, NoData::Ill) => Some(Some("no data".to_owned())),
        }
    }

    /// What ails whoever this number was measured of; `None` if nothing. A number too large to be compared exactly is over
    /// every limit on its side.
    pub fn ailment(&self, value: f64) -> Option<String> {
        let over = |limit: Limit| value > f64::from(limit);
        let under = |limit: Limit| value < f64::from(limit);
        let above = self.above.filter(|limit| over(*limit));
        if let Some(limit) = above {
            return Some(format!("{value} is above {}", f64::from(limit)));
        }
        let limit = self.below.filter(|limit| under(*limit))?;
        Some(format!("{value} is below {}", f64::from(limit)))
    }
}

fn half_a_minute() -> Duration {
    Duration::seconds(30)
}

fn five_seconds() -> Duration {
    Duration::seconds(5)
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_nothing_else() {
        for (text, millionths) in [("0.05", 50_000), ("-3", -3_000_000), ("0", 0), ("1e-6", 1)] {
            let limit: Limit = serde_json::from_str(text).unwrap();
            assert_eq!(limit.millionths(), millionths, "{text}");
            assert_eq!(
                serde_json::from_str::<Limit>(&serde_json::to_string(&limit).unwrap()).unwrap(),
                limit
            );
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e13] {
            assert!(Limit::try_from(value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_answer_at_its_limit_is_well_and_beyond_it_is_not() {
        let text = r#"{"name": "errors", "promql": "x", "above": 0.05, "below": -1}"#;
        let query: Query = serde_json::from_str(text).unwrap();
        assert_eq!(query.ailment(0.05), None);
        assert_eq!(query.ailment(-1.0), None);
        assert_eq!(query.ailment(0.06).unwrap(), "0.06 is above 0.05");
        assert_eq!(query.ailment(f64::INFINITY).unwrap(), "inf is above 0.05");
        assert_eq!(query.ailment(-2.0).unwrap(), "-2 is below -1");
    }
}
