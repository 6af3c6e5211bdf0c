//! What people wish of rollouts and of the fleet; and the rollout that nobody has to wish for, the monthly one.

use super::{Planner, as_decision};
use crate::event::{Event, Partition};
use crate::fleet::{Feature, Vm, Wished};
use crate::id::{RegionName, RolloutId, SubscriptionId};
use crate::mind::{Decision, Time};
use crate::plan::plan;
use crate::policy::{Approvals, InvalidPolicy, Policy};
use crate::refusal::Refusal;
use crate::rhythm::{InvalidRhythm, Rhythm};
use crate::rollout::{Actor, Ended, PhaseState, Rollout, Status, Turn};
use crate::topology::Topology;

impl Planner {
    /// Brings the fleet to what is declared.
    pub fn declare_fleet(
        &self,
        topology: Topology,
        features: &[(SubscriptionId, Feature)],
        vms: Vec<Vm>,
    ) -> Result<Vec<Decision>, Refusal> {
        let kept = self.fleet.vms.values().find(|vm| !topology.regions.contains_key(&vm.region));
        if let Some(vm) = kept {
            let sentence = format!(
                "region \"{}\" is left out of the topology, but VM \"{}\" is in it",
                vm.region, vm.id
            );
            return Err(Refusal::new("RegionInUse", sentence).about(&vm.region));
        }
        self.check_new_pairs(&topology)?;
        Ok(as_decision(Partition::Fleet, self.fleet.declare(topology, features, vms)?))
    }

    /// Two regions that are patched at this moment cannot become a pair (rule S1).
    fn check_new_pairs(&self, topology: &Topology) -> Result<(), Refusal> {
        let turns = self.rollouts.values().flat_map(Rollout::turns);
        let held: Vec<_> = turns.filter(|(_, _, turn)| turn.is_held()).map(|(_, region, _)| region).collect();
        for one in &held {
            if let Some(other) = held.iter().find(|other| topology.paired(one, other)) {
                let sentence = format!(
                    "regions \"{one}\" and \"{other}\" cannot become a geo-pair now: both are being patched; try again \
                     when one of their turns has ended"
                );
                return Err(Refusal::new("RegionsInTurnConflict", sentence).about(one));
            }
        }
        Ok(())
    }

    /// A VM enters the fleet or changes, as a person wishes.
    pub fn put_vm(&self, wished: Wished) -> Result<Vec<Decision>, Refusal> {
        Ok(as_decision(Partition::Fleet, self.fleet.put(wished)?))
    }

    /// A VM leaves the fleet; if the person said what they saw, only as that.
    pub fn remove_vm(&self, vm: &crate::id::VmId, seen: Option<&Vm>) -> Result<Vec<Decision>, Refusal> {
        if let Some(seen) = seen
            && self.fleet.vms.get(vm).is_some_and(|known| known != seen)
        {
            let sentence = format!("VM \"{vm}\" was changed meanwhile: read it again");
            return Err(Refusal::new("VmChangedConflict", sentence).about(vm));
        }
        Ok(as_decision(Partition::Fleet, self.fleet.remove(vm)?))
    }

    /// A subscription registers the provider Microsoft.Compute, which completes its opt-in (REQUIREMENTS.md D1).
    pub fn register_provider(&self, subscription: &SubscriptionId) -> Vec<Decision> {
        as_decision(Partition::Fleet, self.fleet.register_provider(subscription))
    }

    /// A subscription asks for a feature (REQUIREMENTS.md D1).
    pub fn register_feature(&self, subscription: &SubscriptionId, feature: Feature) -> Vec<Decision> {
        as_decision(Partition::Fleet, self.fleet.request_feature(subscription, feature))
    }

    /// A subscription gives a feature up.
    pub fn unregister_feature(&self, subscription: &SubscriptionId, feature: Feature) -> Vec<Decision> {
        as_decision(Partition::Fleet, self.fleet.unregister_feature(subscription, feature))
    }

    /// From now on a rollout starts every month by this rhythm; none does without one.
    pub fn declare_rhythm(&self, rhythm: Option<Rhythm>, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        if let Some(rhythm) = &rhythm {
            let wrong = |error: InvalidRhythm| {
                Refusal::new("InvalidRhythm", error.to_string()).about(format!("rhythm.{}", error.field))
            };
            rhythm.validate().map_err(wrong)?;
            valid(&rhythm.policy)?;
        }
        if rhythm == self.rhythm {
            return Ok(Vec::new());
        }
        Ok(wish(Event::RhythmDeclared { rhythm, actor }))
    }

