//! `nightshift vm report`: what others know of VMs.

use crate::arguments::{Report, Servers};
use crate::failure::Failure;
use crate::output::{Format, print};
use crate::{clients, exit};
use anyhow::Context as _;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;
use std::process::ExitCode;

/// How many go in one call; the monitor takes at most 10,000.
const AT_ONCE: usize = 10_000;

/// Sends the reports; those that the monitor refuses are named.
pub(super) async fn run(servers: &Servers, report: Report, output: Format) -> anyhow::Result<ExitCode> {
    let reports = match (&report.file, report.vm, report.source) {
        (Some(path), ..) => read(path)?,
        (None, Some(vm), Some(source)) => {
            vec![api::Report { vm, source, at: report.at.map(timestamp), ailment: report.ailment }]
        }
        // The command line asks for them.
        (None, ..) => anyhow::bail!("name a VM and --source, or --file"),
    };
    let mut monitor = clients::health(servers).await?;
    let mut refused = Vec::new();
    for (number, part) in (0u32..).zip(reports.chunks(AT_ONCE)) {
        let request = api::ReportSignalsRequest { reports: part.to_vec() };
        let answer = monitor.report_signals(request).await?.into_inner();
        // Places are counted over all parts.
        let before = number * u32::try_from(AT_ONCE)?;
        refused.extend(answer.refused.into_iter().map(|mut one| {
            one.place += before;
            one
        }));
    }
    let taken = reports.len() - refused.len();
    let whole = api::ReportSignalsResponse { refused: refused.clone() };
    if output.is_for_programs() {
        output.print(&whole)?;
    } else {
        for one in &refused {
            let vm = reports.get(one.place as usize).map(|report| report.vm.as_str()).unwrap_or_default();
            print(format_args!("refused: report {} of \"{vm}\": {}", one.place + 1, one.why))?;
        }
        print(format_args!("{taken} reports taken"))?;
    }
    Ok(if refused.is_empty() { exit::DONE } else { ExitCode::from(exit::REFUSED) })
}

/// Reads reports, one JSON document a line.
fn read(path: &Path) -> anyhow::Result<Vec<api::Report>> {
    let lines: Box<dyn BufRead> = match path.as_os_str() == "-" {
        true => Box::new(BufReader::new(stdin())),
        false => Box::new(BufReader::new(
            File::open(path)
                .map_err(|error| Failure::usage(format!("--file {}: {error}", path.display())))?,
        )),
    };
    let mut reports = Vec::new();
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.with_context(|| path.display().to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        let report: api::Report = serde_json::from_str(&line)
            .map_err(|error| Failure::usage(format!("{}, line {number}: {error}", path.display())))?;
        reports.push(report);
    }
    Ok(reports)
}
