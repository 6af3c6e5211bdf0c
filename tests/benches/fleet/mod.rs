//! The machines of the benchmarks, and of tests with many.

use nightshift_domain::fleet::{Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::{RegionName, SubscriptionId, VmId};

/// A VM of Linux outside zones and sets, of which only place and owner matter.
pub fn vm(id: String, subscription: String, resource_group: String, region: &str) -> Vm {
    Vm {
        id: VmId::new(id).unwrap(),
        subscription: SubscriptionId::new(subscription).unwrap(),
        resource_group,
        region: RegionName::new(region).unwrap(),
        placement: Placement::Standalone,
        os: Os::Linux,
        image: Image { publisher: "Canonical".into(), offer: "UbuntuServer".into(), sku: "18.04-LTS".into() },
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: None,
        window: None,
        automatic_updates: None,
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    }
}
