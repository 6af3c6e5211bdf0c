//! The policy of a rollout: how fast, how careful, how long to look.

use chrono::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One document per rollout; each field has a safe default. Times are in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How much of the fleet's VMs may have been touched when each phase ends, in percent; rising, the last is 100.
    pub phase_shares: Vec<u8>,
    /// The share of one subscription's VMs in a region, outside zones and sets, in flight at once, in percent
    /// (rule S5). Zones are cut into batches of the same share.
    pub batch_percent: u8,
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
    /// Failures that a step, a region or a phase may have and still count as success, in percent of the VMs that
    /// were ordered; rounded down.
    pub failure_budget_percent: u8,
    /// As many failures are always within the budget, however small the step.
    pub failure_budget: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            phase_shares: vec![5, 20, 50, 100],
            batch_percent: 20,
            soak: Duration::minutes(30),
            bake: Duration::hours(12),
            longest_work: Duration::minutes(90),
            grace: Duration::minutes(60),
            silence: Duration::minutes(15),
            failure_budget_percent: 5,
            failure_budget: 0,
        }
    }
}

/// A field of a policy that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy: {field} = {value}: {must}")]
pub struct InvalidPolicy {
    /// The field's name in the document.
    pub field: &'static str,
    /// What it was.
    pub value: String,
    /// What it must be.
    pub must: &'static str,
}

impl Policy {
    /// Checks every field against its bounds.
    pub fn validate(&self) -> Result<(), InvalidPolicy> {
        let bad = |field, value: String, must| Err(InvalidPolicy { field, value, must });
        let shares = &self.phase_shares;
        let rising = shares.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || shares.first() == Some(&0) || shares.last() != Some(&100) {
            return bad("phase_shares", format!("{shares:?}"), "must rise from above 0 to 100");
        }
        if !(1..=100).contains(&self.batch_percent) {
            return bad("batch_percent", self.batch_percent.to_string(), "must be 1 to 100");
        }
        if self.failure_budget_percent > 100 {
            return bad(
                "failure_budget_percent",
                self.failure_budget_percent.to_string(),
                "must be 0 to 100",
            );
        }
        let day = Duration::days(1);
        let times = [
            ("soak_seconds", self.soak, Duration::zero(), day),
            ("bake_seconds", self.bake, Duration::zero(), Duration::days(30)),
            ("longest_work_seconds", self.longest_work, Duration::seconds(1), day),
            ("grace_seconds", self.grace, Duration::zero(), day),
            ("silence_seconds", self.silence, Duration::seconds(1), day),
        ];
        for (field, value, least, most) in times {
            if value < least || value > most {
                let must =
                    "must not be negative, zero only for soak, bake and grace, and at most a day (bake: 30)";
                return bad(field, value.num_seconds().to_string(), must);
            }
        }
        Ok(())
    }

    /// How many of `ordered` VMs may fail.
    pub fn budget(&self, ordered: usize) -> usize {
        let share = ordered * usize::from(self.failure_budget_percent) / 100;
        share.max(self.failure_budget as usize)
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
        let cases = [
            (Policy { phase_shares: vec![5, 5, 100], ..Policy::default() }, "phase_shares = [5, 5, 100]"),
            (Policy { phase_shares: vec![], ..Policy::default() }, "phase_shares = []"),
            (Policy { batch_percent: 0, ..Policy::default() }, "batch_percent = 0"),
            (Policy { longest_work: Duration::zero(), ..Policy::default() }, "longest_work_seconds = 0"),
        ];
        for (policy, message) in cases {
            let error = policy.validate().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = serde_json::from_str::<Policy>(r#"{"soak": 3}"#).unwrap_err().to_string();
        assert!(error.contains("soak"), "{error}");
    }
}
