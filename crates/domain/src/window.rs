//! The off-peak window of a VM, in the VM's own time zone (REQUIREMENTS.md A2, rule S6).

use crate::mind::Time;
use chrono::{Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A daily window in local time. An end at or before the start is on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "WindowText", into = "WindowText")]
pub struct Window {
    start: NaiveTime,
    end: NaiveTime,
}

/// A window of no length: its start is its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// Start and end are the same.
    #[error("window {0}–{0} has no length: start and end must differ (for example 22:00 and 06:00)")]
    Empty(String),
    /// Not a time of day.
    #[error("window {field} = \"{value}\" is not a time of day: write HH:MM, for example 22:00")]
    NotATime {
        /// `start` or `end`.
        field: &'static str,
        /// The text that was given.
        value: String,
    },
}

/// How a window is written: `{ start = "22:00", end = "06:00" }`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowText {
    start: String,
    end: String,
}

impl TryFrom<WindowText> for Window {
    type Error = InvalidWindow;
    fn try_from(text: WindowText) -> Result<Self, InvalidWindow> {
        Self::parse(&text.start, &text.end)
    }
}

impl From<Window> for WindowText {
    fn from(window: Window) -> Self {
        Self { start: window.start_text(), end: window.end_text() }
    }
}

/// One night's opening of a window, in UTC: from `opens` up to, but not including, `closes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The first moment inside.
    pub opens: Time,
    /// The first moment after it.
    pub closes: Time,
}

impl Opening {
    /// Whether work that begins at `start` and takes at most `longest_work` lies wholly inside.
    pub fn fits(&self, start: Time, longest_work: Duration) -> bool {
        self.opens <= start && start + longest_work <= self.closes
    }
}

/// Days looked ahead for an opening: more than the longest rollout but for its blackouts.
const DAYS_AHEAD: u64 = 60;

impl Window {
    /// The fleet's default: 22:00–06:00.
    pub fn default_off_peak() -> Self {
        Self { start: hour(22), end: hour(6) }
    }

    /// Reads two times of day, `HH:MM`.
    pub fn parse(start: &str, end: &str) -> Result<Self, InvalidWindow> {
        let read = |field, value: &str| {
            NaiveTime::parse_from_str(value, "%H:%M")
                .map_err(|_| InvalidWindow::NotATime { field, value: value.to_owned() })
        };
        let (start, end) = (read("start", start)?, read("end", end)?);
        if start == end {
            return Err(InvalidWindow::Empty(start.format("%H:%M").to_string()));
        }
        Ok(Self { start, end })
    }

    /// The start, `HH:MM`.
    pub fn start_text(&self) -> String {
        self.start.format("%H:%M").to_string()
    }

    /// The end, `HH:MM`.
    pub fn end_text(&self) -> String {
        self.end.format("%H:%M").to_string()
    }

    /// The first opening that is not over at `now`, in which work of `longest_work` still fits and that touches no
    /// local day that is `blocked`; or `None` if no opening of the coming 60 days is such.
    pub fn next_fit(
        &self,
        zone: Tz,
        now: Time,
        longest_work: Duration,
        blocked: impl Fn(NaiveDate) -> bool,
    ) -> Option<Opening> {
        let today = now.with_timezone(&zone).date_naive();
        let yesterday = today.checked_sub_days(Days::new(1))?;
        let mut nights_too_short = 0;
        for ahead in 0..=DAYS_AHEAD {
            let day = yesterday.checked_add_days(Days::new(ahead))?;
            if blocked(day) || (self.crosses_midnight() && blocked(day.succ_opt()?)) {
                continue;
            }
            match self.opening_of(zone, day) {
                Some(opening) if opening.fits(opening.opens.max(now), longest_work) => return Some(opening),
                // DST can make a night shorter than the work, never a whole week of nights.
                _ => nights_too_short += 1,
            }
            if nights_too_short > 8 {
                return None;
            }
        }
        None
    }

    fn crosses_midnight(&self) -> bool {
        // An end at midnight is the end of the day itself.
        self.end <= self.start && self.end != NaiveTime::MIN
    }

    /// The opening that begins on this local day, or `None` if DST leaves nothing of it.
    pub fn opening_of(&self, zone: Tz, day: NaiveDate) -> Option<Opening> {
        let last_day = if self.end <= self.start { day.checked_add_days(Days::new(1))? } else { day };
        let opens = resolve(zone, day.and_time(self.start))?;
        let closes = resolve(zone, last_day.and_time(self.end))?;
        (opens < closes).then_some(Opening { opens, closes })
    }
}

/// A local time as a moment: one that the clocks show twice is the first of the two; one that they skip is the first
/// moment after the gap.
fn resolve(zone: Tz, local: NaiveDateTime) -> Option<Time> {
    // The longest gap of any zone is a whole day (Pacific/Apia, 2011-12-30, when Samoa changed sides).
    const LONGEST_GAP_MINUTES: i64 = 24 * 60;
    (0..=LONGEST_GAP_MINUTES)
        .find_map(|minute| zone.from_local_datetime(&(local + Duration::minutes(minute))).earliest())
        .map(|moment| moment.with_timezone(&Utc))
}

