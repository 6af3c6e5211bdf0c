//! A sandboxed machine, and the agent's work on it without a gateway: the example `order`, run inside.

use chrono::{Duration, Utc};
use nightshift_agent::report::Report;
use nightshift_domain::agent::{InstallReport, Requirement};
use nightshift_domain::event::Order;
use nightshift_domain::patch::{Assessment, PatchState, RebootSetting};
use nightshift_domain::policy::Policy;
use nightshift_machines::{AptRepository, Image, Manager, RpmRepository};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::OnceLock;
use std::time::Instant;
use tempfile::TempDir;

const CONFIG: &str = "/etc/nightshift/agent.toml";

pub struct Machine {
    inner: nightshift_machines::Machine,
    _folder: TempDir,
}

impl Machine {
    /// A machine that is on, with every fixture package at 1.0.
    pub fn new(manager: Manager) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let agent = vec!["/bin/sleep".to_owned(), "1000".to_owned()];
        let place = folder.path().join("machine");
        let own = [example().parent().unwrap().to_owned()];
        let mut inner =
            nightshift_machines::Machine::create(&place, "vm-1", image(manager), &own, agent).unwrap();
        let reboot = nightshift_machines::Machine::reboot_command();
        let config = format!(
            "vm = \"vm-1\"\ngateway = \"https://127.0.0.1:1\"\nauthority = \"none\"\norder_keys = \"none\"\n\
             state_dir = \"/var/lib/nightshift-agent\"\nreboot_command = {reboot:?}\n\
             [timings]\naverage_package_seconds = 1\nlongest_package_seconds = 5\nreboot_seconds = 60\n"
        );
        inner.write(CONFIG, &config).unwrap();
        inner.power_on().unwrap();
        Self { inner, _folder: folder }
    }

    pub fn power_cut(&mut self) {
        self.inner.power_off();
        self.inner.power_on().unwrap();
    }

    pub fn boots(&self) -> u32 {
        self.inner.boots()
    }

    pub fn until_booted(&self, times: u32) {
        let end = Instant::now() + std::time::Duration::from_secs(60);
        while self.inner.boots() < times {
            assert!(Instant::now() < end, "the machine does not reboot");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub fn order(&self, id: &str) -> Order {
        let now = Utc::now();
        Order {
            id: id.parse().unwrap(),
            rollout: "r-1".parse().unwrap(),
            vm: "vm-1".parse().unwrap(),
            not_after: now + Duration::minutes(10),
            deadline: now + Duration::minutes(20),
            reboot: RebootSetting::Never,
            selection: Policy::default().selection(),
            signature: None,
        }
    }

    pub fn carry_out(&self, order: &Order) -> InstallReport {
        self.ask("carry-out", Some(order)).unwrap()
    }

    /// The agent begins to carry the order out; it is killed with the value that comes back.
    pub fn begin(&self, order: &Order) -> Agent {
        self.begin_until(order, &[])
    }

    /// The same, and it stands still at a write of its journal (`before` or `after`, and the write's number).
    pub fn begin_until(&self, order: &Order, write: &[&str]) -> Agent {
        let order = serde_json::to_string(order).unwrap();
        let mut words = vec![example().to_str().unwrap(), CONFIG, "carry-out", &order];
        words.extend(write);
        let mut command = self.inner.command(&words).unwrap();
        Agent(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    pub fn assess(&self) -> Assessment {
        self.ask("assess", None).unwrap()
    }

    /// Asks the example; an error is what it said.
    pub fn ask<T: DeserializeOwned>(&self, wish: &str, order: Option<&Order>) -> Result<T, String> {
        let order = order.map(|order| serde_json::to_string(order).unwrap());
        let mut command = vec![example().to_str().unwrap(), CONFIG, wish];
        command.extend(order.as_deref());
        let output = self.inner.exec(&command).unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            return Err(said(&output.stderr));
        }
        let out = said(&output.stdout);
        let answer = if out.is_empty() { "null" } else { &out };
        serde_json::from_str(answer).map_err(|error| format!("{error}: {out}"))
    }

    pub fn tell(&self, wish: &str) {
        self.ask::<()>(wish, None).unwrap();
    }

    /// Runs a script on the machine, and returns what it said, whether it succeeded or not.
    pub fn shell(&self, script: &str) -> String {
        let Output { stdout, stderr, .. } = self.inner.exec(&["/bin/sh", "-c", script]).unwrap();
        let text = [stdout, stderr].concat();
        String::from_utf8(text).unwrap().trim().to_owned()
    }

    /// Versions of an installed package as its database has them, one a line; with its state where it is not whole.
    pub fn installed(&self, package: &str) -> String {
        match self.inner.manager() {
            Manager::Apt => {
                let said =
                    self.shell(&format!("dpkg-query -W -f '${{Version}} ${{db:Status-Status}}' {package}"));
                said.strip_suffix(" installed").map_or(said.clone(), str::to_owned)
            }
            Manager::Dnf | Manager::Zypper => self.shell(&format!("rpm -q --qf '%{{VERSION}}\\n' {package}")),
        }
    }

    /// What an install left half-done, by the package database.
    pub fn half_done(&self) -> Vec<String> {
        let said = self.shell(match self.inner.manager() {
            Manager::Apt => "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' | grep -Ev '^(installed|config-files|not-installed) '",
            Manager::Dnf | Manager::Zypper => "rpm -qa --qf 'duplicate %{NAME}\\n' | sort | uniq -d",
        });
        said.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.to_owned()).collect()
    }

    /// What the doctor says of one requirement.
    pub fn doctor(&self, code: &str) -> Requirement {
        let found: Vec<Requirement> = self.ask("doctor", None).unwrap();
        found.into_iter().find(|requirement| requirement.code == code).unwrap()
    }

    /// Everything that was reported, in its order.
    pub fn reports(&self) -> Vec<Report> {
        self.ask("reports", None).unwrap()
    }

    pub fn until(&self, what: &str, script: &str) {
        let end = Instant::now() + std::time::Duration::from_secs(60);
        while self.inner.exec(&["/bin/sh", "-c", script]).unwrap().status.code() != Some(0) {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// An agent that works.
pub struct Agent(Child);

/// How far an agent came.
pub struct Life {
    /// What each write of its journal said of the order's stage.
    pub journal: Vec<Value>,
    /// Whether it stands still at a write.
    pub stands_still: bool,
    /// The result of the order, if it came so far.
    pub result: Option<InstallReport>,
}

impl Agent {
    /// Waits until it stands still, or is over: at the order's end, or with its machine.
    pub fn life(&mut self) -> Life {
        let mut life = Life { journal: Vec::new(), stands_still: false, result: None };
        let Some(out) = self.0.stdout.take() else { return life };
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Some(stage) = line.strip_prefix("journal ") {
                life.journal.push(serde_json::from_str(stage).unwrap());
            } else if line == "standing still" {
                life.stands_still = true;
                return life;
            } else {
                life.result = Some(serde_json::from_str(&line).unwrap());
            }
        }
        life
    }

    /// kill -9 of the agent alone, inside; what it started goes on.
    pub fn kill(self, machine: &Machine) {
        machine.shell("kill -9 $(pidof order)");
    }
}

impl Drop for Agent {
    /// Reaps it: its machine went down under it.
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Each patch and what became of it; that each is there exactly once is checked on the way.
pub fn states(result: &InstallReport) -> BTreeMap<&str, PatchState> {
    let states: BTreeMap<_, _> =
        result.patches.iter().map(|patch| (patch.name.as_str(), patch.state)).collect();
    assert_eq!(states.len(), result.patches.len(), "{result:?}");
    states
}

pub fn detail<'a>(result: &'a InstallReport, name: &str) -> &'a str {
    &result.patches.iter().find(|patch| patch.name == name).unwrap().detail
}

/// The example `order`, built with the tests.
fn example() -> &'static PathBuf {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let path = deps.parent().unwrap().join("examples/order");
        assert!(path.is_file(), "{}: cargo builds it with all targets of this crate", path.display());
        path
    })
}

/// Made once per run of the tests.
fn image(manager: Manager) -> &'static Image {
    static RPM: OnceLock<(TempDir, RpmRepository)> = OnceLock::new();
    static APT: OnceLock<(TempDir, Image)> = OnceLock::new();
    static DNF: OnceLock<(TempDir, Image)> = OnceLock::new();
    static ZYPPER: OnceLock<(TempDir, Image)> = OnceLock::new();
    let make = |folder: &Path| match manager {
        Manager::Apt => {
            let repository = AptRepository::build(&folder.join("repository")).unwrap();
            Image::prepare(&folder.join("image"), &repository).unwrap()
        }
        Manager::Dnf | Manager::Zypper => {
            let (_, repository) = RPM.get_or_init(|| {
                let folder = tempfile::tempdir().unwrap();
                let repository = RpmRepository::build(&folder.path().join("repository")).unwrap();
                (folder, repository)
            });
            Image::prepare_rpm(&folder.join("image"), repository, manager).unwrap()
        }
    };
    let cell = match manager {
        Manager::Apt => &APT,
        Manager::Dnf => &DNF,
        Manager::Zypper => &ZYPPER,
    };
    let (_, image) = cell.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let image = make(folder.path());
        (folder, image)
    });
    image
}
