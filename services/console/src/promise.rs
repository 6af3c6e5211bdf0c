//! The promise that people are given: every machine that rollouts patch is patched, and found well after it, once in every 30
//! days (REQUIREMENTS.md A5). Counted from its last patch that was confirmed, or from when it entered the fleet or its mode.

use crate::view::View;
use chrono::Duration;
use nightshift_domain::event::Outcome;
use nightshift_domain::explain::explain;
use nightshift_domain::fleet::PatchMode;
use nightshift_domain::{Event, Fact, RegionName, Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAYS: u32 = 30;
/// A promise that will be broken within this time is at risk.
const WARNING: Duration = Duration::days(7);
/// Machines that are named.
const NAMED: usize = 500;

/// Since when each machine waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Promises(BTreeMap<VmId, Promise>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Promise {
    mode: PatchMode,
    since: Time,
    patched: Option<Time>,
}

/// How the promise to one machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Broken,
    AtRisk,
    Kept,
}

impl Promises {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        match &fact.event {
            Event::VmRegistered { vm } | Event::VmModelChanged { vm } => {
                let (mode, since) = (vm.patch_mode, fact.at);
                let known = self.0.entry(vm.id.clone());
                let promise = known.or_insert(Promise { mode, since, patched: None });
                // Who comes into the mode is promised something from then on.
                if promise.mode != mode {
                    *promise = Promise { mode, since, patched: promise.patched };
                }
            }
            Event::VmRemoved { vm } => {
                self.0.remove(vm);
            }
            Event::VmSettled { vm, outcome: Outcome::Healthy, .. } => {
                if let Some(promise) = self.0.get_mut(vm) {
                    promise.patched = Some(fact.at);
                }
            }
            _ => {}
        }
    }

    /// A machine that is not known is promised nothing.
    pub(crate) fn standing(&self, vm: &VmId, now: Time) -> Standing {
        let Some(promise) = self.0.get(vm) else { return Standing::Kept };
        let due = promise.due();
        if due <= now {
            Standing::Broken
        } else if due - WARNING <= now {
            Standing::AtRisk
        } else {
            Standing::Kept
        }
    }
}

impl Promise {
    fn due(&self) -> Time {
        self.patched.map_or(self.since, |patched| patched.max(self.since)) + Duration::days(i64::from(DAYS))
    }
}

/// How the promise stands, over the fleet and in each region, and to whom it is not kept.
pub(crate) fn compliance(view: &View, now: Time) -> api::GetComplianceResponse {
    let fleet = &view.planner.fleet;
    let mut regions: BTreeMap<&RegionName, api::Kept> = BTreeMap::new();
    let mut late = Vec::new();
    for vm in fleet.vms.values().filter(|vm| fleet.ineligible(vm).is_none()) {
        let kept = regions.entry(&vm.region).or_default();
        let standing = view.promise.standing(&vm.id, now);
        match standing {
            Standing::Kept => kept.kept += 1,
            Standing::AtRisk => kept.at_risk += 1,
            Standing::Broken => kept.broken += 1,
        }
        if let Some(promise) = view.promise.0.get(&vm.id).filter(|_| standing != Standing::Kept) {
            late.push((promise.due(), vm, promise.patched));
        }
    }
    late.sort_by_key(|(due, vm, _)| (*due, &vm.id));
    late.truncate(NAMED);
    let mut sum = api::Kept::default();
    for kept in regions.values() {
        sum.kept += kept.kept;
        sum.at_risk += kept.at_risk;
        sum.broken += kept.broken;
    }
    let late = late.into_iter().map(|(due, vm, patched)| {
        let reasons = explain(&vm.id, &view.planner, &view.coordinator, now).reasons;
        api::LateVm {
            vm: vm.id.to_string(),
            region: vm.region.to_string(),
            patched_at: patched.map(timestamp),
            due: Some(timestamp(due)),
            why: reasons.into_iter().next_back().map(|reason| reason.sentence).unwrap_or_default(),
        }
    });
    let of_region = |(region, kept): (&RegionName, api::Kept)| api::RegionKept {
        region: region.to_string(),
        kept: Some(kept),
    };
    api::GetComplianceResponse {
        as_of: Some(timestamp(now)),
        days: DAYS,
        fleet: Some(sum),
        late: late.collect(),
        regions: regions.into_iter().map(of_region).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;
    use nightshift_domain::fleet::{AssessmentMode, Image, Os, Placement, Vm};
    use nightshift_domain::{OrderId, Partition, RolloutId, SubscriptionId};

    fn vm(mode: PatchMode) -> Vm {
        Vm {
            id: VmId::new("vm").unwrap(),
            subscription: SubscriptionId::new("sub").unwrap(),
            resource_group: String::new(),
            region: RegionName::new("here").unwrap(),
            placement: Placement::Standalone,
            os: Os::Linux,
            image: Image { publisher: "p".into(), offer: "o".into(), sku: "s".into() },
            patch_mode: mode,
            time_zone: None,
            window: None,
            automatic_updates: None,
            assessment_mode: AssessmentMode::default(),
            reboot: None,
            resource: None,
        }
    }

    fn settled(outcome: Outcome) -> Event {
        let (vm, order) = (VmId::new("vm").unwrap(), OrderId::new("order").unwrap());
        Event::VmSettled { rollout: RolloutId::new("r").unwrap(), vm, order, outcome, blamed: Vec::new() }
    }

    #[test]
    fn the_promise_runs_from_the_last_patch_that_was_confirmed() {
        let began: Time = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut promises = Promises::default();
        let mut tell = |day: i64, event| {
            promises.apply(&Fact { partition: Partition::Fleet, at: began + Duration::days(day), event });
            promises.clone()
        };
        let id = VmId::new("vm").unwrap();
        let at = |promises: &Promises, day: i64| promises.standing(&id, began + Duration::days(day));
        let new = tell(0, Event::VmRegistered { vm: vm(PatchMode::AutomaticByPlatform) });
        assert_eq!(
            (at(&new, 22), at(&new, 23), at(&new, 30)),
            (Standing::Kept, Standing::AtRisk, Standing::Broken)
        );
        let failed = tell(20, settled(Outcome::Failed { why: "ill".into() }));
        assert_eq!(at(&failed, 30), Standing::Broken, "a patch that was not confirmed keeps no promise");
        let healthy = tell(20, settled(Outcome::Healthy));
        assert_eq!((at(&healthy, 42), at(&healthy, 50)), (Standing::Kept, Standing::Broken));
        let left = tell(60, Event::VmModelChanged { vm: vm(PatchMode::ImageDefault) });
        assert_eq!(at(&left, 70), Standing::Kept);
        let back = tell(80, Event::VmModelChanged { vm: vm(PatchMode::AutomaticByPlatform) });
        assert_eq!((at(&back, 100), at(&back, 110)), (Standing::Kept, Standing::Broken));
    }
}
