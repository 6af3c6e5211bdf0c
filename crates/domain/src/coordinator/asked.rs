//! What a rollout's own facts ask of its runs.

use crate::event::Event;
use crate::fleet::Fleet;
use crate::id::RegionName;
use crate::on_demand::OnDemand;
use crate::policy::{PatchChoice, Policy};
use crate::run::{Ask, Beside, Wish};
use crate::selection::PackageVersion;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a rollout's own facts ask of its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub policy: Policy,
    /// Present if a person asked for it, on one VM.
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
    held: bool,
    stops: u32,
    ended: bool,
    /// Regions that hold a turn, with its phase and round.
    turns: BTreeMap<RegionName, (u32, u32)>,
    acknowledged_halts: BTreeMap<RegionName, u32>,
    barred: BTreeSet<PackageVersion>,
    certified: BTreeSet<PackageVersion>,
    /// How often a person had each region's failed tried again.
    retries: BTreeMap<RegionName, u32>,
    /// Regions that a person took out.
    skipped: BTreeSet<RegionName>,
}

impl Asked {
    pub fn of(policy: &Policy, on_demand: &Option<OnDemand>) -> Self {
        Self {
            policy: policy.clone(),
            on_demand: on_demand.clone(),
            held: false,
            stops: 0,
            ended: false,
            turns: BTreeMap::new(),
            acknowledged_halts: BTreeMap::new(),
            barred: BTreeSet::new(),
            certified: BTreeSet::new(),
            retries: BTreeMap::new(),
            skipped: BTreeSet::new(),
        }
    }

    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TurnGranted { region, phase, round, .. } => {
                self.turns.insert(region.clone(), (*phase, *round));
            }
            Event::TurnEnded { region, .. } => {
                self.turns.remove(region);
            }
            Event::RolloutHalted { region, .. } => {
                self.held = true;
                self.stops += 1;
                if let Some(region) = region {
                    *self.acknowledged_halts.entry(region.clone()).or_default() += 1;
                }
            }
            Event::RolloutPaused { .. } => {
                self.held = true;
                self.stops += 1;
            }
            Event::RolloutResumed { .. } => self.held = false,
            Event::RolloutRetried { regions, .. } => {
                self.held = false;
                regions.iter().for_each(|region| *self.retries.entry(region.clone()).or_default() += 1);
            }
            Event::RegionSkipped { region, .. } => {
                self.skipped.insert(region.clone());
            }
            Event::RolloutCancelled { .. } | Event::RolloutExpired { .. } => {
                self.ended = true;
                self.stops += 1;
            }
            Event::PolicyChanged { policy, .. } => self.policy = policy.clone(),
            Event::PatchBarred { patch, .. } => {
                self.barred.insert(patch.clone());
            }
            Event::PatchesCertified { patches, .. } => self.certified.extend(patches.iter().cloned()),
            _ => {}
        }
    }

    /// The region's turn, if it holds one: its phase and round.
    pub fn turn(&self, region: &RegionName) -> Option<(u32, u32)> {
        self.turns.get(region).copied()
    }

    pub fn wish(&self) -> Wish {
        match (self.ended, self.held) {
            (true, _) => Wish::Hold { for_good: true },
            (false, true) => Wish::Hold { for_good: false },
            (false, false) => Wish::Go,
        }
    }

    /// How often a person had the region's failed tried again.
    pub fn retries(&self, region: &RegionName) -> u32 {
        self.retries.get(region).copied().unwrap_or_default()
    }

    pub fn ask<'a>(
        &'a self,
        region: &RegionName,
        phase: u32,
        fleet: &'a Fleet,
        beside: Beside<'a>,
    ) -> Ask<'a> {
        let is_skipped = self.skipped.contains(region);
        let pinned = self.policy.patches == PatchChoice::Certified && phase >= self.policy.certify_phases;
        Ask {
            wish: if is_skipped { Wish::Hold { for_good: true } } else { self.wish() },
            is_skipped,
            retries: self.retries(region),
            policy: &self.policy,
            barred: &self.barred,
            certified: pinned.then_some(&self.certified),
            // To its region a skip is a stop too: who has not read of it yet knows of fewer.
            stops: self.stops + u32::from(is_skipped),
            acknowledged_halts: self.acknowledged_halts.get(region).copied().unwrap_or_default(),
            fleet,
            not_after: self.on_demand.as_ref().map(|on_demand| on_demand.not_after),
            beside,
        }
    }
}
