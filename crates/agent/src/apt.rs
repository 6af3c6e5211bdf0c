//! Debian's package manager, by its own programs: no shell, every argument checked, every outcome asked of the
//! package database. Exit codes say little here: apt ends with 100 for anything, even when all went in.

mod assess;
mod debian;
mod install;
mod native;
mod parse;

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing};
use crate::config::Config;
use crate::engine::what_runs;
use crate::host::Host;
use crate::programs::{self, Programs};
use crate::record_lock;
use async_trait::async_trait;
use nightshift_domain::patch::Assessment;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long something that only reads may take.
const READING: Duration = Duration::from_secs(300);
/// Held by whoever works with the package database.
const LOCKS: [&str; 2] = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];

/// apt and dpkg of this machine.
#[derive(Debug)]
pub struct Apt {
    programs: Programs,
    host: Host,
    /// The preferences that leave nothing but security sources.
    pins: PathBuf,
    folder: PathBuf,
}

impl Apt {
    /// The machine's apt, as configured.
    pub fn open(config: &Config) -> Result<Self, BackEndError> {
        let folder = config.state_folder().unwrap_or_default().join("apt");
        let mut environment = vec![("APT_LISTCHANGES_FRONTEND", "none".to_owned())];
        environment.extend(config.apt_config.iter().map(|path| ("APT_CONFIG", path.display().to_string())));
        let programs = Programs::new(folder.join("logs"), environment)?;
        let pins = folder.join("security-pins");
        fs::write(&pins, assess::SECURITY_PINS)
            .map_err(|error| BackEndError(format!("`state_dir`: {}: {error}", pins.display())))?;
        for program in ["apt-get", "apt-mark", "apt-cache", "apt-config", "dpkg", "dpkg-query", "setsid"] {
            if !programs::is_installed(program) {
                let why = format!("`back_end`: apt: this machine has no `{program}`");
                return Err(BackEndError(why));
            }
        }
        Ok(Self { programs, host: Host::new(config), pins, folder })
    }

    fn reboot_flag(&self) -> PathBuf {
        self.host.path("/run/reboot-required")
    }

    async fn database(&self) -> Result<parse::Database, BackEndError> {
        let folder = format!("--admindir={}", self.host.path("/var/lib/dpkg").display());
        let format = "-f=${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\n";
        let listed = self.programs.read("dpkg-query", &[&folder, "-W", format], READING).await?;
        let native = self.programs.read("dpkg", &["--print-architecture"], READING).await?;
        parse::Database::read(&listed.out, native.out.trim()).map_err(BackEndError)
    }
}

#[async_trait]
impl BackEnd for Apt {
    fn name(&self) -> &'static str {
        "apt"
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
        debian::is_of_package_manager(package)
    }

    fn asks_for_reboot(&self, package: &str) -> bool {
        debian::asks_for_reboot(package)
    }

    async fn lock_holder(&self) -> Option<String> {
        LOCKS.iter().find_map(|lock| record_lock::holder(&self.host.path(lock))).map(what_runs)
    }

    async fn half_done(&self) -> Result<Vec<String>, BackEndError> {
        Ok(self.database().await?.half_done())
    }

    async fn native_updates(&self) -> Result<Option<String>, BackEndError> {
        native::still_on(self).await
    }

    async fn repair(&self) -> Result<(), BackEndError> {
        self.configure_all().await?;
        self.fix_broken().await
    }

    async fn disable_native_updates(&self) -> Result<(), BackEndError> {
        native::disable(self).await
    }

    async fn restore_native_updates(&self) -> Result<(), BackEndError> {
        native::restore(self)
    }

    async fn refresh(&self) -> Vec<String> {
        assess::refresh(self).await
    }

    async fn assess(&self) -> Result<Assessment, BackEndError> {
        assess::assess(self).await
    }

    async fn plan(&self, packages: &[Package]) -> Result<(), PlanError> {
        self.simulate_install(packages).await
    }

    async fn download(&self, packages: &[Package]) -> Result<(), BackEndError> {
        self.fetch(packages).await
    }

    async fn install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        self.start_install(packages).await
    }

    async fn wait(&self, running: &Running) -> Said {
        self.programs.ended(running).await;
        install::said(running)
    }

    async fn tidy(&self) -> Result<(), BackEndError> {
        self.restore_auto_marks().await
    }

    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError> {
        let database = self.database().await?;
        Ok(packages.iter().map(|package| (package.name.clone(), database.standing(package))).collect())
    }

    async fn reboot_required(&self) -> Result<bool, BackEndError> {
        let asks = |path: &PathBuf| path.try_exists().map_err(|error| (path.display().to_string(), error));
        asks(&self.reboot_flag()).map_err(|(path, error)| BackEndError(format!("{path}: {error}")))
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        self.host.reboot(&self.programs).await
    }
}
