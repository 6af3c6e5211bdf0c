//! `nightshift audit`

use super::{print, print_json};
use crate::arguments::Servers;
use crate::exit;
use std::process::ExitCode;

pub(crate) async fn run(servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    let report = crate::audit::run(servers).await?;
    if json {
        print_json(&report)?
    } else {
        print(&report)?
    }
    Ok(if report.violations.is_empty() { exit::DONE } else { ExitCode::from(exit::VIOLATED) })
}
