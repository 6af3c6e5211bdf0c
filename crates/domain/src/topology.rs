//! Regions, which of them are geo-paired, their zones and their time: data, never code.

use crate::fleet::Image;
use crate::id::{RegionName, ZoneName};
use crate::window::Window;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its name.
    pub name: RegionName,
    /// The time zone of VMs that name none of their own.
    pub time_zone: Tz,
    /// The region it is geo-paired with. One direction is enough to keep the two apart.
    pub pair: Option<RegionName>,
    /// Its availability zones; may be empty.
    pub zones: BTreeSet<ZoneName>,
}

/// What Nightshift believes of the world around the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The window of VMs that have none of their own.
    pub window: Window,
    /// All regions.
    pub regions: BTreeMap<RegionName, Region>,
    /// Images that can be patched beside those that Nightshift knows (REQUIREMENTS.md C1).
    pub images: Vec<Image>,
}

/// A topology that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopology {
    /// A pair that is not in the topology.
    #[error("region \"{region}\": pair = \"{pair}\" is not a region of this topology")]
    UnknownPair {
        /// The region that names the pair.
        region: RegionName,
        /// The pair.
        pair: RegionName,
    },
    /// A region that is its own pair.
    #[error("region \"{0}\": pair = \"{0}\" is the region itself")]
    OwnPair(RegionName),
}

impl Topology {
    /// No region yet.
    pub fn empty() -> Self {
        Self { window: Window::default_off_peak(), regions: BTreeMap::new(), images: Vec::new() }
    }

    /// Takes regions whose pairs are regions of the same list.
    pub fn new(window: Window, regions: impl IntoIterator<Item = Region>) -> Result<Self, InvalidTopology> {
        let regions: BTreeMap<_, _> = regions.into_iter().map(|r| (r.name.clone(), r)).collect();
        for region in regions.values() {
            if let Some(pair) = &region.pair {
                if *pair == region.name {
                    return Err(InvalidTopology::OwnPair(pair.clone()));
                }
                if !regions.contains_key(pair) {
                    return Err(InvalidTopology::UnknownPair {
                        region: region.name.clone(),
                        pair: pair.clone(),
                    });
                }
            }
        }
        Ok(Self { window, regions, images: Vec::new() })
    }

    /// The same with images that can be patched beside those that Nightshift knows.
    pub fn with_images(self, images: Vec<Image>) -> Self {
        Self { images, ..self }
    }

    /// Whether VMs made from this image can be patched.
    pub fn supports(&self, image: &Image) -> bool {
        image.is_supported() || self.images.iter().any(|known| image.is(known))
    }

    /// Whether the two are geo-paired, in either direction (pairs can be one-directional).
    pub fn paired(&self, one: &RegionName, other: &RegionName) -> bool {
        let names = |from: &RegionName, to| self.regions.get(from).and_then(|r| r.pair.as_ref()) == Some(to);
        names(one, other) || names(other, one)
    }
}
