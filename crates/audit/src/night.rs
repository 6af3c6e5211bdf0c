//! The auditor's own window arithmetic (rule S6, REQUIREMENTS.md A2).
//!
//! One definition does for every zone and every change of the clocks: a window opens when the VM's wall clock first
//! reads the start or later, and closes when it first reads the end or later. An hour that is shown twice counts
//! with its first showing; an hour that is skipped is over when the clocks have jumped. Wall clocks are only read
//! here, from UTC to local time, which has always one answer; never asked the other way round.

use chrono::{Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use nightshift_domain::Time;
use nightshift_domain::window::Window;

/// One opening of a window: from `opens` up to, but not including, `closes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Night {
    /// The first moment inside.
    pub opens: Time,
    /// The first moment after it.
    pub closes: Time,
}

/// The opening in which that moment lies; `None` if the window is closed then.
pub(crate) fn around(window: Window, zone: Tz, at: Time) -> Option<Night> {
    let today = at.with_timezone(&zone).date_naive();
    // An opening is at most a day long, and its days can be a day further apart where a zone has skipped one
    // (Pacific/Apia, 2011-12-30); so the one around `at` began today or on one of the two days before.
    // Where the clocks skip a whole window it opens and closes in the same moment, and nothing lies in it.
    let mut nights = (0..=2).filter_map(|ago| of_day(window, zone, today.checked_sub_days(Days::new(ago))?));
    nights.find(|night| night.opens <= at && at < night.closes)
}

fn of_day(window: Window, zone: Tz, day: NaiveDate) -> Option<Night> {
    let time_of_day = |text: String| NaiveTime::parse_from_str(&text, "%H:%M").ok();
    let (start, end) = (time_of_day(window.start_text())?, time_of_day(window.end_text())?);
    let last_day = if start < end { day } else { day.succ_opt()? };
    Some(Night {
        opens: first_reads(zone, day.and_time(start))?,
        closes: first_reads(zone, last_day.and_time(end))?,
    })
}

