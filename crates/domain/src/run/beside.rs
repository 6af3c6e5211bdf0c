//! What happens in the run's region beside it: VMs that a person has patched on demand ([`crate::on_demand`]).

use super::{Ask, Run, Standing};
use crate::event::Event;
use crate::fleet::{Kin, Placement};
use crate::id::{RolloutId, VmId};
use crate::layout::{Member, share};
use crate::mind::Time;
use std::collections::{BTreeMap, BTreeSet};

/// How many VMs of each subscription outside zones and sets may be in flight at once.
pub(super) type Shares = BTreeMap<Kin, usize>;

/// What a run has to know of the other runs of its region.
#[derive(Debug, Clone, Default)]
pub struct Beside<'a> {
    /// Rollouts on demand that hold a turn in the region and whose run is not completed, each with its VM once that is
    /// enlisted. Nothing for a run that is on demand itself: those do not wait for one another.
    pub installs: Vec<(&'a RolloutId, Option<&'a Member>)>,
    /// Of those that the run yielded to, the VMs whose run is not completed.
    pub busy: Vec<&'a Member>,
    /// Of a run on demand: what keeps its order back; a sentence.
    pub kept_back: Option<String>,
}

impl Beside<'_> {
    /// Whether a person has the VM patched at the moment.
    pub fn is_busy(&self, vm: &VmId) -> bool {
        self.busy.iter().any(|busy| busy.vm == *vm)
    }

    /// Whether an order with this member would be beside a VM of another zone, or of the same availability set.
    fn collides_with(&self, member: &Member) -> bool {
        self.busy.iter().any(|busy| match (&busy.placement, &member.placement) {
            (Placement::Zone(one), Placement::Zone(other)) => one != other,
            (Placement::AvailabilitySet { set: one, .. }, Placement::AvailabilitySet { set: other, .. }) => {
                one == other
            }
            _ => false,
        })
    }

    fn of_kin(&self, kin: &Kin) -> usize {
        self.busy.iter().filter(|busy| busy.kin().as_ref() == Some(kin)).count()
    }
}

impl Run {
    /// The rollouts on demand that the run yielded to, each with its VM.
    pub fn yielded(&self) -> impl Iterator<Item = (&RolloutId, &Member)> {
        self.yielded.iter()
    }

    /// Whether no order of the run collides with that of this rollout on demand any more.
    pub fn has_yielded_to(&self, install: &RolloutId) -> bool {
        self.yielded.contains_key(install)
    }

    /// The one VM of a run on demand; `None` before it is enlisted.
    pub fn only_member(&self) -> Option<&Member> {
        self.members.values().next()
    }

    /// What the run owes to rollouts on demand.
    pub(super) fn owed(&self, ask: &Ask<'_>) -> Vec<Event> {
        let new = ask.beside.installs.iter().filter(|(install, _)| !self.has_yielded_to(install));
        new.filter_map(|(install, member)| {
            let (rollout, to) = (self.rollout.clone(), (*install).clone());
            Some(Event::RunYielded { rollout, to, member: (*member)?.clone() })
        })
        .collect()
    }

    /// Whether a rollout on demand has its turn, and its VM is not known here yet: nothing can be known to be clear of it.
    pub(super) fn owes_blindly(&self, ask: &Ask<'_>) -> bool {
        let mut installs = ask.beside.installs.iter();
        installs.any(|(install, member)| member.is_none() && !self.has_yielded_to(install))
    }

    /// Whether an order with this member keeps clear of the VMs that people have patched: not beside another zone (rule S3)
    /// or another machine of its set (S4), and within its subscription's share, of which those take a part (S5).
    pub(super) fn keeps_clear(
        &self,
        member: &Member,
        ask: &Ask<'_>,
        shares: &Shares,
        kin_in_flight: usize,
    ) -> bool {
        let beside = &ask.beside;
        if beside.busy.is_empty() {
            return true;
        }
        if beside.collides_with(member) {
            return false;
        }
        let Some((kin, share)) = member.kin().and_then(|kin| shares.get_key_value(&kin)) else { return true };
        let flying = kin_in_flight + beside.of_kin(kin);
        flying < *share && flying + 1 < ask.fleet.kin(&self.region, kin)
    }

    /// The shares of subscriptions of which people have VMs patched: worked out once, and not for each VM of a region.
    pub(super) fn shares_beside(&self, ask: &Ask<'_>) -> Shares {
        let busy = ask.beside.busy.iter().filter_map(|member| member.kin());
        let subscriptions: BTreeSet<Kin> = busy.filter(|kin| matches!(kin, Kin::Subscription(_))).collect();
        let share_of = |kin: Kin| {
            let of_round = self.step_of.keys().filter_map(|vm| self.members.get(vm));
            let of_kin = of_round.filter(|member| member.kin().as_ref() == Some(&kin)).count();
            (kin, share(of_kin, self.policy.batch_percent))
        };
        subscriptions.into_iter().map(share_of).collect()
    }

    /// A VM that a person wished to have patched by a moment that is over is not patched any more.
    pub(super) fn too_late(&self, now: Time, ask: &Ask<'_>) -> Vec<Event> {
        let Some(not_after) = ask.not_after.filter(|not_after| now > *not_after) else { return Vec::new() };
        let late = self.standings.iter().filter(|(_, standing)| {
            matches!(standing, Standing::Waiting | Standing::Called { .. } | Standing::Baselined { .. })
        });
        let why = match &ask.beside.kept_back {
            Some(why) => format!("it could not begin by {}: {why}", not_after.format("%F %R UTC")),
            None => format!("it could not begin by {}", not_after.format("%F %R UTC")),
        };
        late.map(|(vm, _)| {
            let (rollout, vm) = (self.rollout.clone(), vm.clone());
            Event::VmSkipped { rollout, vm, why: why.clone() }
        })
        .collect()
    }
}
