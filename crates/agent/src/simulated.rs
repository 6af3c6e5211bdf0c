//! A machine that only seems to be one, for demos and load: its patches, installs and reboots take time by the
//! fleet's clock, and cost nothing else.

use crate::back_end::{BackEnd, BackEndError, Package, PlanError, Running, Said, Standing};
use async_trait::async_trait;
use chrono::Duration;
use nightshift_clock::Clock;
use nightshift_domain::VmId;
use nightshift_domain::mind::Time;
use nightshift_domain::patch::{Assessment, Classification, Patch};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// What a simulated machine is like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// With the VM's name it decides which patches the machine lacks.
    pub seed: u64,
    /// How long the install of one package takes.
    pub package_seconds: u32,
    /// How long the machine is down for a reboot.
    pub reboot_seconds: u32,
    /// After an install the machine is ill.
    pub bad_patch: bool,
    /// The install of this package fails, always; it is one that the machine lacks.
    pub fails_install: Option<String>,
    /// The machine is ill from its start.
    pub ill_from_start: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            package_seconds: 60,
            reboot_seconds: 180,
            bad_patch: false,
            fails_install: None,
            ill_from_start: false,
        }
    }
}

/// A simulated machine and its package manager.
#[derive(Debug)]
pub struct SimulatedMachine {
    vm: VmId,
    settings: Settings,
    clock: Clock,
    state: Mutex<State>,
    /// Until when the machine is down; `None` while it is up.
    down: watch::Sender<Option<Time>>,
}

#[derive(Debug)]
struct State {
    boots: u64,
    lacks: Vec<Lack>,
    reboot_required: bool,
    was_patched: bool,
    installs: u64,
    installing: Option<(Vec<Package>, Time)>,
}

#[derive(Debug, Clone)]
struct Lack {
    package: Package,
    classification: Classification,
    needs_reboot: bool,
}

/// What machines are made of: the package, how its patches are classified, and whether they want a reboot.
const CATALOGUE: [(&str, Classification, bool); 14] = [
    ("linux-image", Classification::Critical, true),
    ("openssl", Classification::Critical, false),
    ("libc6", Classification::Critical, true),
    ("openssh-server", Classification::Security, false),
    ("sudo", Classification::Security, false),
    ("curl", Classification::Security, false),
    ("systemd", Classification::Security, true),
    ("nginx", Classification::Security, false),
    ("python3", Classification::Security, false),
    ("postgresql", Classification::Security, false),
    ("vim", Classification::Other, false),
    ("tzdata", Classification::Other, false),
    ("bash-completion", Classification::Other, false),
    ("clamav-definitions", Classification::Other, false),
];

impl SimulatedMachine {
    /// The machine of this VM; with the same settings it is always the same.
    pub fn new(vm: VmId, settings: Settings, clock: Clock) -> Self {
        let mut random = seeded(&vm, settings.seed);
        let mut lacks: Vec<Lack> = CATALOGUE
            .iter()
            .filter(|_| random.random_ratio(2, 5))
            .map(|entry| lack(entry.0, entry.1, entry.2))
            .collect();
        if !lacks.iter().any(|lack| lack.classification != Classification::Other) {
            lacks.push(lack("sudo", Classification::Security, false));
        }
        if let Some(name) = &settings.fails_install
            && !lacks.iter().any(|lack| lack.package.name == *name)
        {
            lacks.push(lack(name, Classification::Security, false));
        }
        let state = State {
            boots: 1,
            lacks,
            reboot_required: false,
            was_patched: false,
            installs: 0,
            installing: None,
        };
        Self { vm, settings, clock, state: Mutex::new(state), down: watch::Sender::new(None) }
    }

    /// How often the machine was booted.
    pub fn boots(&self) -> u64 {
        self.lock().boots
    }

