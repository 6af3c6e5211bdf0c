//! What the runs of a region have to know of one another, where a person has a VM patched beside them
//! ([`crate::on_demand`]).

use super::Coordinator;
use crate::id::{RegionName, RolloutId};
use crate::layout::Member;
use crate::run::{Beside, Run};

impl Coordinator {
    pub(super) fn is_on_demand(&self, rollout: &RolloutId) -> bool {
        self.rollouts.get(rollout).is_some_and(|asked| asked.on_demand.is_some())
    }

    pub(super) fn beside<'a>(&'a self, rollout: &RolloutId, region: &RegionName, run: &'a Run) -> Beside<'a> {
        if self.is_on_demand(rollout) {
            return Beside { kept_back: self.kept_back(rollout, region, run), ..Beside::default() };
        }
        let busy = run.yielded().filter(|(install, _)| !self.is_completed(install, region));
        Beside {
            installs: self.installs(region),
            busy: busy.map(|(_, member)| member).collect(),
            kept_back: None,
        }
    }

    /// Rollouts on demand that have their turn in the region, and whose run is not completed.
    fn installs<'a>(&'a self, region: &RegionName) -> Vec<(&'a RolloutId, Option<&'a Member>)> {
        let on_demand = self.rollouts.iter().filter(|(_, asked)| asked.on_demand.is_some());
        let open = on_demand
            .filter(|(install, asked)| asked.turn(region).is_some() && !self.is_completed(install, region));
        open.map(|(install, _)| (install, self.run(region, install).and_then(Run::only_member))).collect()
    }

    /// A run that is not known here has not completed as far as anybody here can tell.
    fn is_completed(&self, rollout: &RolloutId, region: &RegionName) -> bool {
        self.run(region, rollout).is_some_and(Run::is_completed)
    }

    /// Why the order of a run on demand cannot be placed yet: every other run of the region must have yielded to it, those
    /// whose turn was granted before and that have not begun among them, and none may have the VM in flight.
    fn kept_back(&self, install: &RolloutId, region: &RegionName, run: &Run) -> Option<String> {
        let vm = &run.only_member()?.vm;
        let awaited = self.rollouts.iter().find(|(rollout, asked)| {
            let known = self.run(region, rollout).map_or(0, Run::round);
            asked.on_demand.is_none() && asked.turn(region).is_some_and(|(_, round)| known < round)
        });
        if let Some((rollout, _)) = awaited {
            return Some(format!("rollout \"{rollout}\" is about to begin in its region"));
        }
        let runs = || self.runs.get(region).into_iter().flatten();
        let others = || runs().filter(|(rollout, _)| *rollout != install);
        let flying =
            others().find(|(_, run)| run.standing(vm).is_some_and(|standing| standing.is_in_flight()));
        if let Some((rollout, _)) = flying {
            return Some(format!("rollout \"{rollout}\" has it in flight"));
        }
        let mut open = others().filter(|(rollout, run)| !run.is_completed() && !self.is_on_demand(rollout));
        let unyielding = open.find(|(_, run)| !run.has_yielded_to(install));
        unyielding.map(|(rollout, _)| format!("rollout \"{rollout}\" is about to make way for it"))
    }
}
