//! What the machine lacks, and how urgent it is. Reads only, waits for no lock.

use super::parse::{Policy, Simulation, Step};
use super::{Apt, READING, debian};
use crate::back_end::{BackEndError, Package};
use nightshift_domain::patch::{Assessment, Classification, Patch};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Leaves nothing but security archives to choose from: so a security fix shows even where a newer version without
/// one hides it, whatever the mirrors' addresses are. apt tells Debian's security fixes apart from the rest, but not
/// critical ones among them.
pub(super) const SECURITY_PINS: &str = "\
Package: *\nPin: release a=*-security\nPin-Priority: 500\n
Package: *\nPin: release l=Debian-Security\nPin-Priority: 500\n
Package: *\nPin: release l=UbuntuESM\nPin-Priority: 500\n
Package: *\nPin: release l=UbuntuESMApps\nPin-Priority: 500\n
Package: *\nPin: release a=*\nPin-Priority: -1\n";

/// How long to wait before each further try to reach the sources.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];
const UPDATE: Duration = Duration::from_secs(300);

/// Asks the sources for news. apt waits for no lock here and takes a dead mirror for success unless told otherwise.
pub(super) async fn refresh(apt: &Apt) -> Vec<String> {
    let arguments = ["-q", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=2", "update"];
    let mut waits = AGAIN_AFTER.iter();
    loop {
        let warnings = match apt.programs.run("apt-get", &arguments, UPDATE).await {
            Ok(output) if output.success() => return Vec::new(),
            Ok(output) => complaints(&output.err),
            Err(error) => vec![error.to_string()],
        };
        let Some(wait) = waits.next() else { return warnings };
        tokio::time::sleep(*wait).await;
    }
}

fn complaints(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("E: ") || line.starts_with("W: "));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.is_empty() { vec!["the package sources did not answer".to_owned()] } else { lines }
}

/// The whole assessment.
pub(super) async fn assess(apt: &Apt) -> Result<Assessment, BackEndError> {
    // The judge of every install: if nobody can read it, nothing is to be begun.
    apt.database().await?;
    let everything = simulate(apt, &[]).await?;
    let security = simulate(apt, &pinned(apt)).await?;
    let held = held(apt).await?;
    let mut patches = BTreeMap::new();
    for patch in security_patches(apt, &security, &everything, &held).await? {
        patches.insert(patch.name.clone(), patch);
    }
    for patch in esm_patches(apt, &everything).await? {
        patches.entry(patch.name.clone()).or_insert(patch);
    }
    for patch in other_patches(apt, &everything, &held).await? {
        patches.entry(patch.name.clone()).or_insert(patch);
    }
    let mut warnings = Vec::new();
    patches.retain(|_, patch| {
        let sound = debian::is_name(&patch.name) && debian::is_version(&patch.version);
        if !sound {
            warnings.push(format!("apt named {:?} {:?}, which is no package", patch.name, patch.version));
        }
        sound
    });
    let reboot_pending = apt.reboot_flag().exists();
    Ok(Assessment { patches: patches.into_values().collect(), reboot_pending, warnings })
}

async fn security_patches(
    apt: &Apt,
    security: &Simulation,
    everything: &Simulation,
    held: &BTreeSet<String>,
) -> Result<Vec<Patch>, BackEndError> {
    let mut patches = Vec::new();
    for step in upgrades(security).filter(|step| step.is_security()) {
        let obstacle = unwanted(&step.name, everything);
        patches.push(patch(&step.name, &step.new, Classification::Security, obstacle));
    }
    // What security archives alone cannot give may be possible with all sources.
    for policy in policies(apt, &pinned(apt), not_upgraded(security)).await? {
        let Some(version) = newer(&policy) else { continue };
        let obstacle = match obstacle(&policy, everything, held) {
            None => alone(apt, &policy.name, &version).await,
            known => known,
        };
        patches.push(patch(&policy.name, &version, Classification::Security, obstacle));
    }
    Ok(patches)
}

/// Fixes that this machine may not have. Their versions are not to be seen from here: they stand under the installed one.
async fn esm_patches(apt: &Apt, everything: &Simulation) -> Result<Vec<Patch>, BackEndError> {
    let names = everything.needs_pro.iter().map(String::as_str).collect();
    let fix = |policy: Policy| {
        let obstacle = "its security fix needs Ubuntu Pro (ESM), to which this machine is not attached";
        Some(patch(&policy.name, &policy.installed?, Classification::Security, Some(obstacle.to_owned())))
    };
    Ok(policies(apt, &[], names).await?.into_iter().filter_map(fix).collect())
}

