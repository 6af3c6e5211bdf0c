//! Whether the machine waits for a reboot. zypper says so once, with the exit code of the install (102), and only when it
//! was asked for a patch by its name: so it is remembered before each install which packages ask for one, and in which boot.

use super::{READING, Zypper, assess};
use crate::back_end::{BackEndError, Package, Standing};
use crate::durable;
use crate::rpm::Database;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// `needs-rebooting`: a core library is newer than the boot.
const NEEDED: i32 = 102;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Asked {
    boot_id: String,
    packages: Vec<Package>,
}

/// Notes on disk what asks for a reboot once it is in.
pub(super) async fn remember(zypper: &Zypper) -> Result<(), BackEndError> {
    let boot_id = zypper.host.boot_id()?;
    let mut asked = read(zypper).filter(|asked| asked.boot_id == boot_id).unwrap_or_default();
    for package in assess::asking_for_a_reboot(zypper).await? {
        if !asked.packages.contains(&package) {
            asked.packages.push(package);
        }
    }
    asked.boot_id = boot_id;
    let text = serde_json::to_vec(&asked).map_err(|error| BackEndError(error.to_string()))?;
    let path = path(zypper);
    durable::write(&path, &text, 0o644).map_err(|error| BackEndError(format!("{}: {error}", path.display())))
}

/// Whether anything is in by now that asked for a reboot in this boot, or zypper says that one is needed.
pub(super) async fn required(zypper: &Zypper) -> Result<bool, BackEndError> {
    let boot_id = zypper.host.boot_id()?;
    if let Some(asked) = read(zypper).filter(|asked| asked.boot_id == boot_id && !asked.packages.is_empty()) {
        let database = Database::read(&zypper.programs).await?;
        if asked.packages.iter().any(|package| database.standing(package) == Standing::Installed) {
            return Ok(true);
        }
    }
    let said = zypper.readers.run("zypper", &["--non-interactive", "needs-rebooting"], READING).await?;
    Ok(said.code == Some(NEEDED))
}

/// A note that cannot be read was not written by this agent: then zypper's own word is all there is.
fn read(zypper: &Zypper) -> Option<Asked> {
    serde_json::from_slice(&fs::read(path(zypper)).ok()?).ok()
}

fn path(zypper: &Zypper) -> PathBuf {
    zypper.folder.join("reboot-asked.json")
}
