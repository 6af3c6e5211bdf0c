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
