//! The mind of agent-gateway: who may speak for which VM, which orders wait for it, which reports are stored.

mod enrolment;

use crate::agent::{AgentIdentity, InstallReport, RefusedOrder, Requirement};
use crate::event::{Chain, Event, Order, Partition};
use crate::fleet::{Feature, Fleet};
use crate::id::{OrderId, RegionName, RolloutId, VmId};
use crate::mind::{Decision, Fact, Follow, Mind, Time};
use crate::patch::Assessment;
use crate::policy::Probe;
use crate::refusal::Refusal;
use crate::rollout::Actor;
use chrono::Duration;
use enrolment::Enrolment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The account of agent-gateway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// Which VMs there are, and where.
    pub fleet: Fleet,
    agents: BTreeMap<VmId, Agent>,
    /// What each run's policy has agents look at, as it was when the round started.
    probes: BTreeMap<RegionName, BTreeMap<RolloutId, Vec<Probe>>>,
}

/// One VM's agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// A one-time token that is not yet used: its SHA-256 in hex, and its end.
    token: Option<(String, Time)>,
    /// What it enrolled with last.
    enrolment: Option<Enrolment>,
    /// What it last said of its machine.
    pub identity: Option<AgentIdentity>,
    /// Its newest stored report.
    pub last_report: u64,
    orders: BTreeMap<OrderId, Known>,
    /// It is to assess its machine, not later than this.
    assess: Option<Time>,
    /// The run that watches the VM.
    watched: Option<RolloutId>,
}

/// An order, and how far the agent said it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    order: Order,
    accepted: bool,
    /// The agent finished or refused it.
    ended: bool,
    /// The run does not wait for it any more. A late report on it is a fact all the same.
    settled: bool,
}

impl Agent {
    /// Whether a certificate was issued for it.
    pub fn is_enrolled(&self) -> bool {
        self.enrolment.is_some()
    }
}

/// A report as the agent sent it.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// Native automatic updates are off.
    Enabled,
    /// What the machine lacks.
    Assessed(Assessment),
    /// The machine could not be assessed; a sentence says why.
    NotAssessed(String),
    /// What the machine must have to be patched.
    Checked(Vec<Requirement>),
    /// The order is in the journal, and was begun at this moment by the machine's own clock.
    Accepted(OrderId, Time),
    /// The order ended.
    Finished(OrderId, InstallReport),
    /// The order will not be carried out.
    Refused(OrderId, RefusedOrder),
    /// The machine is back from the order's reboot, in this boot.
    Rebooted(OrderId, String),
}

