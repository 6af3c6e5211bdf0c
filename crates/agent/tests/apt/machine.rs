//! A machine in a folder: real apt and real dpkg, on a private root. Needs no administrator's rights and touches
//! nothing of the host.

use crate::archive::{INSTALLED, archive, own_folder, run};
use chrono::{Duration, Utc};
use nightshift_agent::apt::Apt;
use nightshift_agent::back_end::BackEnd;
use nightshift_agent::config::{BackEndChoice, Config, Timings};
use nightshift_agent::engine::Engine;
use nightshift_agent::journal::{Journal, Record, Stage};
use nightshift_agent::report::{Body, Report};
use nightshift_agent::spool::Spool;
use nightshift_agent::store::Store;
use nightshift_clock::Clock;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Order;
use nightshift_domain::patch::{Assessment, PatchState, RebootSetting};
use nightshift_domain::policy::Policy;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

pub struct Machine {
    folder: TempDir,
    pub config: Config,
}

impl Machine {
    /// With every fixture package at 1.0 and fx-held on hold.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        run(Command::new("cp").arg("-a").arg(image()).arg(&root));
        configure(&root);
        let mut config =
            Config::simulated("vm-1".parse().unwrap(), "https://gateway:7709", "t", "authority", "keys");
        config.back_end = BackEndChoice::Apt;
        config.apt_config = Some(root.join("apt.conf"));
        config.state_dir = Some(folder.path().join("state"));
        config.root = root;
        config.timings = Timings {
            average_package_seconds: 1,
            longest_package_seconds: 5,
            reboot_seconds: 10,
            ..Timings::default()
        };
        Self { folder, config }
    }

    pub fn root(&self, path: &str) -> PathBuf {
        self.config.root.join(path)
    }

    pub fn apt(&self) -> Apt {
        Apt::open(&self.config).unwrap()
    }

    pub async fn assess(&self) -> Assessment {
        self.apt().assess().await.unwrap()
    }

    pub fn store(&self) -> Store {
        Store::on_disk(&self.folder.path().join("state")).unwrap()
    }

    /// A process of the agent.
    pub fn engine(&self) -> Engine {
        self.engine_on(self.store())
    }

    pub fn engine_on(&self, store: Store) -> Engine {
        let spool = Spool::open(store.clone()).unwrap();
        let vm = self.config.vm.clone();
        let timings = self.config.timings.clone();
        Engine::open(vm, Arc::new(self.apt()), Clock::system(), timings, store, spool).unwrap()
    }

    pub fn order(&self, id: &str) -> Order {
        let now = Utc::now();
        Order {
            id: id.parse().unwrap(),
            rollout: "r-1".parse().unwrap(),
            vm: self.config.vm.clone(),
            not_after: now + Duration::minutes(10),
            deadline: now + Duration::minutes(20),
            reboot: RebootSetting::Never,
            selection: Policy::default().selection(),
            signature: None,
        }
    }

    /// Carries an order out and returns its result.
    pub async fn carry_out(&self, order: Order) -> InstallReport {
        self.engine().carry_out(order).await.unwrap();
        self.results().pop().unwrap()
    }

    pub fn reports(&self) -> Vec<Report> {
        Spool::open(self.store()).unwrap().after(0)
    }

    pub fn results(&self) -> Vec<InstallReport> {
        let result = |report: Report| match report.body {
            Body::Finished(_, result) => Some(result),
            _ => None,
        };
        self.reports().into_iter().filter_map(result).collect()
    }

    pub fn record(&self, order: &Order) -> Option<Record> {
        Journal::open(self.store(), Utc::now()).unwrap().get(&order.id).unwrap()
    }

    /// The process of the install that runs for this order, if one does.
    pub fn install_of(&self, order: &Order) -> Option<u32> {
        match self.record(order)?.stage {
            Stage::Installing(work) => Some(work.batch?.running?.pid),
            _ => None,
        }
    }

    /// How often apt was started to install something.
    pub fn installs(&self) -> usize {
        let logs = fs::read_dir(self.folder.path().join("state/apt/logs")).unwrap();
        let names = logs.map(|log| log.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with("apt-get.out")).count()
    }

    pub fn installed(&self, package: &str) -> String {
        let database = format!("--admindir={}", self.root("var/lib/dpkg").display());
        let format = "-f=${Version} ${db:Status-Status}";
        run(Command::new("dpkg-query").args([&database, "-W", format, package]))
    }

    /// One of apt's programs, on this machine.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> String {
        tool(&self.config.root, program, arguments)
    }
}

/// Each patch and what became of it; that each is there exactly once is checked on the way.
pub fn states(result: &InstallReport) -> BTreeMap<&str, PatchState> {
    let states: BTreeMap<_, _> =
        result.patches.iter().map(|patch| (patch.name.as_str(), patch.state)).collect();
    assert_eq!(states.len(), result.patches.len(), "{result:?}");
    use PatchState::*;
    let sum: usize =
        [Installed, Failed, Pending, NotSelected, Excluded].map(|state| result.count(state)).iter().sum();
    assert_eq!(sum, result.patches.len());
    states
}

fn tool(root: &Path, program: &str, arguments: &[&str]) -> String {
    run(Command::new(program)
        .args(arguments)
        .env("APT_CONFIG", root.join("apt.conf"))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8"))
}

/// A machine as it comes from its image; made once per run of the tests.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let root = own_folder("image");
        let folders = [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/auth.conf.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "var/lib/dpkg/triggers",
            "var/lib/dpkg/alternatives",
            "var/log/apt",
            "run",
        ];
        folders.iter().for_each(|folder| fs::create_dir_all(root.join(folder)).unwrap());
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        fs::write(root.join("var/lib/dpkg/available"), "").unwrap();
        let source = |suite| format!("deb [trusted=yes] file:{}/{suite} ./\n", archive().display());
        fs::write(root.join("etc/apt/sources.list"), ["base", "updates", "security"].map(source).concat())
            .unwrap();
        let on = "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n";
        fs::write(root.join("etc/apt/apt.conf.d/20auto-upgrades"), on).unwrap();
        configure(&root);
        tool(&root, "apt-get", &["-qq", "update"]);
        let packages = INSTALLED.map(|name| format!("{name}=1.0"));
        let mut arguments = vec!["-y", "-qq", "install"];
        arguments.extend(packages.iter().map(String::as_str));
        tool(&root, "apt-get", &arguments);
        tool(&root, "apt-mark", &["hold", "fx-held"]);
        root
    })
}

/// apt reads everything from here.
fn configure(root: &Path) {
    let r = root.display();
    let text = format!(
        "Dir \"{r}/\";\nDir::State::status \"{r}/var/lib/dpkg/status\";\nDir::Bin::dpkg \"/usr/bin/dpkg\";\n\
         Dir::Bin::methods \"/usr/lib/apt/methods\";\n\
         DPkg::Options {{ \"--root={r}\"; \"--force-not-root\"; \"--force-script-chrootless\"; \
         \"--force-bad-path\"; \"--log={r}/var/log/dpkg.log\"; }};\n\
         APT::Architecture \"amd64\"; APT::Sandbox::User \"\"; DPkg::Use-Pty \"0\"; Acquire::Languages \"none\";\n\
         APT::Machine-ID \"0123456789abcdef0123456789abcdef\";\n"
    );
    fs::write(root.join("apt.conf"), text).unwrap();
}