    /// Starts a rollout over all eligible VMs. The same identity with the same policy again changes nothing; of one that is
    /// over nobody is told that it starts.
    pub fn start(&self, id: &RolloutId, policy: Policy, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        valid(&policy)?;
        if let Some(known) = self.rollouts.get(id) {
            let sentence = if is_over(&known.status) {
                format!(
                    "rollout \"{id}\" is {}, and does not start again; choose another name",
                    word(&known.status)
                )
            } else if known.policy != policy {
                format!("rollout \"{id}\" was started with another policy; choose another name")
            } else {
                return Ok(Vec::new());
            };
            return Err(Refusal::new("RolloutExists", sentence).about(id));
        }
        let known = |region| self.fleet.topology.regions.contains_key(region);
        if let Some(region) = policy.canaries.iter().find(|region| !known(*region)) {
            let sentence = format!("policy: canaries = \"{region}\": not a region of the topology");
            return Err(Refusal::new("InvalidPolicy", sentence).about("policy.canaries"));
        }
        let phases = plan(&self.fleet, &policy.phase_shares, &policy.canaries);
        if phases.is_empty() {
            let sentence = "no VM of the fleet is eligible: see `nightshift vm list` for each VM's reason";
            return Err(Refusal::new("NoEligibleVm", sentence));
        }
        let requested = Event::RolloutRequested { rollout: id.clone(), policy, actor, on_demand: None };
        let planned = Event::RolloutPlanned { rollout: id.clone(), phases };
        Ok(as_decision(Partition::Rollout, vec![requested, planned]))
    }

    /// The rollout that the rhythm asks for now. One for which nobody is eligible waits until somebody is.
    pub(super) fn monthly(&self, now: Time) -> Vec<Event> {
        let Some(rhythm) = &self.rhythm else { return Vec::new() };
        let due = rhythm.due(now).filter(|(_, at)| self.rhythm_since.is_some_and(|since| *at >= since));
        let Some((id, _)) = due.filter(|(id, _)| !self.rollouts.contains_key(id)) else { return Vec::new() };
        let actor = Actor { name: "monthly rhythm".into(), reason: "a rollout every month".into() };
        let started = self.start(&id, rhythm.policy.clone(), actor).unwrap_or_default();
        started.into_iter().flat_map(|decision| decision.events).collect()
    }

    /// Changes the policy of a rollout that is under way.
    pub fn change_policy(
        &self,
        id: &RolloutId,
        policy: Policy,
        actor: Actor,
    ) -> Result<Vec<Decision>, Refusal> {
        valid(&policy)?;
        let rollout = self.rollout(id)?;
        self.check_for_fleet(id, rollout, "the policy of")?;
        if is_over(&rollout.status) {
            return Err(self.not_now(id, "changed"));
        }
        if policy.phase_shares != rollout.policy.phase_shares || policy.canaries != rollout.policy.canaries {
            let sentence =
                "phase_shares and canaries cannot change: the phases are planned; cancel and start anew";
            return Err(Refusal::new("PolicyFieldFixed", sentence).about("policy"));
        }
        if policy == rollout.policy {
            return Ok(Vec::new());
        }
        Ok(wish(Event::PolicyChanged { rollout: id.clone(), policy, actor }))
    }

    /// Lets a phase (its number from 0) start, where the policy asks for that.
    pub fn approve(&self, id: &RolloutId, phase: u32, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        let rollout = self.rollout(id)?;
        let Some(state) = rollout.phases.get(phase as usize).map(|phase| phase.state) else {
            let sentence = format!("rollout \"{id}\" has {} phases", rollout.phases.len());
            return Err(Refusal::new("PhaseNotFound", sentence).about(phase + 1));
        };
        if is_over(&rollout.status) {
            return Err(self.not_now(id, "approved"));
        }
        if state != PhaseState::Waiting || rollout.approved.contains(&phase) {
            return Ok(Vec::new());
        }
        if rollout.policy.approvals == Approvals::SecondPerson && actor.name == rollout.actor.name {
            let sentence = format!(
                "\"{}\" requested rollout \"{id}\": its policy asks for the approval of another person",
                actor.name
            );
            return Err(Refusal::new("SecondPersonNeeded", sentence));
        }
        Ok(wish(Event::PhaseApproved { rollout: id.clone(), phase, actor }))
    }

    /// Stops a rollout for a while.
    pub fn pause(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        match self.rollout(id)?.status {
            Status::Paused => Ok(Vec::new()),
            Status::Running => Ok(wish(Event::RolloutPaused { rollout: id.clone(), actor })),
            _ => Err(self.not_now(id, "paused")),
        }
    }

    /// Lets a paused or halted rollout go on; the failures of a halted one are thereby accepted.
    pub fn resume(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        match self.rollout(id)?.status {
            Status::Running => Ok(Vec::new()),
            Status::Paused => Ok(wish(Event::RolloutResumed { rollout: id.clone(), accepted: 0, actor })),
            Status::Halted { .. } => {
                let accepted = self.rollout(id)?.failures_of_phase();
                Ok(wish(Event::RolloutResumed { rollout: id.clone(), accepted, actor }))
            }
            _ => Err(self.not_now(id, "resumed")),
        }
    }

