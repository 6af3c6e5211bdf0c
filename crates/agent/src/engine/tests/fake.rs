//! A package manager that does what the test says, at once or in the time that the test says.

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing, Trouble};
use async_trait::async_trait;
use chrono::Duration;
use nightshift_clock::Clock;
use nightshift_domain::patch::{Assessment, Classification, Patch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What the machine is like, and what was done to it.
#[derive(Default)]
pub(super) struct Machine {
    pub(super) lacks: Vec<Patch>,
    /// Only seen when everything else is in.
    pub(super) lacks_later: Vec<Patch>,
    pub(super) installed: BTreeSet<String>,
    /// Packages whose install always fails.
    pub(super) failing: BTreeSet<String>,
    /// Packages whose install fails when others are in the same batch.
    pub(super) shy: BTreeSet<String>,
    /// Two packages that do not go together.
    pub(super) rivals: Option<(String, String)>,
    /// A package that cannot be installed at all.
    pub(super) impossible: Option<String>,
    /// So many installs find the lock held.
    pub(super) locked: u32,
    pub(super) reboot_required: bool,
    /// A reboot does not take the wish for one away.
    pub(super) always_asks: bool,
    /// Its package manager says nothing that can be read.
    pub(super) unreadable: bool,
    /// Whether a reboot leads to a new boot.
    pub(super) reboots: bool,
    pub(super) boots: u32,
    /// How long each install takes.
    pub(super) takes: Option<Duration>,
    /// An install that begins never ends, until the process does.
    pub(super) hangs: bool,
    pub(super) broken: Option<String>,
    /// A package that ends every batch before anything of it is in.
    pub(super) aborts: Option<String>,
    /// The install that runs, whoever waits for it.
    pub(super) running: Option<String>,
    /// What the installs said that are over.
    pub(super) said: BTreeMap<String, Said>,
    /// What a power cut left half-done: nothing may be installed before it is repaired.
    pub(super) half_done: Option<String>,
    /// How often each package was installed.
    pub(super) times: BTreeMap<String, u32>,
    /// What a package manager would have refused, or would have been harmed by.
    pub(super) violations: Vec<String>,
    /// Which native updates somebody turned on.
    pub(super) native: Option<String>,
    /// Everything that was done, in its order.
    pub(super) log: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) machine: Arc<Mutex<Machine>>,
    pub(super) clock: Clock,
}

impl Machine {
    /// The install that runs comes to its end, whether anybody waits for it or not.
    fn end(&mut self) {
        let Some(running) = self.running.take() else { return };
        let said = self.outcome(&running.split(' ').collect::<Vec<_>>());
        self.said.insert(running, said);
    }

    fn outcome(&mut self, names: &[&str]) -> Said {
        let mut said = Said::default();
        if self.locked > 0 {
            self.locked -= 1;
            said.trouble = Some(Trouble { sentence: "locked".into(), passing: true });
            return said;
        }
        if let Some(name) = self.aborts.clone().filter(|name| names.contains(&name.as_str())) {
            said.errors.insert(name, "its %pre failed".into());
            said.trouble = Some(Trouble { sentence: "aborted".into(), passing: false });
            return said;
        }
        for name in names {
            let shy = self.shy.contains(*name) && names.len() > 1;
            if shy || self.failing.contains(*name) {
                said.errors.insert((*name).to_owned(), "boom".into());
            } else {
                self.put_in(name);
            }
        }
        said
    }

    fn put_in(&mut self, name: &str) {
        self.installed.insert(name.to_owned());
        *self.times.entry(name.to_owned()).or_default() += 1;
        self.reboot_required |= name.starts_with("kernel");
    }

    /// Everything stops where it is; the next thing is a boot, in which /run is empty.
    pub(super) fn power_cut(&mut self) {
        if let Some(running) = self.running.take() {
            let names: Vec<&str> = running.split(' ').collect();
            let (done, open) = names.split_at(names.len() / 2);
            for name in done {
                if !self.failing.contains(*name) {
                    self.put_in(name);
                }
            }
            self.half_done = open.first().map(|name| (*name).to_owned());
        }
        self.boots += 1;
        self.reboot_required = false;
    }
}

impl Fake {
    fn with<T>(&self, look: impl FnOnce(&mut Machine) -> T) -> T {
        look(&mut self.machine.lock().unwrap())
    }

    fn note(&self, what: impl Into<String>) {
        self.with(|machine| machine.log.push(what.into()));
    }
}

