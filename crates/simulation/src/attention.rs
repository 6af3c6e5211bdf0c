//! Which regions' runs are worth asking what to do next: those of which something was heard, and those whose time has
//! come. All others would answer what they answered before.

use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::{Decision, Event, Fact, Partition, RegionName, Time};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default)]
pub(crate) struct Attention {
    heard: BTreeSet<RegionName>,
    wakes: BTreeMap<RegionName, Time>,
}

impl Attention {
    /// Of every region, as after a start.
    pub fn to_all(coordinator: &Coordinator) -> Self {
        let mut attention = Self::default();
        attention.heed_all(coordinator);
        attention
    }

    /// The coordinator has taken this fact.
    pub fn heed(&mut self, fact: &Fact, coordinator: &Coordinator) {
        match (&fact.partition, &fact.event) {
            (Partition::Region(region), _) => {
                self.heard.insert(region.clone());
            }
            // A machine that no run has enlisted yet changes no run.
            (Partition::Fleet, Event::VmRegistered { .. }) => {}
            _ => self.heed_all(coordinator),
        }
    }

    /// What the runs say now.
    pub fn decide(&mut self, coordinator: &Coordinator, now: Time) -> Vec<Decision> {
        let due = self.wakes.iter().filter(|(_, at)| **at <= now).map(|(region, _)| region.clone());
        self.heard.extend(due);
        let mut decisions = Vec::new();
        for region in std::mem::take(&mut self.heard) {
            decisions.extend(coordinator.decide_in(&region, now));
            match coordinator.next_wake_in(&region, now) {
                Some(wake) => self.wakes.insert(region, wake),
                None => self.wakes.remove(&region),
            };
        }
        decisions
    }

    /// When the clock alone could change what the runs say.
    pub fn next_wake(&self) -> Option<Time> {
        self.wakes.values().min().copied()
    }

    fn heed_all(&mut self, coordinator: &Coordinator) {
        self.heard.extend(coordinator.fleet.topology.regions.keys().cloned());
    }
}