async fn other_patches(
    apt: &Apt,
    everything: &Simulation,
    held: &BTreeSet<String>,
) -> Result<Vec<Patch>, BackEndError> {
    let mut patches = Vec::new();
    for step in upgrades(everything) {
        let classification =
            if step.is_security() { Classification::Security } else { Classification::Other };
        patches.push(patch(&step.name, &step.new, classification, None));
    }
    for policy in policies(apt, &[], not_upgraded(everything)).await? {
        let Some(version) = newer(&policy) else { continue };
        let obstacle =
            obstacle(&policy, everything, held).unwrap_or_else(|| "kept back by the package manager".into());
        patches.push(patch(&policy.name, &version, Classification::Other, Some(obstacle)));
    }
    Ok(patches)
}

/// What would be newer, and what is at its new version already but was left half-configured: the latter has no
/// `Inst` line any more, and whoever looks for those alone calls such a machine clean. A package that is new on the
/// machine is no patch: it comes as another's dependency.
fn upgrades(simulation: &Simulation) -> impl Iterator<Item = &Step> {
    let unpacked: BTreeSet<&str> = simulation.installs.iter().map(|step| step.name.as_str()).collect();
    let upgraded = simulation.installs.iter().filter(|step| step.old.is_some());
    let half_done = simulation.configures.iter().filter(move |step| !unpacked.contains(step.name.as_str()));
    upgraded.chain(half_done)
}

fn not_upgraded(simulation: &Simulation) -> Vec<&str> {
    simulation.kept_back.iter().chain(&simulation.phased).map(String::as_str).collect()
}

/// A fix that the machine's own preferences rule out is not forced on it.
fn unwanted(name: &str, everything: &Simulation) -> Option<String> {
    let wanted =
        upgrades(everything).any(|step| step.name == name) || not_upgraded(everything).contains(&name);
    (!wanted).then(|| "the machine's own preferences (apt_preferences) do not want it".to_owned())
}

fn obstacle(policy: &Policy, everything: &Simulation, held: &BTreeSet<String>) -> Option<String> {
    if held.contains(&policy.name) {
        return Some("held (apt-mark hold)".to_owned());
    }
    if let Some(percent) = &policy.phased {
        return Some(format!("phased: rolled out to {percent} of machines so far"));
    }
    everything.phased.contains(&policy.name).then(|| "phased: not yet rolled out to this machine".to_owned())
}

/// What stands against one package, with all sources to help.
async fn alone(apt: &Apt, name: &str, version: &str) -> Option<String> {
    let package = Package { name: name.to_owned(), version: version.to_owned() };
    apt.simulate_install(&[package]).await.err().map(|error| error.to_string())
}

fn newer(policy: &Policy) -> Option<String> {
    let (installed, candidate) = (policy.installed.as_ref()?, policy.candidate.as_ref()?);
    (debian::compare(candidate, installed).is_gt()).then(|| candidate.clone())
}

fn patch(name: &str, version: &str, classification: Classification, obstacle: Option<String>) -> Patch {
    Patch { name: name.to_owned(), version: version.to_owned(), classification, obstacle }
}

async fn simulate(apt: &Apt, options: &[String]) -> Result<Simulation, BackEndError> {
    let mut arguments: Vec<&str> = vec!["-s", "-q"];
    arguments.extend(options.iter().map(String::as_str));
    // Not dist-upgrade, which removes packages; not upgrade alone, which keeps back what needs a new one.
    arguments.extend(["upgrade", "--with-new-pkgs"]);
    let output = apt.programs.read("apt-get", &arguments, READING).await?;
    Simulation::whole(&output.out).map_err(BackEndError)
}

async fn policies(apt: &Apt, options: &[String], names: Vec<&str>) -> Result<Vec<Policy>, BackEndError> {
    let names: Vec<&str> = names.into_iter().filter(|name| debian::is_name(name)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.push("policy");
    arguments.extend(names);
    let output = apt.programs.read("apt-cache", &arguments, READING).await?;
    Ok(Policy::read(&output.out))
}

fn pinned(apt: &Apt) -> Vec<String> {
    let preferences = format!("Dir::Etc::Preferences={}", apt.pins.display());
    ["-o".into(), preferences, "-o".into(), "Dir::Etc::PreferencesParts=/dev/null".into()].to_vec()
}

async fn held(apt: &Apt) -> Result<BTreeSet<String>, BackEndError> {
    let output = apt.programs.read("apt-mark", &["showhold"], READING).await?;
    Ok(output.out.split_whitespace().map(str::to_owned).collect())
}
