//! Debian's own automatic updates, off and on again.

use super::{Apt, READING};
use crate::back_end::BackEndError;
use crate::durable;
use std::fs;
use std::path::PathBuf;

/// Read after the distribution's own 20auto-upgrades, and stronger: nothing of the distribution is edited, and to
/// restore is to remove one file. The package unattended-upgrades stays: it also writes /run/reboot-required.
const DROP_IN: &str = "etc/apt/apt.conf.d/99-nightshift";
const OFF: &str = "// Nightshift patches this machine. Remove this file to have native automatic updates back.\n\
    APT::Periodic::Update-Package-Lists \"0\";\nAPT::Periodic::Unattended-Upgrade \"0\";\n";

const KEY: &str = "APT::Periodic::Unattended-Upgrade";

pub(super) async fn disable(apt: &Apt) -> Result<(), BackEndError> {
    let path = drop_in(apt);
    let failed = |error| BackEndError(format!("{}: {error}", path.display()));
    if fs::read_to_string(&path).ok().as_deref() != Some(OFF) {
        durable::write(&path, OFF.as_bytes(), 0o644).map_err(failed)?;
    }
    let Some(_) = still_on(apt).await? else { return Ok(()) };
    let why = format!("native automatic updates are still on: something after {} sets {KEY}", path.display());
    Err(BackEndError(why))
}

/// What counts is what apt makes of all its files (apt-config(8)); a machine that says nothing of it has them off.
pub(super) async fn still_on(apt: &Apt) -> Result<Option<String>, BackEndError> {
    let effective = apt.programs.read("apt-config", &["shell", "VALUE", KEY], READING).await?;
    let value = effective.out.trim();
    let off = value.is_empty() || value == "VALUE='0'";
    Ok((!off).then(|| format!("{KEY} is {}", value.trim_start_matches("VALUE="))))
}

pub(super) fn restore(apt: &Apt) -> Result<(), BackEndError> {
    let path = drop_in(apt);
    durable::remove(&path).map_err(|error| BackEndError(format!("{}: {error}", path.display())))
}

fn drop_in(apt: &Apt) -> PathBuf {
    apt.host.path(DROP_IN)
}
