//! SUSE's package manager, by its own programs: no shell, every argument checked, every outcome asked of rpm's database.
//! Patches are its advisories; what is installed are the packages that they are about, each at the version that has the
//! fix: `install patch:NAME` would take a newer one.

mod assess;
mod install;
mod native;
mod parse;
mod reboot;
mod sources;
mod xml;

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing};
use crate::config::Config;
use crate::host::Host;
use crate::programs::{self, Programs};
use crate::rpm::{self, Database, Locks, remove_older};
use crate::units::Units;
use async_trait::async_trait;
use nightshift_domain::patch::Assessment;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long something that only reads may take.
const READING: Duration = Duration::from_secs(300);
/// Answers without asking anybody, and for programs.
const QUIETLY: [&str; 3] = ["--non-interactive", "--xmlout", "--no-refresh"];
/// What patches such a machine by itself, besides the job that `AOU_ENABLE_CRONJOB` governs.
const NATIVE: [&str; 4] =
    ["os-update.timer", "transactional-update.timer", "packagekit.service", "packagekit-background.timer"];

/// zypper and rpm of this machine.
#[derive(Debug)]
pub struct Zypper {
    programs: Programs,
    /// The same, for looking only: libzypp lets these read while another program has its lock.
    readers: Programs,
    host: Host,
    units: Units,
    folder: PathBuf,
}

impl Zypper {
    /// The machine's zypper, as configured.
    ///
    /// # Errors
    /// If the machine has none, or the configuration's `root` is not `/`.
    pub fn open(config: &Config) -> Result<Self, BackEndError> {
        let host = Host::new(config);
        if !host.is_whole() {
            return Err(BackEndError::new("`root`: with zypper it can only be /"));
        }
        for program in ["zypper", "rpm", "setsid"] {
            if !programs::is_installed(program) {
                return Err(BackEndError(format!("`back_end`: zypper: this machine has no `{program}`")));
            }
        }
        let folder = config.state_folder().unwrap_or_default().join("zypper");
        let patience = ("ZYPP_LOCK_TIMEOUT", "60".to_owned());
        let programs = Programs::new(folder.join("logs"), vec![patience.clone()])?;
        let readers =
            Programs::new(folder.join("logs"), vec![patience, ("ZYPP_READONLY_HACK", "1".to_owned())])?;
        let units = Units::new(&NATIVE, folder.join("native-updates.json"));
        Ok(Self { programs, readers, host, units, folder })
    }

    async fn locks(&self) -> Result<Locks, BackEndError> {
        Locks::of(&self.programs, &["/run/zypp.pid", "/var/run/zypp.pid"]).await
    }
}

#[async_trait]
impl BackEnd for Zypper {
    fn name(&self) -> &'static str {
        "zypper"
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
        let units = self.units.on(&self.programs).await?;
        let on: Vec<String> = units.into_iter().chain(native::still_on(self)?).collect();
        Ok((!on.is_empty()).then(|| on.join(", ")))
    }

    async fn repair(&self) -> Result<(), BackEndError> {
        self.locks().await?.free().await;
        let before = Database::read(&self.programs).await?;
        if before.duplicates().next().is_some() {
            remove_older(&self.programs, &before).await?;
            self.install_again(&before).await?;
        }
        Ok(())
    }

    async fn disable_native_updates(&self) -> Result<(), BackEndError> {
        self.units.disable(&self.programs).await?;
        native::disable(self)
    }

    async fn restore_native_updates(&self) -> Result<(), BackEndError> {
        self.units.restore(&self.programs).await?;
        native::restore(self)
    }

    async fn refresh(&self) -> Vec<String> {
        sources::refresh(self).await
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
        self.start_install(packages).await
    }

    async fn wait(&self, running: &Running) -> Said {
        let code = self.programs.ended(running).await;
        parse::said(code, &programs::written(running), &rpm::architecture(&self.programs).await)
    }

    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError> {
        Ok(Database::read(&self.programs).await?.standings(packages))
    }

    async fn reboot_required(&self) -> Result<bool, BackEndError> {
        reboot::required(self).await
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        self.host.reboot(&self.programs).await
    }
}
