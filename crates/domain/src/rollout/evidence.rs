//! What a rollout knows of each package version: who failed with it, and for how many it was well.

use super::Tally;
use crate::event::Outcome;
use crate::halt::{Failed, HaltEvidence};
use crate::id::{RegionName, VmId};
use crate::patch::{Blame, PatchTally};
use crate::selection::PackageVersion;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of each version. Failures count as soon as they are settled, successes when their step ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// VMs that were confirmed healthy.
    pub healthy: u32,
    #[serde(serialize_with = "as_list", deserialize_with = "from_list")]
    versions: BTreeMap<PackageVersion, Tried>,
    failures: BTreeMap<VmId, Failure>,
}

/// One version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// VMs that installed it and were confirmed healthy.
    pub healthy: u32,
    /// VMs on which its own installation failed.
    pub failed_directly: BTreeSet<VmId>,
    /// VMs that fell ill or silent after it was installed, among others.
    pub ill_after: BTreeSet<VmId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failure {
    region: RegionName,
    why: String,
    blamed: Vec<PackageVersion>,
    /// The rounds in which it failed.
    rounds: BTreeSet<u32>,
    /// It was patched and well since.
    healed: bool,
}

impl Evidence {
    pub(super) fn settled(
        &mut self,
        region: &RegionName,
        round: u32,
        vm: &VmId,
        outcome: &Outcome,
        blamed: &[Blame],
    ) {
        let Outcome::Failed { why } = outcome else {
            self.failures.get_mut(vm).into_iter().for_each(|failure| failure.healed = true);
            return;
        };
        for Blame { patch, direct } in blamed {
            let tried = self.versions.entry(patch.clone()).or_default();
            let failed = if *direct { &mut tried.failed_directly } else { &mut tried.ill_after };
            failed.insert(vm.clone());
        }
        let blamed = blamed.iter().map(|blame| blame.patch.clone()).collect();
        let mut rounds = self.failures.remove(vm).map(|before| before.rounds).unwrap_or_default();
        rounds.insert(round);
        let failure = Failure { region: region.clone(), why: why.clone(), blamed, rounds, healed: false };
        self.failures.insert(vm.clone(), failure);
    }

    pub(super) fn step_ended(&mut self, tally: Tally, patches: &[PatchTally]) {
        self.healthy += tally.healthy;
        for PatchTally { patch, healthy, .. } in patches {
            self.versions.entry(patch.clone()).or_default().healthy += healthy;
        }
    }

    /// VMs that failed, once each.
    pub fn failed(&self) -> u32 {
        u32::try_from(self.failures.len()).unwrap_or(u32::MAX)
    }

    /// VMs that failed in regions of which this holds.
    pub fn failed_in(&self, is: impl Fn(&RegionName) -> bool) -> u32 {
        let failed = self.failures.values().filter(|failure| is(&failure.region)).count();
        u32::try_from(failed).unwrap_or(u32::MAX)
    }

    /// VMs of the region that failed and were not well since.
    pub fn failing(&self, region: &RegionName) -> u32 {
        let failing = self.failures.values().filter(|failure| failure.region == *region && !failure.healed);
        u32::try_from(failing.count()).unwrap_or(u32::MAX)
    }

    /// The same without those that failed in that round: they were silent in it, and are as they were before or since.
    pub fn failing_beside(&self, region: &RegionName, round: u32) -> u32 {
        let of_region = self.failures.values().filter(|failure| failure.region == *region);
        let failing = of_region.filter(|failure| !failure.healed && !failure.rounds.contains(&round));
        u32::try_from(failing.count()).unwrap_or(u32::MAX)
    }

    /// What a halt for failures in such regions rests on; those that a barred version excuses do not count.
    pub fn of_halt(
        &self,
        counts: impl Fn(&RegionName) -> bool,
        barred: &BTreeSet<PackageVersion>,
    ) -> HaltEvidence {
        let excused =
            |failure: &Failure| failure.healed || failure.blamed.iter().any(|patch| barred.contains(patch));
        let failed = self.failures.iter().filter(|(_, failure)| counts(&failure.region) && !excused(failure));
        let failed = failed.map(|(vm, failure)| Failed { vm, why: &failure.why, blamed: &failure.blamed });
        HaltEvidence::of(failed, |patch| self.versions.get(patch).map_or(0, |tried| tried.healthy))
    }

    /// Every version with what is known of it.
    pub fn versions(&self) -> impl Iterator<Item = (&PackageVersion, &Tried)> {
        self.versions.iter()
    }

    /// Whether the region had failures and each has one of these versions to blame.
    pub fn excuses(&self, region: &RegionName, barred: &BTreeSet<PackageVersion>) -> bool {
        let mut of_region = self.failures.values().filter(|failure| failure.region == *region).peekable();
        of_region.peek().is_some()
            && of_region.all(|failure| failure.blamed.iter().any(|patch| barred.contains(patch)))
    }
}

fn as_list<S: Serializer>(
    versions: &BTreeMap<PackageVersion, Tried>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(versions)
}

fn from_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<PackageVersion, Tried>, D::Error> {
    Ok(Vec::<(PackageVersion, Tried)>::deserialize(deserializer)?.into_iter().collect())
}
