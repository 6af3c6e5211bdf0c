//! Six sandboxed machines that install real packages, with apt, dnf and zypper: the fleet of `nightshift demo --real` and
//! of the tests across processes. Two geo-paired regions, two zones in each, one availability set of two update domains.

use crate::arguments::Servers;
use crate::fleet_file::DeclaredFleet;
use crate::{clients, enrolment};
use anyhow::Context as _;
use chrono::{Duration, Timelike as _, Utc};
use chrono_tz::Tz;
use nightshift_domain::fleet::{Feature, Image as VmImage, Os, PatchMode, Placement, Vm};
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{AvailabilitySetId, RegionName, SubscriptionId, VmId, ZoneName};
use nightshift_machines::{AptRepository, Image, Machine, Manager, RpmRepository};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

/// Region, machine, where it stands (a zone, or `set/<update domain>`), and what it is patched with.
const MACHINES: [(&str, &str, &str, Manager); 6] = [
    ("east", "east-z1", "east-1", Manager::Apt),
    ("east", "east-z2", "east-2", Manager::Dnf),
    ("east", "east-db0", "set/0", Manager::Dnf),
    ("east", "east-db1", "set/1", Manager::Zypper),
    ("west", "west-z1", "west-1", Manager::Apt),
    ("west", "west-z2", "west-2", Manager::Zypper),
];
/// The machine on which fx-fail fails.
pub const FAILS: &str = "west-z1";
/// The machine on which fx-kernel is due, which asks for a reboot.
pub const REBOOTS: &str = "east-db1";
/// The packages whose versions a report tells.
const TOLD: [&str; 9] =
    ["fx-sec", "fx-both", "fx-plain", "fx-held", "fx-app", "fx-lib", "fx-fail", "fx-conflict", "fx-kernel"];

/// The machines.
pub struct RealFleet {
    machines: BTreeMap<VmId, Machine>,
}

/// One machine as its own package database has it.
#[derive(Debug, Clone, Serialize)]
pub struct MachineReport {
    /// The machine.
    pub vm: String,
    /// What it is patched with.
    pub manager: &'static str,
    /// How often it was booted.
    pub boots: u32,
    /// Version and state of each fixture package.
    pub packages: BTreeMap<String, String>,
}

impl RealFleet {
    /// Makes the repositories, the images and the machines, all off: half a minute.
    ///
    /// `agent` is a program with its first arguments that is the agent, such as `nightshift agent`.
    pub fn prepare(folder: &Path, agent: &[&str]) -> anyhow::Result<Self> {
        let images = Images::prepare(folder)?;
        let mut machines = BTreeMap::new();
        for (_, name, _, manager) in MACHINES {
            let machine = create(folder, name, images.of(manager), agent)?;
            if name != FAILS {
                machine.write("/etc/fx-fail-ok", "")?;
            }
            if name != REBOOTS {
                let updated = machine.exec(needs_no_reboot(manager))?;
                anyhow::ensure!(
                    updated.status.success(),
                    "{name}: {}",
                    String::from_utf8_lossy(&updated.stderr)
                );
            }
            machines.insert(VmId::new(name)?, machine);
        }
        Ok(Self { machines })
    }

    /// The same of one machine, with apt, that is declared by somebody else.
    pub fn prepare_one(folder: &Path, agent: &[&str], vm: VmId) -> anyhow::Result<Self> {
        let repository = AptRepository::build(&folder.join("repository"))?;
        let image = Image::prepare(&folder.join("image"), &repository)?;
        let machine = create(folder, vm.as_str(), &image, agent)?;
        Ok(Self { machines: BTreeMap::from([(vm, machine)]) })
    }

    /// What the planner is told of them.
    pub fn declared() -> anyhow::Result<DeclaredFleet> {
        let subscription = SubscriptionId::new("real")?;
        let regions = [("east", "west"), ("west", "east")].map(|(name, pair)| region(name, pair));
        let topology = Topology::new(
            Window::default_off_peak(),
            regions.into_iter().collect::<anyhow::Result<Vec<_>>>()?,
        )?;
        let vms: anyhow::Result<Vec<Vm>> =
            MACHINES.iter().map(|machine| vm(machine, &subscription)).collect();
        Ok(DeclaredFleet {
            topology,
            features: vec![(subscription, Feature::InGuestAutoPatchVMPreview)],
            vms: vms?,
            powered_off: BTreeSet::new(),
        })
    }

