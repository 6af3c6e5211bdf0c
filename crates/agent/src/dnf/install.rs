//! Planning, downloading and installing named versions, and putting right what an interruption left.

use super::{Dnf, READING, parse};
use crate::back_end::{BackEndError, Package, PlanError, Running};
use crate::rpm::checked;
use std::time::Duration;

const DOWNLOAD: Duration = Duration::from_secs(6 * 3600);
/// `exit_on_lock`'s exit code.
const LOCKED: i32 = 200;
const LOCK_POLL: Duration = Duration::from_secs(1);

impl Dnf {
    pub(super) async fn simulate(&self, packages: &[Package]) -> Result<(), PlanError> {
        let named = named(packages).map_err(|error| PlanError::Impossible(error.to_string()))?;
        let arguments = with(self.dialect.simulate(), &named);
        let stale = |error: BackEndError| PlanError::Stale(error.to_string());
        let said = self.programs.run(self.dialect.program(), &arguments, READING).await.map_err(stale)?;
        let text = format!("{}\n{}", said.out, said.err);
        let missing =
            |line: &&str| line.starts_with("No match for argument") || line.starts_with("No package ");
        if let Some(line) = text.lines().find(missing) {
            return Err(PlanError::Stale(format!("the sources have moved on: {line}")));
        }
        // To have said no is how a simulation ends well.
        let refused = ["Operation aborted", "Exiting on user command", "Nothing to do"];
        if said.success() || refused.iter().any(|words| text.contains(words)) {
            return Ok(());
        }
        Err(PlanError::Impossible(parse::problem(&said.err)))
    }

    pub(super) async fn fetch(&self, packages: &[Package]) -> Result<(), BackEndError> {
        let named = named(packages)?;
        let arguments = with(self.dialect.download(), &named);
        let said = self.programs.run(self.dialect.program(), &arguments, DOWNLOAD).await?;
        if said.success() {
            return Ok(());
        }
        Err(BackEndError(format!("the download failed: {}", parse::problem(&said.err))))
    }

    pub(super) fn start_install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        let named = named(packages)?;
        self.programs.start(self.dialect.program(), &with(self.dialect.install(), &named))
    }

    /// Installs the newer of two versions again, with the script that may have been killed, and removes the other.
    pub(super) async fn remove_duplicates(&self) -> Result<(), BackEndError> {
        let Some(arguments) = self.dialect.remove_duplicates() else { return Ok(()) };
        while self.programs.run_to_its_end(self.dialect.program(), arguments).await?.code == Some(LOCKED) {
            tokio::time::sleep(LOCK_POLL).await;
        }
        Ok(())
    }
}

fn with<'a>(command: &[&'a str], named: &'a [String]) -> Vec<&'a str> {
    command.iter().copied().chain(named.iter().map(String::as_str)).collect()
}

/// `NAME-[EPOCH:]VERSION-RELEASE[.ARCHITECTURE]`, each checked.
fn named(packages: &[Package]) -> Result<Vec<String>, BackEndError> {
    let one = |package: &Package| {
        let (name, architecture, evr) = checked(package)?;
        let suffix = architecture.map(|architecture| format!(".{architecture}")).unwrap_or_default();
        Ok(format!("{name}-{evr}{suffix}"))
    };
    packages.iter().map(one).collect()
}