/// The first moment at which the zone's wall clock reads `local` or later.
fn first_reads(zone: Tz, local: NaiveDateTime) -> Option<Time> {
    let clock = |utc: NaiveDateTime| zone.from_utc_datetime(&utc).naive_local();
    // No zone was ever as much as 16 hours ahead of UTC, so here the clock does not read `local` yet.
    let mut before = local.checked_sub_signed(Duration::hours(16))?;
    loop {
        // If the clock ran evenly it would read `local` in `then`. Where it is set back in between, it does not yet.
        let then = before.checked_add_signed(local - clock(before))?;
        if clock(then) < local {
            before = then;
            continue;
        }
        // It does: in `then`, or since it was set forward somewhere between the two.
        let mut first = then;
        if clock(then) > local {
            while first - before > Duration::seconds(1) {
                let middle = before + Duration::seconds((first - before).num_seconds() / 2);
                if clock(middle) < local { before = middle } else { first = middle }
            }
        }
        return Some(Utc.from_utc_datetime(&first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America, Asia, Australia, Europe, Pacific};
    use proptest::prelude::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn check(zone: Tz, window: (&str, &str), moment: &str, night: Option<(&str, &str)>) {
        let window = Window::parse(window.0, window.1).unwrap();
        let night = night.map(|(opens, closes)| Night { opens: at(opens), closes: at(closes) });
        assert_eq!(around(window, zone, at(moment)), night, "{zone} {moment}");
    }

    const DEFAULT: (&str, &str) = ("22:00", "06:00");

    #[test]
    fn a_plain_night_and_its_two_edges() {
        let night = Some(("2026-01-09T21:00:00Z", "2026-01-10T05:00:00Z"));
        check(Europe::Berlin, DEFAULT, "2026-01-09T20:59:59Z", None);
        check(Europe::Berlin, DEFAULT, "2026-01-09T21:00:00Z", night);
        check(Europe::Berlin, DEFAULT, "2026-01-10T04:59:59Z", night);
        check(Europe::Berlin, DEFAULT, "2026-01-10T05:00:00Z", None);
        check(
            Asia::Kathmandu,
            DEFAULT,
            "2026-01-09T16:15:00Z",
            Some(("2026-01-09T16:15:00Z", "2026-01-10T00:15:00Z")),
        );
    }

    #[test]
    fn clocks_set_forward_make_the_night_shorter_and_set_back_longer() {
        check(
            Europe::Berlin,
            DEFAULT,
            "2026-03-29T01:30:00Z",
            Some(("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")),
        );
        check(Europe::Berlin, DEFAULT, "2026-03-29T04:00:00Z", None);
        check(
            Europe::Berlin,
            DEFAULT,
            "2026-10-25T04:59:59Z",
            Some(("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z")),
        );
        // Half an hour, in a zone that is half an hour off.
        check(
            Australia::Lord_Howe,
            DEFAULT,
            "2026-10-03T15:00:00Z",
            Some(("2026-10-03T11:30:00Z", "2026-10-03T19:00:00Z")),
        );
    }

    #[test]
    fn an_edge_that_is_skipped_is_where_the_clocks_jump() {
        // In Berlin 02:30 does not exist on 2026-03-29: at 01:00 UTC the clocks go from 02:00 to 03:00.
        check(
            Europe::Berlin,
            ("02:30", "05:00"),
            "2026-03-29T01:00:00Z",
            Some(("2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z")),
        );
        check(Europe::Berlin, ("02:30", "05:00"), "2026-03-29T00:59:59Z", None);
        check(
            Europe::Berlin,
            ("23:00", "02:30"),
            "2026-03-29T00:59:59Z",
            Some(("2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z")),
        );
        // The whole window is skipped: it never opens that night.
        check(Europe::Berlin, ("02:10", "02:50"), "2026-03-29T01:00:00Z", None);
    }

    #[test]
    fn an_edge_that_is_shown_twice_is_its_first_showing() {
        // In New York 01:30 is shown at 05:30 and at 06:30 UTC on 2026-11-01.
        check(
            America::New_York,
            ("22:00", "01:30"),
            "2026-11-01T05:29:59Z",
            Some(("2026-11-01T02:00:00Z", "2026-11-01T05:30:00Z")),
        );
        check(America::New_York, ("22:00", "01:30"), "2026-11-01T06:15:00Z", None);
        check(
            America::New_York,
            ("01:30", "04:00"),
            "2026-11-01T06:15:00Z",
            Some(("2026-11-01T05:30:00Z", "2026-11-01T09:00:00Z")),
        );
    }

    #[test]
    fn a_day_that_a_zone_has_skipped_is_no_night() {
        // Samoa had no 2011-12-30: its clocks went from the end of the 29th to the beginning of the 31st.
        check(
            Pacific::Apia,
            DEFAULT,
            "2011-12-30T09:59:59Z",
            Some(("2011-12-30T08:00:00Z", "2011-12-30T10:00:00Z")),
        );
        check(
            Pacific::Apia,
            DEFAULT,
            "2011-12-30T12:00:00Z",
            Some(("2011-12-30T10:00:00Z", "2011-12-30T16:00:00Z")),
        );
    }

    proptest! {
        /// With nothing clever: in the 28 hours before the moment, minute by minute, the clock has not read it yet.
        #[test]
        fn it_is_the_first_moment_at_which_the_clock_reads_it(
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]), minute in 0i64..60 * 24 * 365 * 12,
        ) {
            let local = at("2015-01-01T00:00:00Z").naive_utc() + Duration::minutes(minute);
            let clock = |utc: Time| utc.with_timezone(&zone).naive_local();
            let found = first_reads(zone, local).unwrap();
            prop_assert!(clock(found) >= local);
            let mut earlier = found;
            for _ in 0..28 * 60 {
                earlier -= Duration::minutes(1);
                prop_assert!(clock(earlier) < local, "{zone}: {earlier} reads {}", clock(earlier));
            }
            prop_assert!(clock(found - Duration::seconds(1)) < local);
        }
    }
}