    /// Has the failed tried again, and lets a halted rollout go on with that: their regions' rounds end, and the next
    /// begin at once. Who fails again counts anew.
    pub fn retry(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        let rollout = self.rollout(id)?;
        // Others were asked to make way for one round of it, and not for another.
        self.check_for_fleet(id, rollout, "another try of")?;
        let is_halted = match rollout.status {
            Status::Running => false,
            Status::Halted { .. } => true,
            _ => return Err(self.not_now(id, "retried")),
        };
        let failed_now = |region: &RegionName, turn: &Turn| match turn.is_held() {
            // A round that goes on well is not cut short: who failed in it is tried again when it is over.
            true => is_halted && rollout.evidence.failing(region) > 0,
            false => turn.newest.failed > 0,
        };
        let open = || rollout.turns().filter(|(_, _, turn)| !turn.is_skipped());
        let failed = open().filter(|(_, region, turn)| turn.retry.is_none() && failed_now(region, turn));
        let regions: Vec<RegionName> = failed.map(|(_, region, _)| region.clone()).collect();
        if !regions.is_empty() {
            return Ok(wish(Event::RolloutRetried { rollout: id.clone(), regions, actor }));
        }
        if !is_halted && open().any(|(_, _, turn)| turn.retry.is_some() || turn.is_held()) {
            return Ok(Vec::new());
        }
        let sentence = format!("rollout \"{id}\": no VM failed that could be tried again; resume it instead");
        Err(Refusal::new("NothingToRetry", sentence).about(id))
    }

    /// Takes a region out of a rollout; what is in flight settles first.
    pub fn skip_region(
        &self,
        id: &RolloutId,
        region: &RegionName,
        actor: Actor,
    ) -> Result<Vec<Decision>, Refusal> {
        let rollout = self.rollout(id)?;
        let Some((_, _, turn)) = rollout.turns().find(|(_, known, _)| *known == region) else {
            let sentence = format!("region \"{region}\" has no part in rollout \"{id}\"");
            return Err(Refusal::new("RegionNotInRollout", sentence).about("region"));
        };
        match rollout.status {
            _ if turn.is_skipped() => Ok(Vec::new()),
            Status::Completed { .. } | Status::Cancelled | Status::Expired => {
                Err(self.not_now(id, "changed"))
            }
            _ => Ok(wish(Event::RegionSkipped { rollout: id.clone(), region: region.clone(), actor })),
        }
    }

    /// Ends a rollout; what is in flight settles first.
    pub fn cancel(&self, id: &RolloutId, actor: Actor) -> Result<Vec<Decision>, Refusal> {
        match self.rollout(id)?.status {
            Status::Cancelled | Status::Completed { ended: Ended::Cancelled } => Ok(Vec::new()),
            Status::Completed { .. } | Status::Expired => Err(self.not_now(id, "cancelled")),
            _ => Ok(wish(Event::RolloutCancelled { rollout: id.clone(), actor })),
        }
    }

    fn rollout(&self, id: &RolloutId) -> Result<&Rollout, Refusal> {
        self.rollouts.get(id).ok_or_else(|| Refusal::no_rollout(id))
    }

    fn check_for_fleet(&self, id: &RolloutId, rollout: &Rollout, what: &str) -> Result<(), Refusal> {
        let Some(on_demand) = &rollout.on_demand else { return Ok(()) };
        let sentence = format!(
            "{what} rollout \"{id}\" cannot be asked for: it installs patches on VM \"{}\" on demand; cancel it and ask for a \
             new one",
            on_demand.vm
        );
        Err(Refusal::new("RolloutOnDemand", sentence).about(id))
    }

    fn not_now(&self, id: &RolloutId, wished: &str) -> Refusal {
        let status = self.rollouts.get(id).map(|rollout| word(&rollout.status)).unwrap_or("unknown");
        let sentence = format!("rollout \"{id}\" cannot be {wished}: it is {status}");
        Refusal::new("RolloutStateConflict", sentence).about(id)
    }
}

/// Whether nothing more of it will start.
fn is_over(status: &Status) -> bool {
    matches!(status, Status::Completed { .. } | Status::Cancelled | Status::Expired)
}

fn word(status: &Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Halted { .. } => "halted",
        Status::Cancelled | Status::Completed { ended: Ended::Cancelled } => "cancelled",
        Status::Expired | Status::Completed { ended: Ended::Expired } => "past its deadline",
        Status::Completed { ended: Ended::Passed } => "completed",
    }
}

fn valid(policy: &Policy) -> Result<(), Refusal> {
    let wrong = |error: InvalidPolicy| {
        Refusal::new("InvalidPolicy", error.to_string()).about(format!("policy.{}", error.field))
    };
    policy.validate().map_err(wrong)
}

fn wish(event: Event) -> Vec<Decision> {
    as_decision(Partition::Rollout, vec![event])
}
