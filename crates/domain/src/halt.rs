//! What a halt rests on, so that whoever has to decide what follows need not search the log.

use crate::analysis::Comparison;
use crate::id::VmId;
use crate::patch::PatchTally;
use crate::selection::PackageVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entries of each list: enough to see what is going on, and an event stays small.
const MOST: usize = 10;

/// The evidence of a halt. Empty where the log is older than this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltEvidence {
    /// VMs that failed and count: no person accepted it, no barred version excuses it.
    pub failed: u32,
    /// The first ten of them by name.
    pub vms: Vec<VmId>,
    /// What was signalled or reported of them; what was said of most first.
    pub signals: Vec<Said>,
    /// Versions that more than one of them got (or the only one): what most have in common first, and of those what the
    /// fewest healthy VMs have.
    pub in_common: Vec<PatchTally>,
    /// Patched machines beside machines that are not patched yet, where the policy asks for an analysis.
    pub comparison: Option<Comparison>,
}

/// What was said of a number of VMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The signal or report, for people.
    pub what: String,
    /// Of so many VMs.
    pub vms: u32,
}

/// One VM that failed.
pub(crate) struct Failed<'a> {
    pub vm: &'a VmId,
    pub why: &'a str,
    /// What it got and may have failed by.
    pub blamed: &'a [PackageVersion],
}

impl HaltEvidence {
    /// Of these failures, where so many VMs are well with each version.
    pub(crate) fn of<'a>(
        failed: impl IntoIterator<Item = Failed<'a>>,
        healthy_with: impl Fn(&PackageVersion) -> u32,
    ) -> Self {
        let mut evidence = Self::default();
        let mut said: BTreeMap<&str, u32> = BTreeMap::new();
        let mut got: BTreeMap<&PackageVersion, u32> = BTreeMap::new();
        for Failed { vm, why, blamed } in failed {
            evidence.failed += 1;
            if evidence.vms.len() < MOST {
                evidence.vms.push(vm.clone());
            }
            *said.entry(why).or_default() += 1;
            blamed.iter().for_each(|patch| *got.entry(patch).or_default() += 1);
        }
        evidence.signals = said.into_iter().map(|(what, vms)| Said { what: what.to_owned(), vms }).collect();
        evidence.signals.sort_by_key(|said| std::cmp::Reverse(said.vms));
        evidence.signals.truncate(MOST);
        let least = evidence.failed.min(2);
        let tally = |(patch, failed): (&PackageVersion, u32)| PatchTally {
            patch: patch.clone(),
            healthy: healthy_with(patch),
            failed,
        };
        evidence.in_common = got.into_iter().filter(|(_, failed)| *failed >= least).map(tally).collect();
        evidence.in_common.sort_by_key(|tally| (std::cmp::Reverse(tally.failed), tally.healthy));
        evidence.in_common.truncate(MOST);
        evidence
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> PackageVersion {
        PackageVersion { name: name.into(), version: "1".into() }
    }

    #[test]
    fn what_most_have_in_common_and_the_fewest_healthy_have_comes_first() {
        let vms: Vec<VmId> = (10..30).map(|n| VmId::new(format!("vm-{n}")).unwrap()).collect();
        let (evil, common, rare) = (package("evil"), package("common"), package("rare"));
        let all = [common.clone(), evil.clone()];
        let with_rare = [common.clone(), evil.clone(), rare.clone()];
        let failed = vms.iter().enumerate().map(|(n, vm)| Failed {
            vm,
            why: if n < 3 { "disk full" } else { "unit down" },
            blamed: if n == 0 { &with_rare } else { &all },
        });
        let evidence = HaltEvidence::of(failed, |patch| if *patch == common { 70 } else { 1 });
        assert_eq!((evidence.failed, evidence.vms.len()), (20, 10));
        let said = |what: &str, vms| Said { what: what.into(), vms };
        assert_eq!(evidence.signals, [said("unit down", 17), said("disk full", 3)]);
        let tally =
            |patch: &PackageVersion, healthy| PatchTally { patch: patch.clone(), healthy, failed: 20 };
        assert_eq!(
            evidence.in_common,
            [tally(&evil, 1), tally(&common, 70)],
            "one alone has nothing in common"
        );
        let one = HaltEvidence::of([Failed { vm: &vms[0], why: "ill", blamed: &[rare] }], |_| 0);
        assert_eq!(one.in_common.len(), 1);
    }
}
