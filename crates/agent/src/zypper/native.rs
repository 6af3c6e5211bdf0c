//! SUSE's own automatic updates: a daily job that one setting governs.

use super::Zypper;
use crate::back_end::BackEndError;
use crate::durable;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const SETTINGS: &str = "/etc/sysconfig/automatic_online_update";
const KEY: &str = "AOU_ENABLE_CRONJOB=";
const OFF: &str = "AOU_ENABLE_CRONJOB=\"false\"";

/// Sets it to false; the line that was there is on disk before.
pub(super) fn disable(zypper: &Zypper) -> Result<(), BackEndError> {
    let path = zypper.host.path(SETTINGS);
    let Some(text) = read(&path)? else { return Ok(()) };
    let Some(line) = text.lines().find(|line| line.trim_start().starts_with(KEY)) else { return Ok(()) };
    if line.trim() == OFF {
        return Ok(());
    }
    let kept = kept(zypper);
    // What was kept first stays: a setting that somebody turned on meanwhile was not there at the beginning.
    if read(&kept)?.is_none() {
        write(&kept, line)?;
    }
    write(&path, &text.replacen(line, OFF, 1))
}

/// The setting, if it lets the job run; for people.
pub(super) fn still_on(zypper: &Zypper) -> Result<Option<String>, BackEndError> {
    let text = read(&zypper.host.path(SETTINGS))?.unwrap_or_default();
    let line = text.lines().map(str::trim).find(|line| line.starts_with(KEY));
    let is_off = |line: &&str| {
        let value = line.trim_start_matches(KEY).trim_matches(['"', '\'']);
        matches!(value.to_lowercase().as_str(), "" | "no" | "false" | "0")
    };
    Ok(line.filter(|line| !is_off(line)).map(|line| format!("{SETTINGS} has {line}")))
}

/// Puts the line back that was there.
pub(super) fn restore(zypper: &Zypper) -> Result<(), BackEndError> {
    let (path, kept) = (zypper.host.path(SETTINGS), kept(zypper));
    let Some(line) = read(&kept)? else { return Ok(()) };
    if let Some(text) = read(&path)? {
        write(&path, &text.replacen(OFF, line.trim_end(), 1))?;
    }
    durable::remove(&kept).map_err(|error| BackEndError(format!("{}: {error}", kept.display())))
}

fn kept(zypper: &Zypper) -> PathBuf {
    zypper.folder.join("automatic-online-update")
}

fn read(path: &Path) -> Result<Option<String>, BackEndError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackEndError(format!("{}: {error}", path.display()))),
    }
}

fn write(path: &Path, text: &str) -> Result<(), BackEndError> {
    durable::write(path, text.as_bytes(), 0o644)
        .map_err(|error| BackEndError(format!("{}: {error}", path.display())))
}
