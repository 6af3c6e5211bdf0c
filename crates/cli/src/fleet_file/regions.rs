//! The regions of a topology, and what a fleet file adds to them or changes.

use super::entries::{RegionEntry, TopologyEntries};
use super::shipped::SHIPPED;
use super::source::{Mistake, Place, Source};
use nightshift_domain::RegionName;
use nightshift_domain::fleet::Image;
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// A topology as it is gathered from files.
#[derive(Debug, Default)]
pub(super) struct Regions {
    pub(super) window: Option<Window>,
    /// Images that may be patched beside those that Nightshift knows.
    pub(super) images: Vec<Image>,
    regions: BTreeMap<RegionName, Region>,
    /// Where each pair was said.
    pairs: BTreeMap<RegionName, Place>,
}

impl Regions {
    /// The topology that a fleet file names: a shipped one, or a file beside the fleet file.
    pub(super) fn of_topology(
        fleet_file: &Source,
        named: &Spanned<String>,
        folder: &Path,
    ) -> Result<Self, Mistake> {
        let name = named.get_ref();
        if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| shipped == name) {
            return Self::of_file(&Source::new(format!("topology \"{name}\""), *text));
        }
        if !name.ends_with(".toml") {
            let shipped: Vec<_> = SHIPPED.iter().map(|(shipped, _)| *shipped).collect();
            let sentence = format!(
                "topology = \"{name}\" is neither a shipped one ({}) nor the name of a .toml file",
                shipped.join(", ")
            );
            return Err(fleet_file.mistake(named, sentence));
        }
        let source = Source::read(&folder.join(name))
            .map_err(|error| fleet_file.mistake(named, format!("topology = \"{name}\": {error:#}")))?;
        Self::of_file(&source)
    }

    /// A topology file by itself.
    pub(super) fn of_file(source: &Source) -> Result<Self, Mistake> {
        let entries: TopologyEntries = source.parse()?;
        let window = entries.window.map(|window| window.read(source)).transpose()?;
        let mut regions = Self { window, images: entries.image, ..Self::default() };
        regions.add(source, entries.region)?;
        regions.check_pairs()?;
        Ok(regions)
    }

    /// Adds a file's regions; of one that is known already, what the file says of it takes the place of what was
    /// known.
    pub(super) fn add(&mut self, source: &Source, entries: Vec<RegionEntry>) -> Result<(), Mistake> {
        let mut seen: BTreeMap<RegionName, Place> = BTreeMap::new();
        for RegionEntry { name: spanned, time_zone, pair, zones } in entries {
            let name = spanned.get_ref().clone();
            let place = source.place(spanned.span());
            if let Some(first) = seen.get(&name) {
                let sentence = format!("region \"{name}\" is declared twice, first in line {}", first.line());
                return Err(place.mistake(sentence));
            }
            let known = self.regions.remove(&name);
            let Some(time_zone) = time_zone.or(known.as_ref().map(|region| region.time_zone)) else {
                return Err(place.mistake(format!("region \"{name}\": time_zone is missing")));
            };
            let (known_pair, known_zones) =
                known.map(|region| (region.pair, region.zones)).unwrap_or_default();
            if let Some(pair) = &pair {
                self.pairs.insert(name.clone(), source.place(pair.span()));
            }
            let pair = pair.map(Spanned::into_inner).or(known_pair);
            let zones = zones.unwrap_or(known_zones);
            self.regions.insert(name.clone(), Region { name: name.clone(), time_zone, pair, zones });
            seen.insert(name, place);
        }
        Ok(())
    }

    /// The whole.
    pub(super) fn topology(self) -> anyhow::Result<Topology> {
        self.check_pairs()?;
        let window = self.window.unwrap_or_else(Window::default_off_peak);
        Ok(Topology::new(window, self.regions.into_values())?.with_images(self.images))
    }

    fn check_pairs(&self) -> Result<(), Mistake> {
        for (region, place) in &self.pairs {
            let Some(pair) = self.regions.get(region).and_then(|region| region.pair.as_ref()) else {
                continue;
            };
            let sentence = format!("region \"{region}\": pair = \"{pair}\"");
            if pair == region {
                return Err(place.mistake(format!("{sentence} is the region itself")));
            }
            if !self.regions.contains_key(pair) {
                return Err(place.mistake(format!("{sentence} is not a region of this topology")));
            }
        }
        Ok(())
    }
}
