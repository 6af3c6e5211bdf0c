//! `nightshift audit`

use crate::arguments::{Audit, Servers};
use crate::output::{Format, print, table};
use crate::{clients, exit, log_file};
use nightshift_protocol::api::v1 as api;
use std::path::Path;
use std::process::ExitCode;

/// Audits a file; it needs no installation.
pub(crate) fn file(path: &Path, output: Format) -> anyhow::Result<ExitCode> {
    say(&nightshift_audit::audit(log_file::read(path)?), output)
}

pub(crate) async fn run(audit: Audit, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    if audit.remote { remote(servers, output).await } else { say(&crate::audit::run(servers).await?, output) }
}

fn say(report: &nightshift_audit::Report, output: Format) -> anyhow::Result<ExitCode> {
    output.answer(report, report)?;
    Ok(verdict(report.violations.is_empty()))
}

/// The console's own audit of its log.
async fn remote(servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let report = clients::lookback(servers).await?.audit(api::AuditRequest {}).await?.into_inner();
    let proved = report.violations.is_empty();
    if output.is_for_programs() {
        output.print(&report)?;
        return Ok(verdict(proved));
    }
    let mut rows = table(&["RULE", "CHECKED", "VIOLATIONS", "SAYS"]);
    for rule in &report.rules {
        let (checked, violations) = (rule.checked.to_string(), rule.violations.to_string());
        rows.add_row([rule.rule.clone(), checked, violations, rule.says.clone()]);
    }
    print(rows)?;
    for violation in &report.violations {
        print(format_args!("{}: {}", violation.rule, violation.sentence))?;
        for event in [&violation.first, &violation.second].into_iter().flatten() {
            print(format_args!("    {} {}: {}", event.partition, event.position, event.what))?;
        }
    }
    print(format_args!("{} events, {} orders", report.events, report.orders))?;
    Ok(verdict(proved))
}

fn verdict(proved: bool) -> ExitCode {
    if proved { exit::DONE } else { ExitCode::from(exit::VIOLATED) }
}
