//! `nightshift nats-users`

use crate::exit;
use crate::nats_users::{self, Consumer};
use crate::output::{Format, print};
use anyhow::Context as _;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

/// The file that nats-server's configuration includes.
const CONFIGURATION: &str = "users.conf";

pub(crate) fn run(folder: &Path, consumers: &[Consumer], output: Format) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let (seeds, configuration) = nats_users::issue(consumers)?;
    for (name, seed) in &seeds {
        keep(&folder.join(format!("{name}.nk")), 0o600, seed)?;
    }
    keep(&folder.join(CONFIGURATION), 0o644, &configuration)?;
    let names: Vec<&str> = seeds.iter().map(|(name, _)| name.as_str()).collect();
    if output.is_for_programs() {
        output.print(&json!({ "folder": folder, "configuration": CONFIGURATION, "users": names }))?;
    } else {
        print(format_args!("{}: a secret key each for {}", folder.display(), names.join(", ")))?;
        print(format_args!("nats-server: include \"{}\"", folder.join(CONFIGURATION).display()))?;
        print("each service:  log.login = { nkey_seed = \"…/<service>.nk\" }")?;
    }
    Ok(exit::DONE)
}

/// Keys that are in use are never written over: whoever wants new ones says so by another folder.
fn keep(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(|| format!("{} cannot be written anew", path.display()))?;
    writeln!(file, "{text}").with_context(|| path.display().to_string())
}