    /// Seconds where fleets take hours; one machine may fail, as one is made to.
    pub fn policy() -> Policy {
        Policy {
            phase_shares: vec![50, 100],
            batch_percent: 50,
            soak: Duration::seconds(4),
            bake: Duration::seconds(1),
            longest_work: Duration::minutes(15),
            grace: Duration::minutes(1),
            silence: Duration::seconds(20),
            // The machines are gone before the next night.
            retry_nights: 0,
            budgets: Budgets::all(0, 1),
            ..Policy::default()
        }
    }

    /// Declares the fleet, gives each machine its token, and turns all on.
    pub async fn go_live(&mut self, servers: &Servers, agents: SocketAddr) -> anyhow::Result<()> {
        clients::fleet(servers).await?.declare_fleet(Self::declared()?.request()).await?;
        self.power_on(servers, agents).await
    }

    /// Gives each machine its token, turns all on, and waits until their agents have connected.
    pub async fn power_on(&mut self, servers: &Servers, agents: SocketAddr) -> anyhow::Result<()> {
        let order_keys = enrolment::order_keys(servers).await?;
        for issued in enrolment::tokens(servers, self.machines.keys()).await? {
            let vm = VmId::new(issued.vm)?;
            let machine = self.machines.get_mut(&vm).context("a token for a machine that is none of ours")?;
            machine.write("/etc/nightshift/token", &issued.token)?;
            machine.write("/etc/nightshift/authority.pem", &issued.authority_pem)?;
            machine.write("/etc/nightshift/order-keys.pem", &order_keys)?;
            machine.write(AGENT_CONFIG, &agent_config(&vm, agents))?;
            machine.power_on()?;
        }
        enrolment::connected(servers, self.machines.len()).await.with_context(|| self.last_words())
    }

