//! The policy of a rollout: how fast, how careful, how long to look, and what to install.

mod budget;
mod sources;
mod validate;
mod validate_sources;

pub use budget::{Budget, Budgets};
pub use sources::{Check, During, InvalidLimit, Limit, Need, NoData, Probe, Query, Reporter, Scope};
pub use validate::InvalidPolicy;

use crate::analysis::Analysis;
use crate::id::RegionName;
use crate::patch::{Classification, RebootSetting};
use crate::selection::Mask;
use chrono::{Duration, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One document per rollout; each field has a safe default. Times are in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How much of the fleet's VMs may have been touched when each phase ends, in percent; rising, the last is 100.
    pub phase_shares: Vec<u8>,
    /// Regions that go before all others, whatever their size.
    pub canaries: Vec<RegionName>,
    /// The share of one subscription's VMs in a region, outside zones and sets, in flight at once, in percent
    /// (rule S5). Zones are cut into batches of the same share.
    pub batch_percent: u8,
    /// VMs of one region in flight at once, whatever steps run side by side; no bound of its own if absent.
    pub max_in_flight: Option<u32>,
    /// How long a VM is watched after its patch.
    #[serde(with = "seconds", rename = "soak_seconds")]
    pub soak: Duration,
    /// How long a phase is watched after its last region.
    #[serde(with = "seconds", rename = "bake_seconds")]
    pub bake: Duration,
    /// The longest time an order may take; it is given only where that still fits into the window (rule S6).
    #[serde(with = "seconds", rename = "longest_work_seconds")]
    pub longest_work: Duration,
    /// How long after its deadline an order that was not heard of again is settled as failed.
    #[serde(with = "seconds", rename = "grace_seconds")]
    pub grace: Duration,
    /// A VM from which no signal came for this long is silent.
    #[serde(with = "seconds", rename = "silence_seconds")]
    pub silence: Duration,
    /// Days from the request after which nothing new starts (REQUIREMENTS.md A5).
    pub deadline_days: u32,
    /// How many more nights a region tries VMs that were deferred or failed (REQUIREMENTS.md A6, A9).
    pub retry_nights: u32,
    /// Days, in each VM's own time zone, that no window may touch.
    pub blackouts: Vec<Blackout>,
    /// How many VMs may fail before the rollout halts.
    pub budgets: Budgets,
    /// What a spent budget of a step, zone or region stops.
    pub on_failure: OnFailure,
    /// Whether a person approves each phase after the first.
    pub approvals: Approvals,
    /// Whether machines may be rebooted.
    pub reboot: RebootSetting,
    /// What is installed: Critical, Security or both (rule S8).
    pub classifications: Vec<Classification>,
    /// Only packages that one of these matches; all if empty.
    pub include: Vec<Mask>,
    /// No package that one of these matches.
    pub exclude: Vec<Mask>,
    /// Whether later phases install what is newest, or what the first phases proved.
    pub patches: PatchChoice,
    /// How many first phases prove.
    pub certify_phases: u32,
    /// When one package version is to blame.
    pub breaker: Breaker,
    /// What agents look at on their machines while they are watched.
    pub probes: Vec<Probe>,
    /// Others who report on VMs.
    pub reports: Vec<Reporter>,
    /// What the monitoring system is asked.
    pub queries: Vec<Query>,
    /// Compare patched machines with ones that wait for their patch; not if absent.
    pub analysis: Option<Analysis>,
}

/// Days without patches, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
}

/// What a spent budget of a step, zone or region stops. A phase's always halts the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The whole rollout, until a person resumes.
    #[default]
    Halt,
    /// The region: its VMs that are left are skipped. Other regions go on.
    Continue,
}

/// Whether a person approves phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approvals {
    /// Gates alone decide.
    #[default]
    Never,
    /// Each phase after the first waits for a person too.
    BetweenPhases,
    /// The same, for another person than the one who requested the rollout.
    SecondPerson,
}

/// Which versions later phases install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchChoice {
    /// What each machine's sources offer.
    #[default]
    Latest,
    /// Exactly the versions that the first phases installed and that proved healthy.
    Certified,
}

