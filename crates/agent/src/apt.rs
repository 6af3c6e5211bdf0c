//! Debian's package manager, by its own programs: no shell, every argument checked, every outcome asked of the
//! package database. Exit codes say little here: apt ends with 100 for anything, even when all went in.

mod assess;
mod debian;
mod install;
mod lock;
mod native;
mod parse;
mod process;

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing};
use crate::config::Config;
use async_trait::async_trait;
use nightshift_domain::patch::Assessment;
use process::Tools;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long something that only reads may take.
const READING: Duration = Duration::from_secs(300);

/// apt and dpkg of this machine.
#[derive(Debug)]
pub struct Apt {
    tools: Tools,
    root: PathBuf,
    /// The preferences that leave nothing but security sources.
    pins: PathBuf,
    folder: PathBuf,
    reboot_command: Vec<String>,
}

impl Apt {
    /// The machine's apt, as configured.
    pub fn open(config: &Config) -> Result<Self, BackEndError> {
        let folder = config.state_folder().unwrap_or_default().join("apt");
        let tools = Tools::new(config.apt_config.clone(), folder.join("logs"));
        let pins = folder.join("security-pins");
        let prepare = || -> std::io::Result<()> {
            fs::create_dir_all(folder.join("logs"))?;
            fs::write(&pins, assess::SECURITY_PINS)
        };
        prepare().map_err(|error| BackEndError(format!("`state_dir`: {}: {error}", folder.display())))?;
        for program in ["apt-get", "apt-mark", "apt-cache", "apt-config", "dpkg", "dpkg-query", "setsid"] {
            if !process::is_installed(program) {
                let why = format!("this machine has no `{program}`: only Debian and its kin are supported");
                return Err(BackEndError(why));
            }
        }
        Ok(Self {
            tools,
            root: config.root.clone(),
            pins,
            folder,
            reboot_command: config.reboot_command.clone(),
        })
    }

    fn reboot_flag(&self) -> PathBuf {
        self.root.join("run/reboot-required")
    }

    async fn database(&self) -> Result<parse::Database, BackEndError> {
        let folder = format!("--admindir={}", self.root.join("var/lib/dpkg").display());
        let format = "-f=${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Status}\\n";
        let listed = self.tools.read("dpkg-query", &[&folder, "-W", format], READING).await?;
        let native = self.tools.read("dpkg", &["--print-architecture"], READING).await?;
        Ok(parse::Database::read(&listed.out, native.out.trim()))
    }
}

#[async_trait]
impl BackEnd for Apt {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn os(&self) -> String {
        let release = fs::read_to_string(self.root.join("etc/os-release"))
            .or_else(|_| fs::read_to_string("/etc/os-release"))
            .unwrap_or_default();
        let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        pretty.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
    }

    fn boot_id(&self) -> Result<String, BackEndError> {
        let path = "proc/sys/kernel/random/boot_id";
        // A root that is only a folder has no /proc of its own.
        let read = fs::read_to_string(self.root.join(path))
            .or_else(|_| fs::read_to_string(PathBuf::from("/").join(path)));
        read.map(|id| id.trim().to_owned()).map_err(|error| BackEndError(format!("/{path}: {error}")))
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn is_own(&self, package: &str) -> bool {
        debian::is_of_package_manager(package)
    }

    fn asks_for_reboot(&self, package: &str) -> bool {
        debian::asks_for_reboot(package)
    }

    fn lock_holder(&self) -> Option<String> {
        lock::holder(&self.root)
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
        process::ended(running).await;
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
        let Some((program, arguments)) = self.reboot_command.split_first() else {
            return Err(BackEndError::new("`reboot_command` names no program"));
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let told = self.tools.run(program, &arguments, Duration::from_secs(60)).await?;
        if told.success {
            return Ok(());
        }
        Err(BackEndError(format!("`reboot_command`: {program} failed: {}", told.err.trim())))
    }
}
