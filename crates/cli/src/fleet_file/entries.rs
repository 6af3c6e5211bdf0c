//! What a fleet file and a topology file hold, as it is written.

use super::source::{Mistake, Source};
use chrono_tz::Tz;
use nightshift_domain::fleet::{AssessmentMode, Feature, Image, Os, PatchMode};
use nightshift_domain::patch::RebootSetting;
use nightshift_domain::window::{InvalidWindow, Window};
use nightshift_domain::{AvailabilitySetId, RegionName, SubscriptionId, ZoneName};
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FleetEntries {
    /// A shipped topology, or a file's name.
    pub(super) topology: Option<Spanned<String>>,
    pub(super) window: Option<WindowEntry>,
    #[serde(default)]
    pub(super) region: Vec<RegionEntry>,
    #[serde(default)]
    pub(super) subscription: Vec<SubscriptionEntry>,
    #[serde(default)]
    pub(super) image: Vec<ImageEntry>,
    #[serde(default)]
    pub(super) vms: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopologyEntries {
    pub(super) window: Option<WindowEntry>,
    #[serde(default)]
    pub(super) region: Vec<RegionEntry>,
    /// Images that may be patched beside those that Nightshift knows.
    #[serde(default)]
    pub(super) image: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowEntry {
    start: Spanned<String>,
    end: Spanned<String>,
}

impl WindowEntry {
    pub(super) fn read(&self, source: &Source) -> Result<Window, Mistake> {
        let (start, end) = (self.start.get_ref(), self.end.get_ref());
        Window::parse(start, end).map_err(|error| {
            let wrong = match &error {
                InvalidWindow::NotATime { field: "start", .. } => &self.start,
                InvalidWindow::NotATime { .. } | InvalidWindow::Empty(_) => &self.end,
            };
            source.mistake(wrong, error.to_string())
        })
    }
}

/// A region, or what is to be different of a region of the topology.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionEntry {
    pub(super) name: Spanned<RegionName>,
    pub(super) time_zone: Option<Tz>,
    pub(super) pair: Option<Spanned<RegionName>>,
    pub(super) zones: Option<BTreeSet<ZoneName>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionEntry {
    pub(super) name: SubscriptionId,
    #[serde(default)]
    features: Vec<Feature>,
}

impl SubscriptionEntry {
    pub(super) fn registrations(&self) -> impl Iterator<Item = (SubscriptionId, Feature)> {
        self.features.iter().map(|feature| (self.name.clone(), *feature))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageEntry {
    pub(super) name: String,
    pub(super) os: Os,
    publisher: String,
    offer: String,
    sku: String,
    /// May be patched though Nightshift does not know it.
    #[serde(default)]
    pub(super) supported: bool,
}

impl ImageEntry {
    pub(super) fn image(&self) -> Image {
        let Self { publisher, offer, sku, .. } = self;
        Image { publisher: publisher.clone(), offer: offer.clone(), sku: sku.clone() }
    }
}

/// Alike VMs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) prefix: Spanned<String>,
    pub(super) count: Spanned<u32>,
    pub(super) region: Spanned<RegionName>,
    pub(super) subscription: Spanned<SubscriptionId>,
    pub(super) resource_group: String,
    pub(super) image: Spanned<String>,
    pub(super) patch_mode: Spanned<PatchMode>,
    #[serde(default)]
    pub(super) zones: Vec<Spanned<ZoneName>>,
    pub(super) availability_set: Option<SetEntry>,
    pub(super) time_zone: Option<Tz>,
    pub(super) window: Option<WindowEntry>,
    /// Windows only.
    pub(super) automatic_updates: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) assessment_mode: AssessmentMode,
    pub(super) reboot: Option<RebootSetting>,
    pub(super) powered_off: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetEntry {
    pub(super) name: Spanned<AvailabilitySetId>,
    pub(super) update_domains: Spanned<u8>,
}
