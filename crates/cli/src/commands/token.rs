//! `nightshift token …`

use crate::arguments::Token;
use crate::exit;
use crate::output::Format;
use nightshift_runtime::access::{Issuer, Wanted};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

pub(crate) fn run(command: Token, output: Format) -> anyhow::Result<ExitCode> {
    match command {
        Token::Issue { name, role: roles, subscription, ttl, data } => {
            let subscriptions = (!subscription.is_empty()).then_some(subscription);
            let wanted = Wanted { name, roles, subscriptions, ttl };
            let token = Issuer::read(&data)?.issue(&wanted)?;
            output.answer(&json!({ "token": token }), &token)?;
        }
        Token::Keys { data } => {
            std::fs::create_dir_all(&data)?;
            output.print(&Issuer::open(&data)?.public_keys())?;
        }
    }
    Ok(exit::DONE)
}

/// The doors do not believe a token of a longer name.
const LONGEST_NAME: usize = 200;
/// A token cannot be taken back: none outlives the key it was signed with by years.
const LONGEST_TTL_DAYS: u64 = 366;

/// A name as the doors believe it, and as it can be told from others in events.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("{text:?} {what}: write a name such as ada"));
    if text.is_empty() {
        wrong("is empty")
    } else if text.chars().any(char::is_control) {
        wrong("has control characters")
    } else if text.trim() != text {
        wrong("begins or ends with a space")
    } else if text.len() > LONGEST_NAME {
        wrong(&format!("has {} bytes, of at most {LONGEST_NAME}", text.len()))
    } else {
        Ok(text.to_owned())
    }
}

/// How long a token is good for.
pub(crate) fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = some_time(text)?;
    if ttl > Duration::from_secs(LONGEST_TTL_DAYS * 86_400) {
        return Err(format!("\"{text}\": at most {LONGEST_TTL_DAYS}d"));
    }
    Ok(ttl)
}

/// A time that is not none.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err(format!("\"{text}\": more than no time, such as 8h")) } else { Ok(time) }
}

/// A number and its unit: s, m, h or d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\": write a number and s, m, h or d, such as 8h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_doors_would_not_believe_is_not_issued() {
        for wrong in ["", " ", "ada ", "\tada", "a\u{7}da", &"a".repeat(201)] {
            let error = name(wrong).unwrap_err();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
        assert_eq!(name("Ada of Lovelace").as_deref(), Ok("Ada of Lovelace"));
        for wrong in ["0s", "0d", "367d", "8", "h", ""] {
            let error = ttl(wrong).unwrap_err();
            assert!(error.contains(&format!("\"{wrong}\"")), "{error}");
        }
        assert_eq!(ttl("366d"), Ok(Duration::from_secs(366 * 86_400)));
    }
}
