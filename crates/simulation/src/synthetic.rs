//! Fleets of any size over a topology, for load and what-if.

use nightshift_domain::fleet::{Feature, Fleet, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{AvailabilitySetId, Event, RegionName, SubscriptionId, VmId, ZoneName};
use std::error::Error;

/// Where the regions are: a city of each few hours.
const TIME_ZONES: [chrono_tz::Tz; 12] = [
    chrono_tz::Tz::America__Los_Angeles,
    chrono_tz::Tz::America__Chicago,
    chrono_tz::Tz::America__New_York,
    chrono_tz::Tz::America__Sao_Paulo,
    chrono_tz::Tz::Europe__London,
    chrono_tz::Tz::Europe__Paris,
    chrono_tz::Tz::Africa__Johannesburg,
    chrono_tz::Tz::Asia__Dubai,
    chrono_tz::Tz::Asia__Kolkata,
    chrono_tz::Tz::Asia__Singapore,
    chrono_tz::Tz::Asia__Tokyo,
    chrono_tz::Tz::Australia__Sydney,
];

/// Facts that declare a fleet of this many VMs in this many regions, neighbours geo-paired; of ten VMs four are in
/// zones, three in availability sets of ten VMs and five update domains, three in neither. Always the same.
///
/// # Errors
/// Only if a name that is made here were no identifier, or the topology contradicted itself.
pub fn synthetic_fleet(vms: usize, regions: usize) -> Result<Vec<Event>, Box<dyn Error>> {
    let names: Vec<RegionName> =
        (0..regions.max(1)).map(|n| RegionName::new(format!("region-{n:02}"))).collect::<Result<_, _>>()?;
    let topology = topology(&names)?;
    // A few subscriptions for every thousand VMs, as in real tenants.
    let subscriptions: Vec<SubscriptionId> = (0..(vms / 400).clamp(3, 500))
        .map(|n| SubscriptionId::new(format!("subscription-{n}")))
        .collect::<Result<_, _>>()?;
    let features: Vec<_> =
        subscriptions.iter().map(|id| (id.clone(), Feature::InGuestAutoPatchVMPreview)).collect();
    let all: Vec<Vm> = (0..vms).map(|number| vm(number, &names, &subscriptions)).collect::<Result<_, _>>()?;
    Ok(Fleet::default().declare(topology, &features, all)?)
}

fn topology(names: &[RegionName]) -> Result<Topology, Box<dyn Error>> {
    let mut regions = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let zones = ["1", "2", "3"].map(|zone| ZoneName::new(format!("{name}-{zone}")));
        regions.push(Region {
            name: name.clone(),
            time_zone: TIME_ZONES[number / 2 % TIME_ZONES.len()],
            pair: names.get(number ^ 1).cloned(),
            zones: zones.into_iter().collect::<Result<_, _>>()?,
        });
    }
    Ok(Topology::new(Window::default_off_peak(), regions)?)
}

fn vm(number: usize, regions: &[RegionName], subscriptions: &[SubscriptionId]) -> Result<Vm, Box<dyn Error>> {
    // Regions are of different sizes: the first take the least.
    let region = &regions[(number * number / 7 + number) % regions.len()];
    let placement = match number % 10 {
        kind @ 0..4 => Placement::Zone(ZoneName::new(format!("{region}-{}", kind % 3 + 1))?),
        4..7 => Placement::AvailabilitySet {
            set: AvailabilitySetId::new(format!("set-{}", number / (regions.len() * 30)))?,
            update_domain: u8::try_from(number / 10 % 5)?,
        },
        _ => Placement::Standalone,
    };
    Ok(Vm {
        id: VmId::new(format!("vm-{number:07}"))?,
        subscription: subscriptions[number % subscriptions.len()].clone(),
        resource_group: "group".into(),
        region: region.clone(),
        placement,
        os: Os::Linux,
        image: Image { publisher: "Canonical".into(), offer: "UbuntuServer".into(), sku: "18.04-LTS".into() },
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: None,
        window: None,
        automatic_updates: None,
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    })
}
