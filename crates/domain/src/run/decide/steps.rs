//! A step's VMs, one by one: called, ordered, skipped or deferred.

use super::{Ask, Fits, Run};
use crate::event::{Event, Order};
use crate::fleet::Kin;
use crate::health::Baseline;
use crate::id::{OrderId, VmId};
use crate::layout::{Member, Step};
use crate::mind::Time;
use crate::patch::RebootSetting;
use crate::run::Standing;
use crate::run::beside::Shares;
use crate::run::time_limits::baseline_overdue;
use crate::window::Opening;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What may still begin in the region.
pub(in crate::run) struct Room {
    /// VMs that may still be called, by the policy's `max_in_flight`.
    calls: usize,
    /// VMs that may still be ordered, by the same: fewer than were called where the bound was lowered since.
    orders: usize,
    /// Kin that are ordered by this very decision.
    kin: BTreeMap<Kin, usize>,
    /// Of subscriptions of which people have VMs patched on demand.
    shares: Shares,
}

enum Next {
    Wait,
    /// Ask for its baseline.
    Call,
    Do(Box<Event>),
}

impl Run {
    pub(super) fn advance_steps<'a>(
        &self,
        steps: impl Iterator<Item = &'a Step>,
        now: Time,
        ask: &Ask<'_>,
    ) -> Vec<Event> {
        let mut fits = Fits::new(now, ask.policy);
        let mut room = self.room(ask);
        steps.flat_map(|step| self.advance_step(step, now, ask, &mut fits, &mut room)).collect()
    }

    pub(in crate::run) fn room(&self, ask: &Ask<'_>) -> Room {
        let taken: usize = self.steps.values().map(|step| step.taken).sum();
        let most = ask.policy.max_in_flight.map_or(usize::MAX, |most| most as usize);
        let most = most.saturating_sub(ask.beside.busy.len());
        let orders = most.saturating_sub(self.in_flight.len());
        Room {
            calls: most.saturating_sub(taken),
            orders,
            kin: BTreeMap::new(),
            shares: self.shares_beside(ask),
        }
    }

    /// Whether a VM may be ordered by the policy's bound, without putting all of its kin in flight (some may have left the
    /// fleet since the batches were cut), and clear of what people have patched on demand.
    pub(in crate::run) fn has_room(&self, member: &Member, ask: &Ask<'_>, room: &Room) -> bool {
        let kin_in_flight = member
            .kin()
            .map_or(0, |kin| self.in_flight.of_kin(&kin) + room.kin.get(&kin).copied().unwrap_or_default());
        let leaves_one = member.kin().is_none_or(|kin| {
            let size = ask.fleet.kin(&self.region, &kin);
            size < 2 || kin_in_flight + 1 < size
        });
        room.orders > 0 && leaves_one && self.keeps_clear(member, ask, &room.shares, kin_in_flight)
    }

    fn advance_step(
        &self,
        step: &Step,
        now: Time,
        ask: &Ask<'_>,
        fits: &mut Fits<'_>,
        room: &mut Room,
    ) -> Vec<Event> {
        let (rollout, key) = (self.rollout.clone(), step.key.clone());
        let Some(progress) = self.steps.get(&step.key) else {
            return vec![Event::StepStarted { rollout, step: key, vms: step.vms.clone() }];
        };
        if progress.open == 0 {
            let (tally, patches) = (progress.tally, progress.patches.tallies());
            return vec![Event::StepEnded { rollout, step: key, tally, patches }];
        }
        let mut places = step.at_once.saturating_sub(progress.taken).min(room.calls);
        let mut call = Vec::new();
        let mut events = Vec::new();
        for vm in &progress.called {
            match self.next_for(vm, now, ask, fits, room) {
                Next::Wait => {}
                Next::Do(event) => events.push(*event),
                Next::Call => call.push(vm.clone()),
            }
        }
        for queue in &progress.waiting {
            // A window that is closed, for all who have it.
            if fits.of_window(queue.window, queue.time_zone).is_some_and(|opening| opening.opens > now) {
                continue;
            }
            for vm in &queue.vms {
                if places == 0 {
                    break;
                }
                match self.next_for(vm, now, ask, fits, room) {
                    Next::Wait => {}
                    Next::Do(event) => events.push(*event),
                    Next::Call => {
                        places -= 1;
                        room.calls -= 1;
                        call.push(vm.clone());
                    }
                }
            }
        }
        if !call.is_empty() {
            events.push(Event::WatchRequested { rollout, vms: call });
        }
        events
    }

    fn next_for(&self, vm: &VmId, now: Time, ask: &Ask<'_>, fits: &mut Fits<'_>, room: &mut Room) -> Next {
        let known = self.members.get(vm).zip(self.standings.get(vm));
        let Some((member, standing)) = known else { return Next::Wait };
        if ask.beside.is_busy(vm) {
            return Next::Wait;
        }
        if let Some(event) = self.changed(member, ask) {
            return Next::Do(Box::new(event));
        }
        match standing {
            Standing::Called { since } if now >= baseline_overdue(*since, ask.policy) => {
                self.defer(vm, "the health-monitor did not say how it is".to_owned())
            }
            Standing::Called { .. } => Next::Wait,
            Standing::Baselined { baseline: Baseline::Ill { ailment }, .. } => {
                self.skip(vm, format!("it was ill before its turn: {ailment}"))
            }
            Standing::Baselined { baseline: Baseline::Silent, .. } => {
                self.defer(vm, "no signal from it: powered off or cut off".to_owned())
            }
            Standing::Baselined { baseline: Baseline::Unknown { why }, .. } => {
                self.defer(vm, format!("how it is before its turn is unknown: {why}"))
            }
            _ => match fits.of(member) {
                None => {
                    let minutes = ask.policy.longest_work.num_minutes();
                    self.skip(vm, format!("its window is never long enough for work of {minutes} minutes"))
                }
                Some(opening) if opening.opens > now || ask.beside.kept_back.is_some() => Next::Wait,
                Some(opening) => match standing {
                    Standing::Baselined { at, .. } if now - *at <= ask.policy.silence => {
                        if !self.has_room(member, ask, room) {
                            return Next::Wait;
                        }
                        room.orders -= 1;
                        member.kin().into_iter().for_each(|kin| *room.kin.entry(kin).or_default() += 1);
                        Next::Do(Box::new(Event::OrderPlaced { order: self.order(vm, opening, now, ask) }))
                    }
                    _ => Next::Call,
                },
            },
        }
    }

    /// What is to become of a VM that is not any more as it was enlisted.
    fn changed(&self, member: &Member, ask: &Ask<'_>) -> Option<Event> {
        let (rollout, vm) = (self.rollout.clone(), member.vm.clone());
        let Some(now) = ask.fleet.vms.get(&member.vm) else {
            return Some(Event::VmSkipped { rollout, vm, why: "it left the fleet".to_owned() });
        };
        if let Some(refusal) = ask.fleet.ineligible(now) {
            return Some(Event::VmSkipped { rollout, vm, why: refusal.sentence });
        }
        if now.region != self.region {
            let why = format!("it moved to region \"{}\"", now.region);
            return Some(Event::VmSkipped { rollout, vm, why });
        }
        if !member.is(now, ask.fleet) {
            let why = "its model changed during the run: the next round goes by the new one".to_owned();
            return Some(Event::VmDeferred { rollout, vm, why });
        }
        None
    }

    fn skip(&self, vm: &VmId, why: String) -> Next {
        Next::Do(Box::new(Event::VmSkipped { rollout: self.rollout.clone(), vm: vm.clone(), why }))
    }

    fn defer(&self, vm: &VmId, why: String) -> Next {
        Next::Do(Box::new(Event::VmDeferred { rollout: self.rollout.clone(), vm: vm.clone(), why }))
    }

    fn order(&self, vm: &VmId, opening: Opening, now: Time, ask: &Ask<'_>) -> Order {
        let policy = ask.policy;
        // An order that nobody took up for a silence's length would only hold up its step.
        let not_after = (opening.closes - policy.longest_work).min(now + policy.silence);
        let not_after = ask.not_after.map_or(not_after, |wished| wished.min(not_after));
        let mut selection = policy.selection();
        selection.certified = ask.certified.map(|patches| patches.iter().cloned().collect());
        selection.barred = ask.barred.iter().cloned().collect();
        Order {
            id: self.order_id(vm),
            rollout: self.rollout.clone(),
            vm: vm.clone(),
            not_after,
            deadline: not_after + policy.longest_work,
            reboot: match ask.fleet.vms.get(vm).filter(|_| ask.not_after.is_none()) {
                Some(vm) => reboot(policy.reboot, vm.reboot),
                // A person said it of this very VM.
                None => policy.reboot,
            },
            selection,
            signature: None,
        }
    }

    /// The same for the same VM, rollout and round, whoever decides it and however often.
    fn order_id(&self, vm: &VmId) -> OrderId {
        self.named("", vm.as_str())
    }

    /// An identity within the round.
    pub(in crate::run) fn named(&self, prefix: &str, what: &str) -> OrderId {
        let name = format!("{}/{}/{}/{what}", self.rollout, self.region, self.round);
        let id = format!("{prefix}{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).hyphenated());
        #[expect(
            clippy::expect_used,
            reason = "a hyphenated UUID is hex digits with dashes inside: an identifier"
        )]
        OrderId::new(id).expect("a UUID is an identifier")
    }
}

/// The nearest statement counts: the VM's own. But a rollout that reboots nobody reboots nobody (REQUIREMENTS.md A10).
fn reboot(policy: RebootSetting, own: Option<RebootSetting>) -> RebootSetting {
    match (policy, own) {
        (RebootSetting::Never, _) | (_, None) => policy,
        (_, Some(own)) => own,
    }
}
