//! What a receiver's answer means for what it was sent.

use chrono::DateTime;
use nightshift_domain::Time;
use reqwest::StatusCode;
use std::time::Duration;

/// However long a receiver asks us to wait, a day later it is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// What became of an event that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// The receiver has it.
    Taken,
    /// The receiver wants no more, ever.
    Gone,
    /// It has to be sent again.
    Again {
        /// What went wrong, for people.
        why: String,
        /// Not before this time is over, as the receiver asked.
        pause: Option<Duration>,
    },
}

impl Answer {
    /// It did not come to an answer.
    pub(super) fn none(why: impl Into<String>) -> Self {
        Self::Again { why: why.into(), pause: None }
    }

    /// By the answer's status and its `Retry-After`.
    pub(super) fn of(status: StatusCode, retry_after: Option<&str>, now: Time) -> Self {
        if status.is_success() {
            return Self::Taken;
        }
        if status == StatusCode::GONE {
            return Self::Gone;
        }
        let pause = retry_after.and_then(|text| pause(text, now));
        let mut why = format!("the receiver answered {status}");
        if status.is_redirection() {
            why += ": redirects are not followed, name the new address in the configuration";
        }
        if let Some(pause) = pause {
            why += &format!(", to be tried again after {} s", pause.as_secs());
        }
        Self::Again { why, pause }
    }
}

/// Seconds, or a moment (RFC 9110, section 10.2.3); nothing if it is neither.
fn pause(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let moment = DateTime::from(httpdate::parse_http_date(text).ok()?);
            (moment - now).to_std().unwrap_or_default()
        }
    };
    Some(asked.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Answer {
        let now = "2026-11-28T10:00:00Z".parse().unwrap();
        Answer::of(StatusCode::from_u16(status).unwrap(), retry_after, now)
    }

    #[test]
    fn only_a_success_has_taken_it_and_only_gone_ends_it() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(of(status, None), Answer::Taken, "{status}");
        }
        assert_eq!(of(410, Some("5")), Answer::Gone);
        for status in [301, 302, 307, 400, 401, 404, 408, 409, 422, 429, 500, 502, 503] {
            let Answer::Again { why, pause: None } = of(status, None) else { panic!("{status}") };
            assert!(why.contains(&status.to_string()), "{why}");
        }
        let Answer::Again { why, .. } = of(308, None) else { panic!() };
        assert!(why.contains("redirects are not followed"), "{why}");
    }

    #[test]
    fn a_receiver_says_how_long_to_wait_by_seconds_or_by_a_moment() {
        let pause = |text| match of(429, Some(text)) {
            Answer::Again { pause, .. } => pause.map(|pause| pause.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(pause("7"), Some(7));
        assert_eq!(pause(" 120 "), Some(120));
        assert_eq!(pause("Sat, 28 Nov 2026 10:01:30 GMT"), Some(90));
        assert_eq!(pause("Sat, 28 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(pause("99999999999"), Some(86_400));
        assert_eq!(pause("soon"), None);
        assert_eq!(pause("-3"), None);
    }
}