pub(super) fn patch(name: &str, classification: Classification) -> Patch {
    Patch { name: name.into(), version: "2".into(), classification, obstacle: None }
}

fn names(packages: &[Package]) -> String {
    packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl BackEnd for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn os(&self) -> String {
        "Fake Linux".into()
    }

    fn boot_id(&self) -> Result<String, BackEndError> {
        Ok(format!("boot-{}", self.with(|machine| machine.boots)))
    }

    fn is_own(&self, package: &str) -> bool {
        package.starts_with("pm-")
    }

    fn asks_for_reboot(&self, package: &str) -> bool {
        package.starts_with("kernel")
    }

    async fn native_updates(&self) -> Result<Option<String>, BackEndError> {
        Ok(self.with(|machine| machine.native.clone()))
    }

    async fn repair(&self) -> Result<(), BackEndError> {
        self.note("repair");
        self.with(|machine| {
            machine.end();
            if let Some(name) = machine.half_done.take().filter(|name| !machine.failing.contains(name)) {
                machine.put_in(&name);
            }
            machine.broken.clone().map_or(Ok(()), |why| Err(BackEndError(why)))
        })
    }

    async fn disable_native_updates(&self) -> Result<(), BackEndError> {
        self.note("disable");
        self.with(|machine| machine.native = None);
        Ok(())
    }

    async fn restore_native_updates(&self) -> Result<(), BackEndError> {
        Ok(())
    }

    async fn refresh(&self) -> Vec<String> {
        self.note("refresh");
        Vec::new()
    }

    async fn assess(&self) -> Result<Assessment, BackEndError> {
        self.with(|machine| {
            if machine.unreadable {
                return Err(BackEndError::new("fake answered garbage"));
            }
            let lacks = |patch: &&Patch| !machine.installed.contains(&patch.name);
            let mut patches: Vec<Patch> = machine.lacks.iter().filter(lacks).cloned().collect();
            let is_open = |patch: &Patch| {
                let wanted = patch.obstacle.is_none() && patch.classification != Classification::Other;
                wanted && !machine.failing.contains(&patch.name)
            };
            if !patches.iter().any(is_open) {
                patches.extend(machine.lacks_later.iter().filter(lacks).cloned());
            }
            Ok(Assessment { patches, reboot_pending: machine.reboot_required, warnings: Vec::new() })
        })
    }

    async fn plan(&self, packages: &[Package]) -> Result<(), PlanError> {
        let has = |name: &String| packages.iter().any(|package| package.name == *name);
        self.with(|machine| {
            if machine.impossible.as_ref().is_some_and(has) {
                return Err(PlanError::Impossible("would remove everything".into()));
            }
            match &machine.rivals {
                Some((one, other)) if has(one) && has(other) => Err(PlanError::Impossible("rivals".into())),
                _ => Ok(()),
            }
        })
    }

    async fn download(&self, packages: &[Package]) -> Result<(), BackEndError> {
        self.note(format!("download {}", names(packages)));
        Ok(())
    }

    async fn install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        self.note(format!("install {}", names(packages)));
        self.with(|machine| {
            if machine.running.is_some() || machine.half_done.is_some() {
                machine.violations.push(format!("install {} in the middle of another", names(packages)));
            }
            machine.running = Some(names(packages));
        });
        Ok(Running { pid: 1, started: 1, log: names(packages) })
    }

    async fn wait(&self, running: &Running) -> Said {
        let (takes, hangs) = self.with(|machine| (machine.takes, machine.hangs));
        if hangs {
            std::future::pending::<()>().await;
        }
        if let Some(takes) = takes {
            self.clock.sleep(takes).await;
        }
        self.with(|machine| {
            machine.end();
            machine.said.remove(&running.log).unwrap_or_default()
        })
    }

    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError> {
        let standing = |installed: bool| match installed {
            true => Standing::Installed,
            false => Standing::Not("1 installed".into()),
        };
        self.with(|machine| {
            let of = |package: &Package| standing(machine.installed.contains(&package.name));
            Ok(packages.iter().map(|package| (package.name.clone(), of(package))).collect())
        })
    }

    async fn reboot_required(&self) -> Result<bool, BackEndError> {
        Ok(self.with(|machine| machine.reboot_required))
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        self.note("reboot");
        self.with(|machine| {
            if machine.reboots {
                machine.boots += 1;
                machine.reboot_required = machine.always_asks;
            }
        });
        Ok(())
    }
}
