//! `nightshift audit`

use super::{print, print_json};
use crate::arguments::Servers;
use crate::exit;
use anyhow::Context as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

pub(crate) async fn run(file: Option<&Path>, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    let report = match file {
        Some(path) => audit_file(path).with_context(|| path.display().to_string())?,
        None => crate::audit::run(servers).await?,
    };
    if json {
        print_json(&report)?
    } else {
        print(&report)?
    }
    Ok(if report.violations.is_empty() { exit::DONE } else { ExitCode::from(exit::VIOLATED) })
}

fn audit_file(path: &Path) -> anyhow::Result<nightshift_audit::Report> {
    let records = nightshift_audit::file::read(BufReader::new(File::open(path)?))?;
    Ok(nightshift_audit::audit(records))
}