impl Mind for Gateway {
    fn apply(&mut self, fact: &Fact) {
        self.fleet.apply(fact);
        match &fact.event {
            Event::OrderPlaced { order } => {
                let known = Known { order: order.clone(), accepted: false, ended: false, settled: false };
                self.agent(&order.vm).orders.insert(order.id.clone(), known);
            }
            Event::VmSettled { vm, order, .. } => {
                self.known(vm, order, |known| known.settled = true);
                self.agent(vm).watched = None;
            }
            Event::RunStarted { rollout, region, policy, .. } => {
                let of_region = self.probes.entry(region.clone()).or_default();
                of_region.insert(rollout.clone(), policy.probes.clone());
            }
            Event::RunCompleted { rollout, .. } => {
                let of_region = fact.region().and_then(|region| self.probes.get_mut(region));
                of_region.into_iter().for_each(|probes| drop(probes.remove(rollout)));
            }
            Event::WatchRequested { rollout, vms } | Event::ControlsRequested { rollout, vms, .. } => {
                vms.iter().for_each(|vm| self.agent(vm).watched = Some(rollout.clone()));
            }
            Event::VmSkipped { vm, .. } | Event::VmDeferred { vm, .. } => self.agent(vm).watched = None,
            Event::EnrolmentTokenIssued { vm, token_sha256, expires } => {
                self.agent(vm).token = Some((token_sha256.clone(), *expires));
            }
            Event::AgentEnrolled { vm, token_sha256, key_sha256 } => {
                let agent = self.agent(vm);
                agent.token = None;
                agent.enrolment = Some(Enrolment::new(token_sha256, key_sha256));
                // A machine that enrols anew begins a new line of reports.
                agent.last_report = 0;
            }
            Event::AgentCertified { vm, key_sha256, former_sha256, ends } => {
                if let Some(enrolment) = &mut self.agent(vm).enrolment {
                    enrolment.certified(key_sha256, former_sha256, *ends);
                }
            }
            Event::AssessmentsRequested { vms, not_after, .. } => {
                vms.iter().for_each(|vm| self.agent(vm).assess = Some(*not_after));
            }
            Event::AssessmentWished { vm, not_after, .. } => {
                let agent = self.agent(vm);
                agent.assess = agent.assess.max(Some(*not_after));
            }
            Event::AgentConnected { vm, identity } => self.agent(vm).identity = Some(identity.clone()),
            Event::AgentAssessed { vm, report, .. } | Event::AssessmentFailed { vm, report, .. } => {
                self.stored(vm, *report);
                // An assessment that was asked for later is asked for again: it reads, and the next night ends it.
                self.agent(vm).assess = None;
            }
            Event::AgentEnabled { vm, report }
            | Event::AgentChecked { vm, report, .. }
            | Event::AgentRebooted { vm, report, .. } => self.stored(vm, *report),
            Event::OrderAccepted { vm, report, order, .. } => {
                self.stored(vm, *report);
                self.known(vm, order, |known| known.accepted = true);
            }
            Event::OrderFinished { vm, report, order, .. }
            | Event::OrderRefused { vm, report, order, .. } => {
                self.stored(vm, *report);
                self.known(vm, order, |known| known.ended = true);
            }
            _ => {}
        }
    }

    /// The gateway decides nothing by itself: it answers agents and people.
    fn decide(&self, _now: Time) -> Vec<Decision> {
        Vec::new()
    }

    fn next_wake(&self, _now: Time) -> Option<Time> {
        None
    }

    fn follows(&self) -> Vec<Follow> {
        let regions = self.fleet.topology.regions.keys().cloned();
        let of_region = |region: RegionName| {
            let partition = Partition::Region(region);
            ["run", "upkeep", "agent"].map(|kind| Follow::kind(partition.clone(), kind))
        };
        std::iter::once(Follow::all(Partition::Fleet)).chain(regions.flat_map(of_region)).collect()
    }
}

/// What agents and people ask.
impl Gateway {
    /// Issues a one-time token, of which only the hash is known here.
    pub fn issue_token(&self, vm: &VmId, token_sha256: String, expires: Time) -> Result<Decision, Refusal> {
        self.fact(vm, Event::EnrolmentTokenIssued { vm: vm.clone(), token_sha256, expires })
    }

    /// Trades a token for the right to speak for the VM with this key, and for a certificate until `ends`; nothing if that
    /// was done before, so that an agent that lost the answer asks again.
    pub fn enrol(
        &self,
        vm: &VmId,
        token_sha256: &str,
        key_sha256: &str,
        ends: Time,
        now: Time,
    ) -> Result<Option<Decision>, Refusal> {
        let agent = self.agents.get(vm);
        let known = agent.and_then(|agent| agent.enrolment.as_ref());
        if known.is_some_and(|known| known.is(token_sha256, key_sha256)) {
            return Ok(None);
        }
        let token = agent.and_then(|agent| agent.token.as_ref());
        let valid = token.is_some_and(|(hash, expires)| hash == token_sha256 && now < *expires);
        if !valid {
            let sentence = format!("the token is not good for VM \"{vm}\": it is wrong, used up or too old");
            return Err(Refusal::new("InvalidEnrolmentToken", sentence));
        }
        let (token_sha256, key_sha256) = (token_sha256.to_owned(), key_sha256.to_owned());
        let enrolled = Event::AgentEnrolled { vm: vm.clone(), token_sha256, key_sha256: key_sha256.clone() };
        let mut decision = self.fact(vm, enrolled)?;
        let former_sha256 = key_sha256.clone();
        decision.events.push(Event::AgentCertified { vm: vm.clone(), key_sha256, former_sha256, ends });
        Ok(Some(decision))
    }