fn hour(hour: u32) -> NaiveTime {
    NaiveTime::MIN + Duration::hours(i64::from(hour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America, Asia, Europe, Pacific};

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_of_no_length_is_refused_with_its_value() {
        let error = Window::parse("22:00", "22:00").unwrap_err();
        assert!(error.to_string().contains("22:00–22:00"), "{error}");
        let error = Window::parse("22:00", "6 o'clock").unwrap_err();
        assert!(error.to_string().contains("end = \"6 o'clock\""), "{error}");
    }

    #[test]
    fn across_midnight_the_night_that_began_yesterday_is_still_open() {
        let night = Window::default_off_peak()
            .next_fit(Europe::Berlin, at("2026-01-10T02:00:00Z"), Duration::hours(1), |_| false)
            .unwrap();
        assert_eq!(night.opens, at("2026-01-09T21:00:00Z"));
        assert_eq!(night.closes, at("2026-01-10T05:00:00Z"));
    }

    #[test]
    fn work_that_no_longer_fits_waits_for_the_next_night() {
        let night = Window::default_off_peak()
            .next_fit(Europe::Berlin, at("2026-01-10T04:30:00Z"), Duration::hours(1), |_| false)
            .unwrap();
        assert_eq!(night.opens, at("2026-01-10T21:00:00Z"));
    }

    #[test]
    fn clocks_that_go_forward_make_the_night_an_hour_shorter() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 28).unwrap();
        let night = Window::default_off_peak().opening_of(Europe::Berlin, day).unwrap();
        assert_eq!(night.closes - night.opens, Duration::hours(7));
        let day = NaiveDate::from_ymd_opt(2026, 10, 24).unwrap();
        let night = Window::default_off_peak().opening_of(Europe::Berlin, day).unwrap();
        assert_eq!(night.closes - night.opens, Duration::hours(9));
    }

    #[test]
    fn a_window_inside_the_gap_has_no_opening_that_night() {
        let window = Window::parse("02:10", "02:50").unwrap();
        let day = NaiveDate::from_ymd_opt(2026, 3, 8).unwrap();
        assert_eq!(window.opening_of(America::New_York, day), None);
        let next = window
            .next_fit(America::New_York, at("2026-03-08T06:00:00Z"), Duration::minutes(30), |_| false)
            .unwrap();
        assert_eq!(next.opens, at("2026-03-09T06:10:00Z"));
    }

    #[test]
    fn far_zones_have_their_own_night() {
        let longest = Duration::hours(1);
        let kathmandu = Window::default_off_peak()
            .next_fit(Asia::Kathmandu, at("2026-06-01T12:00:00Z"), longest, |_| false)
            .unwrap();
        assert_eq!(kathmandu.opens, at("2026-06-01T16:15:00Z"));
        let kiritimati = Window::default_off_peak()
            .next_fit(Pacific::Kiritimati, at("2026-06-01T07:00:00Z"), longest, |_| false)
            .unwrap();
        assert_eq!(kiritimati.opens, at("2026-06-01T08:00:00Z"));
    }

    #[test]
    fn a_night_that_touches_a_blackout_is_passed_over() {
        let holidays = |day: NaiveDate| ["2025-12-24", "2025-12-25"].contains(&day.to_string().as_str());
        let next =
            |window: Window, now| window.next_fit(Europe::Berlin, at(now), Duration::hours(1), holidays);
        // The night of the 23rd ends on the 24th.
        let night = next(Window::default_off_peak(), "2025-12-23T12:00:00Z").unwrap();
        assert_eq!(night.opens, at("2025-12-26T21:00:00Z"));
        let evening = Window::parse("20:00", "00:00").unwrap();
        assert_eq!(next(evening, "2025-12-23T12:00:00Z").unwrap().opens, at("2025-12-23T19:00:00Z"));
    }

    #[test]
    fn work_longer_than_every_night_never_fits() {
        assert_eq!(
            Window::default_off_peak().next_fit(
                Europe::Berlin,
                at("2026-01-10T02:00:00Z"),
                Duration::hours(10),
                |_| false
            ),
            None
        );
    }

    proptest::proptest! {
        #[test]
        fn what_fits_lies_wholly_inside_local_off_peak_hours(
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            seconds in 1_767_225_600_i64..1_861_920_000,
            work in 1_i64..300,
        ) {
            let now = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let window = Window::default_off_peak();
            if let Some(night) = window.next_fit(zone, now, Duration::minutes(work), |_| false) {
                let start = night.opens.max(now);
                proptest::prop_assert!(night.fits(start, Duration::minutes(work)));
                let local = start.with_timezone(&zone).time();
                let inside = local >= hour(22) || local < hour(6);
                proptest::prop_assert!(inside, "{zone} {local}");
            }
        }
    }
}
