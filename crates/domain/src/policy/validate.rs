//! The bounds of each field.

use super::Policy;
use crate::patch::Classification;
use chrono::Duration;
use std::fmt::Display;

/// A field of a policy that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy: {field} = {value}: {must}")]
pub struct InvalidPolicy {
    /// The field's name in the document.
    pub field: String,
    /// What it was.
    pub value: String,
    /// What it must be.
    pub must: &'static str,
}

pub(super) type Checked = Result<(), InvalidPolicy>;

impl Policy {
    /// Checks every field against its bounds.
    ///
    /// # Errors
    /// The first field that is out of them.
    pub fn validate(&self) -> Checked {
        let classifications = &self.classifications;
        let must = "must name Critical, Security or both: a rollout installs nothing else";
        let urgent = !classifications.contains(&Classification::Other);
        good(urgent, "classifications", format!("{classifications:?}"), must)?;
        self.validate_on_demand()
    }

    /// The same for what a person has installed on one VM, which may be of any classification.
    ///
    /// # Errors
    /// The first field that is out of its bounds.
    pub fn validate_on_demand(&self) -> Checked {
        self.check_exposure()?;
        self.check_times()?;
        self.check_budgets()?;
        self.check_choice()?;
        self.check_sources()
    }

    fn check_exposure(&self) -> Checked {
        let shares = &self.phase_shares;
        let rising = shares.windows(2).all(|pair| pair[0] < pair[1]);
        let whole = shares.first() != Some(&0) && shares.last() == Some(&100);
        good(rising && whole, "phase_shares", format!("{shares:?}"), "must rise from above 0 to 100")?;
        percent("batch_percent", self.batch_percent, 1)?;
        good(self.max_in_flight != Some(0), "max_in_flight", 0, "must be at least 1, or absent")
    }

    fn check_times(&self) -> Checked {
        let day = Duration::days(1);
        let times = [
            ("soak_seconds", self.soak, Duration::zero(), day),
            ("bake_seconds", self.bake, Duration::zero(), Duration::days(30)),
            ("longest_work_seconds", self.longest_work, Duration::seconds(1), day),
            ("grace_seconds", self.grace, Duration::zero(), day),
            ("silence_seconds", self.silence, Duration::seconds(1), day),
        ];
        let must = "must not be negative, zero only for soak, bake and grace, and at most a day (bake: 30)";
        for (field, value, least, most) in times {
            good((least..=most).contains(&value), field, value.num_seconds(), must)?;
        }
        let days = self.deadline_days;
        good((1..=366).contains(&days), "deadline_days", days, "must be 1 to 366")?;
        good(self.retry_nights <= 366, "retry_nights", self.retry_nights, "must be at most 366")?;
        for blackout in &self.blackouts {
            let days = format!("{} to {}", blackout.from, blackout.to);
            good(blackout.from <= blackout.to, "blackouts", days, "must not end before it begins")?;
        }
        Ok(())
    }

    fn check_budgets(&self) -> Checked {
        let budgets = [
            ("step", self.budgets.step),
            ("zone", self.budgets.zone),
            ("region", self.budgets.region),
            ("phase", self.budgets.phase),
        ];
        for (whole, budget) in budgets {
            percent(&format!("budgets.{whole}.percent"), budget.percent, 0)?;
        }
        percent("breaker.percent", self.breaker.percent, 1)?;
        let Some(analysis) = &self.analysis else { return Ok(()) };
        percent("analysis.percent", analysis.percent, 1)?;
        let (controls, failures) = (analysis.controls, analysis.failures);
        good((1..=200).contains(&controls), "analysis.controls", controls, "must be 1 to 200")?;
        good(failures > 0, "analysis.failures", failures, "must be at least 1")
    }

    fn check_choice(&self) -> Checked {
        let classifications = &self.classifications;
        let must = "must name one at least, of Critical and Security";
        good(!classifications.is_empty(), "classifications", format!("{classifications:?}"), must)?;
        good(self.certify_phases > 0, "certify_phases", self.certify_phases, "must be at least 1")
    }
}

fn percent(field: &str, value: u8, least: u8) -> Checked {
    let must = if least == 0 { "must be 0 to 100" } else { "must be 1 to 100" };
    good((least..=100).contains(&value), field, value, must)
}

pub(super) fn good(good: bool, field: &str, value: impl Display, must: &'static str) -> Checked {
    if good { Ok(()) } else { Err(InvalidPolicy { field: field.to_owned(), value: value.to_string(), must }) }
}
