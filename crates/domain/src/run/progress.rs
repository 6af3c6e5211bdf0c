//! How far a step is, counted as the facts come in, so that no decision has to count a region.

use super::Standing;
use crate::event::Outcome;
use crate::id::VmId;
use crate::layout::{Member, StepKey};
use crate::patch::{Blame, PatchTally};
use crate::rollout::Tally;
use crate::selection::PackageVersion;
use crate::window::Window;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A step that has started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StepProgress {
    /// VMs that the run is not done with.
    pub open: usize,
    /// Of them, those that nothing was done with yet, by their windows.
    pub waiting: Vec<Queue>,
    /// Of them, those of which the baseline was asked for, and that are not ordered yet.
    pub called: BTreeSet<VmId>,
    /// VMs that are in flight or about to be.
    pub taken: usize,
    pub tally: Tally,
    pub patches: Patches,
    pub ended: bool,
}

/// VMs that share a window, and so wait for the same moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Queue {
    pub window: Window,
    pub time_zone: Tz,
    pub vms: BTreeSet<VmId>,
}

impl StepProgress {
    pub fn started<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        let mut step = Self::default();
        for member in members {
            step.open += 1;
            step.queue(member).vms.insert(member.vm.clone());
        }
        step
    }

    /// A VM of the step stands elsewhere now.
    pub fn moved(&mut self, member: &Member, before: &Standing, now: &Standing) {
        if *before == Standing::Waiting {
            self.queue(member).vms.remove(&member.vm);
        }
        match now {
            Standing::Waiting => {
                self.queue(member).vms.insert(member.vm.clone());
            }
            Standing::Called { .. } | Standing::Baselined { .. } => {
                self.called.insert(member.vm.clone());
            }
            _ => {
                self.called.remove(&member.vm);
            }
        }
        if before.takes_a_place() {
            self.taken = self.taken.saturating_sub(1);
        }
        if now.takes_a_place() {
            self.taken += 1;
        }
        if !before.is_terminal() && now.is_terminal() {
            self.open = self.open.saturating_sub(1);
        }
        before.uncount(&mut self.tally);
        now.count(&mut self.tally);
    }
}

// A step's VMs have few windows between them.
impl StepProgress {
    fn queue(&mut self, member: &Member) -> &mut Queue {
        let (window, time_zone) = (member.window, member.time_zone);
        let known =
            self.waiting.iter().position(|queue| queue.window == window && queue.time_zone == time_zone);
        let index = known.unwrap_or_else(|| {
            self.waiting.push(Queue { window, time_zone, vms: BTreeSet::new() });
            self.waiting.len() - 1
        });
        &mut self.waiting[index]
    }
}

/// A VM that failed in this round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub step: StepKey,
    pub blamed: Vec<PackageVersion>,
}

/// What became of each version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Patches(#[serde(with = "as_list")] BTreeMap<PackageVersion, (u32, u32)>);

/// Versions that one event tells of: keeps an event far below the log's largest message (1 MiB in NATS).
const MOST: usize = 2_000;

impl Patches {
    pub fn count(&mut self, installed: &[PackageVersion], outcome: &Outcome, blamed: &[Blame]) {
        match outcome {
            Outcome::Healthy => {
                installed.iter().for_each(|patch| self.0.entry(patch.clone()).or_default().0 += 1);
            }
            Outcome::Failed { .. } => {
                blamed.iter().for_each(|blame| self.0.entry(blame.patch.clone()).or_default().1 += 1);
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        for (patch, (healthy, failed)) in other.0 {
            let sum = self.0.entry(patch).or_default();
            *sum = (sum.0 + healthy, sum.1 + failed);
        }
    }

    pub fn tallies(&self) -> Vec<PatchTally> {
        let tally = |(patch, (healthy, failed)): (&PackageVersion, &(u32, u32))| PatchTally {
            patch: patch.clone(),
            healthy: *healthy,
            failed: *failed,
        };
        self.0.iter().take(MOST).map(tally).collect()
    }
}

/// JSON has only texts as keys; these keys are more than a text.
pub(super) mod as_list {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
