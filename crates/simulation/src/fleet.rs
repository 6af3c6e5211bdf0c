//! Random fleets, of every kind of placement and many time zones.

use chrono_tz::Tz;
use nightshift_domain::fleet::{Feature, Fleet, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::id::InvalidId;
use nightshift_domain::topology::{InvalidTopology, Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{AvailabilitySetId, Event, RegionName, SubscriptionId, VmId, ZoneName};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

const TIME_ZONES: [Tz; 8] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::America__Los_Angeles,
    Tz::Asia__Kolkata,
    Tz::Asia__Kathmandu,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Kiritimati,
    Tz::UTC,
];

/// Facts that declare a random fleet of `regions` regions, neighbours geo-paired.
///
/// # Errors
/// Only if a name that is made here were no identifier, or the topology contradicted itself.
pub fn random_fleet(rng: &mut StdRng, regions: usize) -> Result<Vec<Event>, Box<dyn std::error::Error>> {
    let topology = topology(rng, regions)?;
    let subscriptions: Vec<SubscriptionId> =
        ["retail", "bank", "lab"].into_iter().map(SubscriptionId::new).collect::<Result<_, _>>()?;
    // One of the three is not registered for automatic patching.
    let features = subscriptions[..2].iter().map(|s| (s.clone(), Feature::InGuestAutoPatchVMPreview));
    let mut vms = Vec::new();
    for region in topology.regions.values() {
        for number in 0..rng.random_range(1..12) {
            vms.push(vm(rng, region, number, &subscriptions)?);
        }
    }
    let features: Vec<_> = features.collect();
    Fleet::default().declare(topology, &features, vms).map_err(Into::into)
}

fn topology(rng: &mut StdRng, regions: usize) -> Result<Topology, Box<dyn std::error::Error>> {
    let names: Vec<RegionName> =
        (0..regions).map(|n| RegionName::new(format!("r{n}"))).collect::<Result<_, _>>()?;
    let region = |(number, name): (usize, &RegionName)| -> Result<Region, InvalidId> {
        let zones = if number % 2 == 0 { ["z1", "z2", "z3"].as_slice() } else { &[] };
        Ok(Region {
            name: name.clone(),
            time_zone: *TIME_ZONES.choose(rng).unwrap_or(&Tz::UTC),
            pair: names.get(number ^ 1).cloned(),
            zones: zones.iter().map(|zone| ZoneName::new(*zone)).collect::<Result<_, _>>()?,
        })
    };
    let regions: Vec<Region> = names.iter().enumerate().map(region).collect::<Result<_, _>>()?;
    Topology::new(Window::default_off_peak(), regions).map_err(|error: InvalidTopology| error.into())
}

fn vm(
    rng: &mut StdRng,
    region: &Region,
    number: usize,
    subscriptions: &[SubscriptionId],
) -> Result<Vm, InvalidId> {
    let zones: Vec<&ZoneName> = region.zones.iter().collect();
    let placement = match (rng.random_range(0..3), zones.choose(rng)) {
        (0, Some(zone)) => Placement::Zone((*zone).clone()),
        (1, _) => Placement::AvailabilitySet {
            set: AvailabilitySetId::new(format!("set-{}", rng.random_range(0..2)))?,
            update_domain: rng.random_range(0..3),
        },
        _ => Placement::Standalone,
    };
    let patch_mode =
        if rng.random_ratio(1, 10) { PatchMode::ImageDefault } else { PatchMode::AutomaticByPlatform };
    Ok(Vm {
        id: VmId::new(format!("{}-vm{number}", region.name))?,
        subscription: subscriptions.choose(rng).unwrap_or(&subscriptions[0]).clone(),
        resource_group: "group".into(),
        region: region.name.clone(),
        placement,
        os: Os::Linux,
        image: Image { publisher: "Canonical".into(), offer: "UbuntuServer".into(), sku: "18.04-LTS".into() },
        patch_mode,
        time_zone: rng.random_ratio(1, 4).then(|| *TIME_ZONES.choose(rng).unwrap_or(&Tz::UTC)),
        window: None,
        automatic_updates: None,
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    })
}
