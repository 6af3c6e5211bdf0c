//! The monthly rhythm: when a rollout starts by itself (REQUIREMENTS.md A3).

use crate::id::RolloutId;
use crate::mind::Time;
use crate::policy::Policy;
use chrono::{Datelike as _, Duration, NaiveDate, NaiveTime, Weekday};
use serde::{Deserialize, Serialize};

/// A rollout a month: so many days after the so-many-th weekday of the month, at a time of day in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rhythm {
    /// Which of the month's weekdays, from 1 to 4.
    pub week: u8,
    /// Of which the rhythm counts.
    pub weekday: Weekday,
    /// Days after it, at most 14.
    pub days_after: u8,
    /// At which time of day, in UTC.
    pub at: NaiveTime,
    /// The policy of each month's rollout.
    pub policy: Policy,
}

impl Default for Rhythm {
    /// The day after the second Tuesday, on which most vendors publish, at noon.
    fn default() -> Self {
        let at = NaiveTime::MIN + Duration::hours(12);
        Self { week: 2, weekday: Weekday::Tue, days_after: 1, at, policy: Policy::default() }
    }
}

/// A rhythm with a field out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rhythm: {field} = {value}: must be {must}")]
pub struct InvalidRhythm {
    /// Its name.
    pub field: &'static str,
    value: u8,
    must: &'static str,
}

impl Rhythm {
    /// Checks the numbers; the policy has its own [`Policy::validate`].
    ///
    /// # Errors
    /// The first field that is out of its bounds.
    pub fn validate(&self) -> Result<(), InvalidRhythm> {
        if !(1..=4).contains(&self.week) {
            return Err(InvalidRhythm { field: "week", value: self.week, must: "1 to 4" });
        }
        if self.days_after > 14 {
            return Err(InvalidRhythm { field: "days_after", value: self.days_after, must: "at most 14" });
        }
        Ok(())
    }

    /// The newest start that is due at `now`, with the name of its rollout (`monthly-2026-01`).
    pub fn due(&self, now: Time) -> Option<(RolloutId, Time)> {
        self.around(now).into_iter().rev().find(|(_, at)| *at <= now)
    }

    /// The first start after `now`.
    pub fn next(&self, now: Time) -> Option<Time> {
        self.around(now).into_iter().map(|(_, at)| at).find(|at| *at > now)
    }

    /// The starts of the months around: one can be as late as the middle of the next month.
    fn around(&self, now: Time) -> Vec<(RolloutId, Time)> {
        let this = now.date_naive().with_day(1);
        let before = |month: NaiveDate| (month - Duration::days(1)).with_day(1);
        let after = this.and_then(|month| (month + Duration::days(31)).with_day(1));
        let last = this.and_then(before);
        [last.and_then(before), last, this, after]
            .into_iter()
            .flatten()
            .filter_map(|month| self.of(month))
            .collect()
    }

    fn of(&self, month: NaiveDate) -> Option<(RolloutId, Time)> {
        let weekday =
            NaiveDate::from_weekday_of_month_opt(month.year(), month.month(), self.weekday, self.week)?;
        let at = (weekday + Duration::days(i64::from(self.days_after))).and_time(self.at).and_utc();
        let id = RolloutId::new(format!("monthly-{:04}-{:02}", month.year(), month.month())).ok()?;
        Some((id, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_is_the_day_after_the_second_tuesday() {
        let rhythm = Rhythm::default();
        let (id, due) = rhythm.due(at("2026-01-20T00:00:00Z")).unwrap();
        assert_eq!((id.as_str(), due), ("monthly-2026-01", at("2026-01-14T12:00:00Z")));
        let (id, due) = rhythm.due(at("2026-01-14T11:59:59Z")).unwrap();
        assert_eq!((id.as_str(), due), ("monthly-2025-12", at("2025-12-10T12:00:00Z")));
        assert_eq!(rhythm.next(at("2026-01-14T12:00:00Z")), Some(at("2026-02-11T12:00:00Z")));
    }

    #[test]
    fn a_number_out_of_bounds_is_named() {
        let error = Rhythm { week: 5, ..Rhythm::default() }.validate().unwrap_err().to_string();
        assert!(error.contains("week = 5"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn a_start_every_month(seconds in 1_700_000_000_i64..2_000_000_000, week in 1_u8..=4, days in 0_u8..=14) {
            let rhythm = Rhythm { week, days_after: days, ..Rhythm::default() };
            let now = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let (_, due) = rhythm.due(now).unwrap();
            let next = rhythm.next(now).unwrap();
            proptest::prop_assert!(due <= now && now < next);
            proptest::prop_assert!(next - due <= Duration::days(63));
        }
    }
}
