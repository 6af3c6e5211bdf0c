//! A person's wish to have patches installed on one VM ([`crate::on_demand`]).

use super::{Planner, as_decision};
use crate::event::{Event, Partition};
use crate::fleet::Vm;
use crate::id::{RolloutId, VmId};
use crate::mind::{Decision, Time};
use crate::on_demand::{InstallWish, OnDemand};
use crate::plan::{PlannedPhase, PlannedRegion};
use crate::policy::{InvalidPolicy, Policy};
use crate::refusal::Refusal;
use crate::rollout::{Actor, Status};
use crate::run::room_for;

impl Planner {
    /// Has patches installed on one VM as soon as its window and the geo-pair of its region allow it. The same identity
    /// with the same wish again changes nothing.
    ///
    /// # Errors
    /// `VmNotFound`; the reason why rollouts leave the VM alone; `InvalidPolicy` if a number of the wish is out of its
    /// bounds; `OutsideWindow` if its window has no room for the work in time; `InstallUnderWay`; `RolloutExists`.
    pub fn install(
        &self,
        id: &RolloutId,
        wish: &InstallWish,
        actor: Actor,
        now: Time,
    ) -> Result<Vec<Decision>, Refusal> {
        let usual = self.rhythm.as_ref().map_or_else(Policy::default, |rhythm| rhythm.policy.clone());
        let policy = wish.policy(&usual);
        policy.validate_on_demand().map_err(|error| invalid(&error))?;
        let vm = &wish.vm;
        if let Some(known) = self.rollouts.get(id) {
            if known.on_demand.as_ref().is_some_and(|known| known.vm == *vm) && known.policy == policy {
                return Ok(Vec::new());
            }
            let sentence = format!("rollout \"{id}\" was started for something else; choose another name");
            return Err(Refusal::new("RolloutExists", sentence).about(id));
        }
        let Some(model) = self.fleet.vms.get(vm) else {
            return Err(Refusal::no_vm(vm));
        };
        if let Some(refusal) = self.fleet.ineligible(model) {
            return Err(refusal);
        }
        if let Some(other) = self.install_under_way(vm) {
            let sentence =
                format!("\"{other}\" is installing patches on VM \"{vm}\": wait for it, or cancel it");
            return Err(Refusal::new("InstallUnderWay", sentence).about(other));
        }
        let not_after = now + wish.within;
        self.check_window(model, &policy, now, not_after)?;
        let on_demand = Some(OnDemand { vm: vm.clone(), not_after });
        let why = format!("{} asked for it", actor.name);
        let region = PlannedRegion { region: model.region.clone(), vms: 1, why };
        let phases = vec![PlannedPhase { regions: vec![region] }];
        let requested = Event::RolloutRequested { rollout: id.clone(), policy, actor, on_demand };
        let planned = Event::RolloutPlanned { rollout: id.clone(), phases };
        Ok(as_decision(Partition::Rollout, vec![requested, planned]))
    }

    /// The rollout on demand on this VM that is not completed.
    fn install_under_way(&self, vm: &VmId) -> Option<&RolloutId> {
        let mut open = self.rollouts.iter().filter(|(_, rollout)| {
            let is_of_vm = rollout.on_demand.as_ref().is_some_and(|on_demand| on_demand.vm == *vm);
            is_of_vm && !matches!(rollout.status, Status::Completed { .. })
        });
        open.next().map(|(id, _)| id)
    }

    fn check_window(&self, vm: &Vm, policy: &Policy, now: Time, not_after: Time) -> Result<(), Refusal> {
        let window = self.fleet.window(vm);
        let zone = self.fleet.time_zone(vm);
        let minutes = policy.longest_work.num_minutes();
        let shown = format!("the window of VM \"{}\", {}–{}", vm.id, window.start_text(), window.end_text());
        let when = match zone.and_then(|zone| room_for(window, zone, now, policy)) {
            Some(opening) if opening.opens <= not_after => return Ok(()),
            Some(opening) => format!(
                "has room for work of {minutes} minutes from {} on only: ask for it within a longer time, for shorter \
                 work, or give the VM another window",
                opening.opens.format("%F %R UTC")
            ),
            None => format!("is never long enough for work of {minutes} minutes"),
        };
        Err(Refusal::new("OutsideWindow", format!("{shown}, {when}")).about(&vm.id))
    }
}

/// The wish has fewer fields than the policy that is made of it, and one of another name.
fn invalid(error: &InvalidPolicy) -> Refusal {
    let field = match error.field.as_str() {
        "longest_work_seconds" => "maximum_duration_seconds",
        field => field,
    };
    Refusal::new("InvalidPolicy", error.to_string()).about(field)
}