    /// Gives the VM another certificate, for this new key and until `ends`, because the key that it has asks for it (who asks
    /// has proved to hold it); nothing if that was done before. `now` is by the machine's own clock, as certificates are.
    ///
    /// # Errors
    /// `KeyNotCurrent`; `CertificateEnded` if the certificate of the key that asks ended longer than `grace` ago.
    pub fn renew(
        &self,
        vm: &VmId,
        asking: &str,
        new: &str,
        ends: Time,
        now: Time,
        grace: Duration,
    ) -> Result<Option<Decision>, Refusal> {
        let known = self.agents.get(vm).and_then(|agent| agent.enrolment.as_ref());
        let known = known.ok_or_else(|| not_current(vm))?;
        let ended = known.until(asking, grace).ok_or_else(|| not_current(vm))?;
        if now > ended {
            let sentence = format!(
                "the certificate of VM \"{vm}\" ended too long ago: it could be renewed until {ended}. Enrol the VM \
                 anew with a token from `nightshift vm token {vm}`"
            );
            return Err(Refusal::new("CertificateEnded", sentence));
        }
        if known.was_certified(new, asking) {
            return Ok(None);
        }
        let (key_sha256, former_sha256) = (new.to_owned(), asking.to_owned());
        self.fact(vm, Event::AgentCertified { vm: vm.clone(), key_sha256, former_sha256, ends }).map(Some)
    }

    /// Whether this key may speak for the VM.
    pub fn authenticate(&self, vm: &VmId, key_sha256: &str) -> Result<(), Refusal> {
        let known = self.agents.get(vm).and_then(|agent| agent.enrolment.as_ref());
        match known.filter(|known| known.speaks_with(key_sha256)) {
            Some(_) => Ok(()),
            None => Err(not_current(vm)),
        }
    }

    /// A person's wish to have the VM assessed now, at any hour, whether rollouts patch it or not (REQUIREMENTS.md D4).
    ///
    /// # Errors
    /// `VmNotFound`; `FeatureNotRegistered` or `FeatureRegistering` if the VM's subscription may not ask for
    /// assessments (D1); `AgentNotEnrolled` if nobody could answer.
    pub fn wish_assessment(&self, vm: &VmId, not_after: Time, actor: Actor) -> Result<Decision, Refusal> {
        let decision = self.fact(vm, Event::AssessmentWished { vm: vm.clone(), not_after, actor })?;
        let model = self.fleet.vms.get(vm);
        let refusal = model.and_then(|model| {
            self.fleet.feature_refusal(&model.subscription, Feature::InGuestPatchVMPreview)
        });
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if !self.agents.get(vm).is_some_and(Agent::is_enrolled) {
            let sentence = format!("VM \"{vm}\" has no enrolled agent: install it and give it a token first");
            return Err(Refusal::new("AgentNotEnrolled", sentence).about(vm));
        }
        Ok(decision)
    }

    /// Until when the VM's agent may begin an assessment that it was asked for and has not reported.
    pub fn open_assessment(&self, vm: &VmId, now: Time) -> Option<Time> {
        self.agents.get(vm)?.assess.filter(|not_after| now <= *not_after)
    }

    /// What an agent says of its machine is a fact when it is new.
    pub fn connected(&self, vm: &VmId, identity: AgentIdentity) -> Result<Option<Decision>, Refusal> {
        let known = self.agents.get(vm).and_then(|agent| agent.identity.as_ref());
        if known == Some(&identity) {
            return Ok(None);
        }
        self.fact(vm, Event::AgentConnected { vm: vm.clone(), identity }).map(Some)
    }

