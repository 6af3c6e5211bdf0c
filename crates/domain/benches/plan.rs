//! A plan with its layout against a bare sort-and-group of the same VMs, in one process; prints JSON.
//!
//! `cargo bench -p nightshift-domain --bench plan [-- VMS]`, a million VMs in 60 regions if not said. The plan's
//! share is everything from the fleet to what a rollout carries out: eligibility, phases, stages, steps and batches.

use nightshift_domain::fleet::{Feature, Fleet, Image, Os, PatchMode, Placement, Registration, Vm};
use nightshift_domain::layout::{Member, Stage, stages};
use nightshift_domain::plan::{PlannedPhase, plan};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{RegionName, SubscriptionId, VmId, ZoneName};
use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

const REGIONS: u32 = 60;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`, `cargo test --benches` adds nothing of ours: a small number then.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let said = arguments.iter().find_map(|argument| argument.parse().ok());
    let bench = arguments.iter().any(|argument| argument == "--bench");
    let vms = said.unwrap_or(if bench { 1_000_000 } else { 10_000 });
    let fleet = fleet(vms)?;

    // First what stays in memory, before any other round has left free pages behind.
    let before = resident_bytes();
    let whole = plan_and_layout(&fleet);
    let bytes = resident_bytes().zip(before).map(|(after, before)| after.saturating_sub(before));
    let phases = whole.0.len();
    drop(whole);

    let rounds = (0..ROUNDS).map(|_| {
        let plan_alone = time(|| plan(&fleet, SHARES, &[]));
        (time(|| plan_and_layout(&fleet)), plan_alone, time(|| bare(&fleet)))
    });
    let rounds: Vec<_> = rounds.collect();
    let best = |of: fn(&(Duration, Duration, Duration)) -> Duration| {
        rounds.iter().map(of).min().unwrap_or_default().as_secs_f64()
    };
    let (ours, plan_alone, bare) = (best(|round| round.0), best(|round| round.1), best(|round| round.2));
    let report = serde_json::json!({
        "vms": vms,
        "regions": REGIONS,
        "phases": phases,
        "plan_and_layout_ms": ours * 1000.0,
        "of_which_plan_ms": plan_alone * 1000.0,
        "bare_sort_and_group_ms": bare * 1000.0,
        "ratio": ours / bare,
        "bytes_per_vm": bytes.map(|bytes| bytes as f64 / f64::from(vms)),
        "rounds": ROUNDS,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

const SHARES: &[u8] = &[1, 5, 20, 50, 100];

/// All that a rollout would carry out.
fn plan_and_layout(fleet: &Fleet) -> (Vec<PlannedPhase>, BTreeMap<&RegionName, Vec<Stage>>) {
    let phases = plan(fleet, SHARES, &[]);
    let mut members: BTreeMap<&RegionName, Vec<Member>> = BTreeMap::new();
    for vm in fleet.vms.values().filter(|vm| fleet.ineligible(vm).is_none()) {
        members.entry(&vm.region).or_default().extend(Member::of(vm, fleet));
    }
    let stages = members.into_iter().map(|(region, members)| (region, stages(&members, 20))).collect();
    (phases, stages)
}

/// The least that anybody has to do: the VMs sorted by what groups them, and cut where the group changes.
fn bare(fleet: &Fleet) -> Vec<Vec<&VmId>> {
    let mut vms: Vec<&Vm> = fleet.vms.values().collect();
    vms.sort_by_key(|vm| (&vm.region, &vm.placement, &vm.subscription, &vm.id));
    let same = |one: &&Vm, other: &&Vm| {
        (&one.region, &one.placement, &one.subscription)
            == (&other.region, &other.placement, &other.subscription)
    };
    vms.chunk_by(same).map(|group| group.iter().map(|vm| &vm.id).collect()).collect()
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    let made = black_box(work());
    let took = began.elapsed();
    drop(made);
    took
}

/// Sixty regions in pairs, of sizes from one to sixty; a third of the VMs in zones, a third in sets, a third in neither.
fn fleet(vms: u32) -> Result<Fleet, Box<dyn Error>> {
    let name = |region: u32| RegionName::new(format!("region-{region:02}"));
    let zones = (1..=3).map(|zone| ZoneName::new(zone.to_string())).collect::<Result<Vec<_>, _>>()?;
    let mut regions = Vec::new();
    for region in 0..REGIONS {
        let pair = Some(name(region ^ 1)?);
        let zones = zones.iter().cloned().collect();
        regions.push(Region { name: name(region)?, time_zone: chrono_tz::Tz::UTC, pair, zones });
    }
    let topology = Topology::new(Window::default_off_peak(), regions)?;
    let mut fleet = Fleet::new(topology, [], BTreeMap::new());
    let subscriptions: Vec<_> = (0..20)
        .map(|number| SubscriptionId::new(format!("subscription-{number:02}")))
        .collect::<Result<_, _>>()?;
    for subscription in &subscriptions {
        let feature = (subscription.clone(), Feature::InGuestAutoPatchVMPreview);
        fleet.features.insert(feature, Registration::Registered);
    }
    // Region r has r + 1 parts of the whole.
    let parts: Vec<u32> =
        (0..REGIONS).flat_map(|region| std::iter::repeat_n(region, region as usize + 1)).collect();
    for number in 0..vms {
        // A fixed scatter, so that neighbours by name are strangers by region.
        let scattered = number.wrapping_mul(2_654_435_761) >> 8;
        let region = parts[scattered as usize % parts.len()];
        let id = VmId::new(format!("vm-{number:07}"))?;
        let placement = match number % 3 {
            0 => Placement::Zone(zones[number as usize / 3 % 3].clone()),
            1 => Placement::AvailabilitySet {
                set: format!("set-{:03}", scattered % 500).parse()?,
                update_domain: u8::try_from(number / 3 % 5)?,
            },
            _ => Placement::Standalone,
        };
        let vm = Vm {
            id: id.clone(),
            subscription: subscriptions[number as usize % subscriptions.len()].clone(),
            resource_group: "group".into(),
            region: name(region)?,
            placement,
            os: Os::Linux,
            image: Image {
                publisher: "Canonical".into(),
                offer: "UbuntuServer".into(),
                sku: "18.04-LTS".into(),
            },
            patch_mode: PatchMode::AutomaticByPlatform,
            time_zone: None,
            window: None,
            automatic_updates: None,
            assessment_mode: Default::default(),
            reboot: None,
            resource: None,
        };
        fleet.vms.insert(id, vm);
    }
    Ok(fleet)
}

/// Memory of this process that is in use now; `None` where the system does not say (only Linux does).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