    /// What each agent wrote last, for the message when one does not come.
    fn last_words(&self) -> String {
        let words = self.machines.iter().map(|(vm, machine)| {
            let log = machine.read("/var/log/nightshift-agent.log").unwrap_or_default();
            format!("{vm}: {}", log.lines().last().unwrap_or("its agent said nothing"))
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// The truth about each machine.
    pub fn inspect(&self) -> anyhow::Result<Vec<MachineReport>> {
        let report = |(vm, machine): (&VmId, &Machine)| {
            let package = |name: &&str| {
                let (version, state) = machine.package(name)?;
                let told = if state == "installed" { version } else { format!("{version} {state}") };
                anyhow::Ok(((*name).to_owned(), told))
            };
            let packages = TOLD.iter().map(package).collect::<anyhow::Result<_>>()?;
            let manager = program(machine.manager());
            Ok(MachineReport { vm: vm.to_string(), manager, boots: machine.boots(), packages })
        };
        self.machines.iter().map(report).collect()
    }
}

/// A machine whose agent is this program with these first arguments.
fn create(folder: &Path, name: &str, image: &Image, agent: &[&str]) -> anyhow::Result<Machine> {
    let bin = agent.first().and_then(|program| Path::new(program).parent());
    let bin = bin.context("the agent's program has no folder")?.to_owned();
    let command = agent.iter().chain(&["run", "--config", AGENT_CONFIG]).map(ToString::to_string).collect();
    Machine::create(&folder.join(name), name, image, &[bin], command)
}

/// What machines of each kind begin with.
struct Images {
    apt: Image,
    dnf: Image,
    zypper: Image,
}

impl Images {
    fn prepare(folder: &Path) -> anyhow::Result<Self> {
        let debian = AptRepository::build(&folder.join("repository"))?;
        let rpm = RpmRepository::build(&folder.join("rpm-repository"))?;
        Ok(Self {
            apt: Image::prepare(&folder.join("image"), &debian)?,
            dnf: Image::prepare_rpm(&folder.join("dnf-image"), &rpm, Manager::Dnf)?,
            zypper: Image::prepare_rpm(&folder.join("zypper-image"), &rpm, Manager::Zypper)?,
        })
    }

    fn of(&self, manager: Manager) -> &Image {
        match manager {
            Manager::Apt => &self.apt,
            Manager::Dnf => &self.dnf,
            Manager::Zypper => &self.zypper,
        }
    }
}

fn program(manager: Manager) -> &'static str {
    match manager {
        Manager::Apt => "apt",
        Manager::Dnf => "dnf",
        Manager::Zypper => "zypper",
    }
}

/// Installs what would ask for a reboot.
fn needs_no_reboot(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::Apt => &["apt-get", "-qq", "-y", "install", "fx-kernel=1.1"],
        Manager::Dnf => &["dnf", "-q", "-y", "upgrade", "fx-kernel", "linux-firmware"],
        Manager::Zypper => &["zypper", "-q", "-n", "update", "fx-kernel", "linux-firmware"],
    }
}

fn image(manager: Manager) -> VmImage {
    let (publisher, offer, sku) = match manager {
        Manager::Apt => ("Debian", "debian-12", "12"),
        Manager::Dnf => ("almalinux", "almalinux-x86_64", "9-gen2"),
        Manager::Zypper => ("SUSE", "sles-15-sp6", "gen2"),
    };
    VmImage { publisher: publisher.into(), offer: offer.into(), sku: sku.into() }
}

const AGENT_CONFIG: &str = "/etc/nightshift/agent.toml";

fn agent_config(vm: &VmId, agents: SocketAddr) -> String {
    let reboot: Vec<String> = Machine::reboot_command().iter().map(|word| format!("\"{word}\"")).collect();
    format!(
        "vm = \"{vm}\"\n\
         gateway = \"https://{agents}\"\n\
         token_file = \"/etc/nightshift/token\"\n\
         authority = \"/etc/nightshift/authority.pem\"\n\
         order_keys = \"/etc/nightshift/order-keys.pem\"\n\
         state_dir = \"/var/lib/nightshift-agent\"\n\
         reboot_command = [{}]\n\
         heartbeat_seconds = 1\n\
         reconnect_at_most_milliseconds = 500\n\
         [timings]\n\
         average_package_seconds = 5\n\
         longest_package_seconds = 60\n\
         reboot_seconds = 30\n",
        reboot.join(", ")
    )
}

fn region(name: &str, pair: &str) -> anyhow::Result<Region> {
    let zones = [format!("{name}-1"), format!("{name}-2")];
    Ok(Region {
        name: RegionName::new(name)?,
        time_zone: where_it_is_night(),
        pair: Some(RegionName::new(pair)?),
        zones: zones.into_iter().map(ZoneName::new).collect::<Result<_, _>>()?,
    })
}

/// A time zone in which it is now between midnight and one, so that the usual window is open for five hours more.
fn where_it_is_night() -> Tz {
    const ZONES: [Tz; 24] = [
        Tz::Etc__GMT,
        Tz::Etc__GMTPlus1,
        Tz::Etc__GMTPlus2,
        Tz::Etc__GMTPlus3,
        Tz::Etc__GMTPlus4,
        Tz::Etc__GMTPlus5,
        Tz::Etc__GMTPlus6,
        Tz::Etc__GMTPlus7,
        Tz::Etc__GMTPlus8,
        Tz::Etc__GMTPlus9,
        Tz::Etc__GMTPlus10,
        Tz::Etc__GMTPlus11,
        Tz::Etc__GMTPlus12,
        Tz::Etc__GMTMinus11,
        Tz::Etc__GMTMinus10,
        Tz::Etc__GMTMinus9,
        Tz::Etc__GMTMinus8,
        Tz::Etc__GMTMinus7,
        Tz::Etc__GMTMinus6,
        Tz::Etc__GMTMinus5,
        Tz::Etc__GMTMinus4,
        Tz::Etc__GMTMinus3,
        Tz::Etc__GMTMinus2,
        Tz::Etc__GMTMinus1,
    ];
    // POSIX names its zones the other way round: Etc/GMT+5 is five hours behind UTC.
    ZONES[Utc::now().hour() as usize % ZONES.len()]
}

fn vm(
    (region, name, place, manager): &(&str, &str, &str, Manager),
    subscription: &SubscriptionId,
) -> anyhow::Result<Vm> {
    let placement = match place.strip_prefix("set/") {
        Some(update_domain) => Placement::AvailabilitySet {
            set: AvailabilitySetId::new(format!("{region}-db"))?,
            update_domain: update_domain.parse()?,
        },
        None => Placement::Zone(ZoneName::new(*place)?),
    };
    Ok(Vm {
        id: VmId::new(*name)?,
        subscription: subscription.clone(),
        resource_group: "real".into(),
        region: RegionName::new(*region)?,
        placement,
        os: Os::Linux,
        image: image(*manager),
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: None,
        window: None,
        automatic_updates: None,
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    })
}
