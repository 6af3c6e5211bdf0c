//! Which region last changed when, counted in facts: whoever looks again and again looks only at what is new.

use nightshift_domain::{Event, Fact, RegionName};
use std::collections::BTreeMap;

/// How far the view is, in facts since this process began.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes {
    facts: u64,
    everywhere: u64,
    of: BTreeMap<RegionName, u64>,
}

impl Changes {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        self.facts += 1;
        let region = match &fact.event {
            Event::TurnGranted { region, .. }
            | Event::TurnEnded { region, .. }
            | Event::RegionSkipped { region, .. } => Some(region),
            _ => fact.region(),
        };
        match region {
            Some(region) => {
                self.of.insert(region.clone(), self.facts);
            }
            None => self.everywhere = self.facts,
        }
    }

    /// How many facts there were when something last changed that may concern the region.
    pub(crate) fn of(&self, region: &RegionName) -> u64 {
        self.of.get(region).copied().unwrap_or(0).max(self.everywhere)
    }
}