    /// What a report makes fact; nothing if it is stored already.
    pub fn report(&self, vm: &VmId, number: u64, report: Report) -> Result<Option<Decision>, Refusal> {
        let agent = self.agents.get(vm);
        if agent.is_some_and(|agent| number <= agent.last_report) {
            return Ok(None);
        }
        let known = |order: &OrderId| agent.and_then(|agent| agent.orders.get(order));
        let told_before = match &report {
            Report::Accepted(order, _) => known(order).is_some_and(|known| known.accepted),
            Report::Finished(order, _) | Report::Refused(order, _) => {
                known(order).is_some_and(|known| known.ended)
            }
            _ => false,
        };
        if told_before {
            return Ok(None);
        }
        if let Some(order) = report.order().filter(|order| known(order).is_none()) {
            let sentence = format!(
                "report {number} of VM \"{vm}\" is on order \"{order}\", which was never placed with it"
            );
            return Err(Refusal::new("OrderNotFound", sentence));
        }
        let vm_id = vm.clone();
        let event = match report {
            Report::Enabled => Event::AgentEnabled { vm: vm_id, report: number },
            Report::Assessed(assessment) => Event::AgentAssessed { vm: vm_id, report: number, assessment },
            Report::NotAssessed(why) => Event::AssessmentFailed { vm: vm_id, report: number, why },
            Report::Checked(requirements) => Event::AgentChecked { vm: vm_id, report: number, requirements },
            Report::Accepted(order, began) => {
                Event::OrderAccepted { vm: vm_id, report: number, order, began }
            }
            Report::Finished(order, result) => {
                Event::OrderFinished { vm: vm_id, report: number, order, result }
            }
            Report::Refused(order, refused) => {
                Event::OrderRefused { vm: vm_id, report: number, order, refused }
            }
            Report::Rebooted(order, boot_id) => {
                Event::AgentRebooted { vm: vm_id, report: number, order, boot_id }
            }
        };
        self.fact(vm, event).map(Some)
    }

    /// Orders that the VM has not ended yet. Sent again with every session: the agent runs each at most once.
    pub fn open_orders(&self, vm: &VmId) -> Vec<Order> {
        let orders = self.agents.get(vm).into_iter().flat_map(|agent| agent.orders.values());
        orders.filter(|known| !known.ended && !known.settled).map(|known| known.order.clone()).collect()
    }

    /// What the VM's agent is to look at; `None` if no run watches the VM.
    pub fn probes_of(&self, vm: &VmId) -> Option<&[Probe]> {
        let rollout = self.agents.get(vm)?.watched.as_ref()?;
        let runs = self.probes.get(&self.fleet.vms.get(vm)?.region);
        Some(runs.and_then(|runs| runs.get(rollout)).map_or(&[][..], Vec::as_slice))
    }

    /// The VM's newest stored report; 0 if there is none.
    pub fn last_report(&self, vm: &VmId) -> u64 {
        self.agents.get(vm).map_or(0, |agent| agent.last_report)
    }

    /// Every agent that ever enrolled or was to.
    pub fn agents(&self) -> impl Iterator<Item = (&VmId, &Agent)> {
        self.agents.iter()
    }

    fn fact(&self, vm: &VmId, event: Event) -> Result<Decision, Refusal> {
        let region = &self.fleet.vms.get(vm).ok_or_else(|| Refusal::no_vm(vm))?.region;
        Ok(Decision { chain: Chain::agent(region, vm), events: vec![event] })
    }

    fn agent(&mut self, vm: &VmId) -> &mut Agent {
        self.agents.entry(vm.clone()).or_default()
    }

    fn stored(&mut self, vm: &VmId, report: u64) {
        let agent = self.agent(vm);
        agent.last_report = agent.last_report.max(report);
    }

    fn known(&mut self, vm: &VmId, order: &OrderId, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.agent(vm).orders.get_mut(order) {
            change(known);
        }
    }
}

fn not_current(vm: &VmId) -> Refusal {
    let sentence = format!("the certificate's key is not the one that VM \"{vm}\" was last given one for");
    Refusal::new("KeyNotCurrent", sentence)
}

impl Report {
    fn order(&self) -> Option<&OrderId> {
        match self {
            Report::Enabled | Report::Assessed(_) | Report::NotAssessed(_) | Report::Checked(_) => None,
            Report::Accepted(order, _)
            | Report::Finished(order, _)
            | Report::Refused(order, _)
            | Report::Rebooted(order, _) => Some(order),
        }
    }
}