    /// Ends the install whose time is over.
    fn settle(&self, state: &mut State) {
        let over = state.installing.take_if(|(_, end)| *end <= self.clock.now());
        for package in over.into_iter().flat_map(|(packages, _)| packages) {
            if self.settings.fails_install.as_ref() == Some(&package.name) {
                continue;
            }
            let found = state.lacks.iter().position(|lack| lack.package == package);
            if let Some(lack) = found.map(|index| state.lacks.remove(index)) {
                state.reboot_required |= lack.needs_reboot;
                state.was_patched = true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment, whoever panicked while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BackEnd for SimulatedMachine {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn os(&self) -> String {
        "Simulated Linux".into()
    }

    fn boot_id(&self) -> Result<String, BackEndError> {
        let boot = format!("{}/{}/{}", self.vm, self.settings.seed, self.lock().boots);
        Ok(Uuid::new_v5(&Uuid::NAMESPACE_OID, boot.as_bytes()).to_string())
    }

    async fn repair(&self) -> Result<(), BackEndError> {
        let end = self.lock().installing.as_ref().map(|(_, end)| *end);
        if let Some(end) = end {
            self.clock.sleep_until(end).await;
        }
        Ok(())
    }

    async fn disable_native_updates(&self) -> Result<(), BackEndError> {
        Ok(())
    }

    async fn restore_native_updates(&self) -> Result<(), BackEndError> {
        Ok(())
    }

    async fn refresh(&self) -> Vec<String> {
        Vec::new()
    }

    async fn assess(&self) -> Result<Assessment, BackEndError> {
        let mut state = self.lock();
        self.settle(&mut state);
        let patch = |lack: &Lack| Patch {
            name: lack.package.name.clone(),
            version: lack.package.version.clone(),
            classification: lack.classification,
            obstacle: None,
        };
        let patches = state.lacks.iter().map(patch).collect();
        Ok(Assessment { patches, reboot_pending: state.reboot_required, warnings: Vec::new() })
    }

    async fn plan(&self, _: &[Package]) -> Result<(), PlanError> {
        Ok(())
    }

    async fn download(&self, _: &[Package]) -> Result<(), BackEndError> {
        Ok(())
    }

    async fn install(&self, packages: &[Package]) -> Result<Running, BackEndError> {
        let count = i32::try_from(packages.len()).unwrap_or(i32::MAX);
        let end = self.clock.now() + Duration::seconds(self.settings.package_seconds.into()) * count;
        let mut state = self.lock();
        state.installs += 1;
        state.installing = Some((packages.to_vec(), end));
        Ok(Running { pid: 0, started: state.installs, log: String::new() })
    }

    async fn wait(&self, running: &Running) -> Said {
        let mut said = Said::default();
        let underway = {
            let state = self.lock();
            state.installing.clone().filter(|_| state.installs == running.started)
        };
        let Some((packages, end)) = underway else { return said };
        self.clock.sleep_until(end).await;
        self.settle(&mut self.lock());
        if let Some(name) = &self.settings.fails_install
            && packages.iter().any(|package| package.name == *name)
        {
            let why = "its post-installation script ended with exit code 1";
            said.errors.insert(name.clone(), why.to_owned());
        }
        said
    }

    async fn standings(&self, packages: &[Package]) -> Result<BTreeMap<String, Standing>, BackEndError> {
        let mut state = self.lock();
        self.settle(&mut state);
        let lacks = |package: &Package| state.lacks.iter().any(|lack| lack.package == *package);
        let standing = |package: &Package| match lacks(package) {
            true => Standing::Not("the version before is installed".into()),
            false => Standing::Installed,
        };
        Ok(packages.iter().map(|package| (package.name.clone(), standing(package))).collect())
    }

    async fn reboot_required(&self) -> Result<bool, BackEndError> {
        Ok(self.lock().reboot_required)
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        let up = self.clock.now() + Duration::seconds(self.settings.reboot_seconds.into());
        self.down.send_replace(Some(up));
        Ok(())
    }

    async fn ailment(&self) -> Option<String> {
        let ill_after = self.settings.bad_patch && self.lock().was_patched;
        match (self.settings.ill_from_start, ill_after) {
            (true, _) => Some("a disk reports errors".into()),
            (_, true) => Some("service down after patch".into()),
            _ => None,
        }
    }

    async fn goes_down(&self) {
        // The sender lives as long as the machine: there is no error to meet.
        drop(self.down.subscribe().wait_for(Option::is_some).await);
    }

    async fn comes_up(&self) {
        let until = *self.down.borrow();
        if let Some(until) = until {
            self.clock.sleep_until(until).await;
            let mut state = self.lock();
            state.boots += 1;
            state.reboot_required = false;
        }
        self.down.send_replace(None);
    }
}

fn lack(name: &str, classification: Classification, needs_reboot: bool) -> Lack {
    let package = Package { name: name.to_owned(), version: "2.0".into() };
    Lack { package, classification, needs_reboot }
}

/// The same for the same VM and seed on every machine and in every build: so no hasher of the standard library.
fn seeded(vm: &VmId, seed: u64) -> StdRng {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, vm.as_str().as_bytes());
    StdRng::seed_from_u64(seed ^ name.as_u64_pair().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(vm: &str, settings: Settings) -> SimulatedMachine {
        SimulatedMachine::new(VmId::new(vm).unwrap(), settings, Clock::system())
    }

    #[tokio::test]
    async fn the_same_seed_makes_the_same_machine() {
        let of =
            async |vm, seed| machine(vm, Settings { seed, ..Settings::default() }).assess().await.unwrap();
        assert_eq!(of("a", 1).await, of("a", 1).await);
        let mut different = 0;
        for seed in 2..10 {
            different += usize::from(of("a", seed).await != of("a", 1).await);
        }
        assert!(different > 4);
        assert!(of("b", 3).await.critical_and_security() > 0);
    }

    #[tokio::test]
    async fn an_install_takes_its_time_and_a_bad_patch_makes_ill() {
        let settings = Settings { package_seconds: 0, bad_patch: true, ..Settings::default() };
        let machine = machine("a", settings);
        let patch = machine.assess().await.unwrap().patches.remove(0);
        let package = Package { name: patch.name, version: patch.version };
        assert_eq!(machine.ailment().await, None);
        let running = machine.install(std::slice::from_ref(&package)).await.unwrap();
        machine.wait(&running).await;
        let standings = machine.standings(std::slice::from_ref(&package)).await.unwrap();
        assert_eq!(standings[&package.name], Standing::Installed);
        assert_eq!(machine.ailment().await.unwrap(), "service down after patch");
    }
}