/// The package circuit breaker: when failures gather on one package version, it is barred and the rest goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// As many VMs must have failed with the version; 0 turns the breaker off.
    pub failures: u32,
    /// And this share of those that tried it, in percent.
    pub percent: u8,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 3, percent: 25 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            phase_shares: vec![5, 20, 50, 100],
            canaries: Vec::new(),
            batch_percent: 20,
            max_in_flight: None,
            soak: Duration::minutes(30),
            bake: Duration::hours(12),
            longest_work: Duration::minutes(90),
            grace: Duration::minutes(60),
            silence: Duration::minutes(15),
            deadline_days: 30,
            retry_nights: 28,
            blackouts: Vec::new(),
            budgets: Budgets::default(),
            on_failure: OnFailure::Halt,
            approvals: Approvals::Never,
            reboot: RebootSetting::IfRequired,
            classifications: vec![Classification::Critical, Classification::Security],
            include: Vec::new(),
            exclude: Vec::new(),
            patches: PatchChoice::Latest,
            certify_phases: 1,
            breaker: Breaker::default(),
            probes: Vec::new(),
            reports: Vec::new(),
            queries: Vec::new(),
            analysis: None,
        }
    }
}

impl Policy {
    /// Whether a local day is one of the blackouts.
    pub fn is_blackout(&self, day: NaiveDate) -> bool {
        self.blackouts.iter().any(|blackout| (blackout.from..=blackout.to).contains(&day))
    }

    /// What an order of this policy may install, before anything is certified or barred.
    pub fn selection(&self) -> crate::selection::Selection {
        crate::selection::Selection {
            classifications: self.classifications.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            certified: None,
            barred: Vec::new(),
        }
    }
}

mod seconds {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(value.num_seconds())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = i64::deserialize(deserializer)?;
        Duration::try_seconds(seconds)
            .ok_or_else(|| serde::de::Error::custom(format!("{seconds} seconds is out of range")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_empty_text_is_the_default() {
        Policy::default().validate().unwrap();
        assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
    }

    #[test]
    fn each_bad_field_is_named_with_its_value() {
        let good = Policy::default;
        let day = |text: &str| text.parse().unwrap();
        let backwards = Blackout { from: day("2026-12-26"), to: day("2026-12-24") };
        let cases = [
            (Policy { phase_shares: vec![5, 5, 100], ..good() }, "phase_shares = [5, 5, 100]"),
            (Policy { phase_shares: vec![], ..good() }, "phase_shares = []"),
            (Policy { batch_percent: 0, ..good() }, "batch_percent = 0"),
            (Policy { max_in_flight: Some(0), ..good() }, "max_in_flight = 0"),
            (Policy { longest_work: Duration::zero(), ..good() }, "longest_work_seconds = 0"),
            (Policy { deadline_days: 0, ..good() }, "deadline_days = 0"),
            (Policy { blackouts: vec![backwards], ..good() }, "blackouts = 2026-12-26 to 2026-12-24"),
            (Policy { classifications: vec![], ..good() }, "classifications = []"),
            (Policy { classifications: vec![Classification::Other], ..good() }, "classifications = [Other]"),
            (Policy { certify_phases: 0, ..good() }, "certify_phases = 0"),
            (Policy { breaker: Breaker { failures: 1, percent: 0 }, ..good() }, "breaker.percent = 0"),
            (
                Policy { analysis: Some(Analysis { percent: 0, ..Analysis::default() }), ..good() },
                "analysis.percent = 0",
            ),
            (
                Policy { analysis: Some(Analysis { controls: 0, ..Analysis::default() }), ..good() },
                "analysis.controls = 0",
            ),
            (
                Policy {
                    budgets: Budgets { zone: Budget { percent: 101, vms: 0 }, ..good().budgets },
                    ..good()
                },
                "budgets.zone.percent = 101",
            ),
        ];
        for (policy, message) in cases {
            let error = policy.validate().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = serde_json::from_str::<Policy>(r#"{"soak": 3}"#).unwrap_err().to_string();
        assert!(error.contains("soak"), "{error}");
    }
}
