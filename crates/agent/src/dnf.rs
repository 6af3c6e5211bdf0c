//! Red Hat's package manager and its kin's: dnf, and yum where there is no dnf (RHEL 7). By its own programs: no shell,
//! every argument checked, every outcome asked of rpm's database. dnf ends with 0 although it skipped packages, and with
//! 1 although all but one went in.

mod assess;
mod dialect;
mod install;
mod parse;

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing};
use crate::config::Config;
use crate::host::Host;
use crate::programs::{self, Programs};
use crate::rpm::{self, Database, Locks, remove_older};
use crate::units::Units;
use async_trait::async_trait;
use dialect::Dialect;
use nightshift_domain::patch::Assessment;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long something that only reads may take.
const READING: Duration = Duration::from_secs(300);
/// What patches such a machine by itself. Its units are turned off; no package is removed, no file edited.
const NATIVE: [&str; 8] = [
    "dnf-automatic.timer",
    "dnf-automatic-install.timer",
    "dnf-automatic-download.timer",
    "dnf5-automatic.timer",
    "yum-cron.service",
    "packagekit.service",
    "packagekit-offline-update.service",
    "packagekit-background.timer",
];

/// dnf or yum, and rpm, of this machine.
#[derive(Debug)]
pub struct Dnf {
    programs: Programs,
    dialect: Dialect,
    host: Host,
    units: Units,
}

impl Dnf {
    /// The machine's dnf, else its yum, as configured.
    ///
    /// # Errors
    /// If the machine has neither, or the configuration's `root` is not `/`.
    pub fn open(config: &Config) -> Result<Self, BackEndError> {
        let host = Host::new(config);
        if !host.is_whole() {
            return Err(BackEndError::new("`root`: with dnf it can only be /"));
        }
        let dialect = if programs::is_installed("dnf") { Dialect::Dnf } else { Dialect::Yum };
        for program in [dialect.program(), "rpm", "setsid"] {
            if !programs::is_installed(program) {
                return Err(BackEndError(format!("`back_end`: dnf: this machine has no `{program}`")));
            }
        }
        let folder = config.state_folder().unwrap_or_default().join("dnf");
        let programs = Programs::new(folder.join("logs"), Vec::new())?;
        let units = Units::new(&NATIVE, folder.join("native-updates.json"));
        Ok(Self { programs, dialect, host, units })
    }

    async fn locks(&self) -> Result<Locks, BackEndError> {
        Locks::of(&self.programs, self.dialect.pid_files()).await
    }

    /// Whether anything that only a reboot puts to use is newer than the boot.
    async fn newer_than_the_boot(&self) -> Result<bool, BackEndError> {
        let database = Database::read(&self.programs).await?;
        Ok(!database.installed_after(self.host.booted_at()?, &rpm::REBOOT_AFTER).is_empty())
    }
}

#[async_trait]
impl BackEnd for Dnf {
    fn name(&self) -> &'static str {
        self.dialect.program()
    }

    fn os(&self) -> String {
        self.host.os()
    }

    fn boot_id(&self) -> Result<String, BackEndError> {
        self.host.boot_id()
    }

    fn root(&self) -> Option<&Path> {
        Some(self.host.root())
    }

    fn is_own(&self, package: &str) -> bool {
        rpm::is_of_package_manager(package)
    }

    fn asks_for_reboot(&self, package: &str) -> bool {
        rpm::asks_for_reboot(package)
    }

    async fn half_done(&self) -> Result<Vec<String>, BackEndError> {
        Ok(Database::read(&self.programs).await?.half_done())
    }

    async fn lock_holder(&self) -> Option<String> {
        self.locks().await.ok()?.holder()
    }

    async fn native_updates(&self) -> Result<Option<String>, BackEndError> {
        self.units.on(&self.programs).await
    }

    async fn repair(&self) -> Result<(), BackEndError> {
        self.locks().await?.free().await;
        if Database::read(&self.programs).await?.duplicates().next().is_some() {
            self.remove_duplicates().await?;
            // Where no source answers, without the script that may have been killed.
            remove_older(&self.programs, &Database::read(&self.programs).await?).await?;
        }
        Ok(())
    }

    async fn disable_native_updates(&self) -> Result<(), BackEndError> {
        self.units.disable(&self.programs).await
    }

    async fn restore_native_updates(&self) -> Result<(), BackEndError> {
        self.units.restore(&self.programs).await
    }

    async fn refresh(&self) -> Vec<String> {
        assess::refresh(self).await
    }

    async fn assess(&self) -> Result<Assessment, BackEndError> {
        assess::assess(self).await
    }

    async fn plan(&self, packages: &[Package]) -> Result<(), PlanError> {
        self.simulate(packages).await
    }

    async fn download(&self, packages: &[Package]) -> Result<(), BackEndError> {
        self.fetch(packages).await
    }

    async fn install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        self.start_install(packages)
    }

    async fn wait(&self, running: &Running) -> Said {
        let code = self.programs.ended(running).await;
        parse::said(code, &programs::written(running), &rpm::architecture(&self.programs).await)
    }

    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError> {
        Ok(Database::read(&self.programs).await?.standings(packages))
    }

    async fn reboot_required(&self) -> Result<bool, BackEndError> {
        let (program, arguments) = self.dialect.needs_restarting();
        // Without the plug-in it fails too: what counts is what it says.
        let said = match programs::is_installed(program) {
            true => self.programs.run(program, arguments, READING).await?.out,
            false => String::new(),
        };
        match parse::wants_reboot(&said) {
            Some(wants) => Ok(wants),
            None => self.newer_than_the_boot().await,
        }
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        self.host.reboot(&self.programs).await
    }
}
