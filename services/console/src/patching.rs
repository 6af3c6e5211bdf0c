//! What Azure's instance view tells of a VM's patching beyond what its agent last said: when things began, and under
//! which identity.

use nightshift_domain::{Event, Fact, OrderId, Time, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// All VMs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Patching(BTreeMap<VmId, Story>);

/// One VM.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Story {
    /// When its agent last said anything that became fact.
    pub(crate) heard: Option<Time>,
    /// It was found silent, or off, since.
    pub(crate) silent: bool,
    pub(crate) enabled: Option<Time>,
    /// The identity of the newest assessment.
    pub(crate) assessment: Option<Uuid>,
    /// The order that the machine works on.
    pub(crate) under_way: Option<(OrderId, Time)>,
    /// The order that ended last: its identity, when it began and ended.
    pub(crate) ended: Option<(OrderId, Time, Time)>,
}

impl Patching {
    pub(crate) fn of(&self, vm: &VmId) -> Option<&Story> {
        self.0.get(vm)
    }

    pub(crate) fn apply(&mut self, fact: &Fact) {
        match &fact.event {
            Event::VmRemoved { vm } => {
                self.0.remove(vm);
                return;
            }
            Event::VmDeferred { vm, .. } => self.story(vm).silent = true,
            Event::AgentEnabled { vm, .. } => self.story(vm).enabled = Some(fact.at),
            Event::AgentAssessed { vm, report, .. } => {
                self.story(vm).assessment = Some(activity(&format!("assessment/{vm}/{report}")));
            }
            Event::OrderAccepted { vm, order, began, .. } => {
                self.story(vm).under_way = Some((order.clone(), *began));
            }
            Event::OrderFinished { vm, order, .. } => {
                let story = self.story(vm);
                let began = story.under_way.take().filter(|(known, _)| known == order);
                let began = began.map_or(fact.at, |(_, began)| began);
                story.ended = Some((order.clone(), began, fact.at));
            }
            Event::OrderRefused { vm, .. } => self.story(vm).under_way = None,
            _ => {}
        }
        let aggregate = fact.event.aggregate();
        let by_people =
            matches!(fact.event, Event::EnrolmentTokenIssued { .. } | Event::AssessmentWished { .. });
        if let Some(vm) = fact.event.vm().filter(|_| aggregate.kind == "agent" && !by_people) {
            let story = self.story(vm);
            story.heard = Some(fact.at);
            story.silent = false;
        }
    }

    fn story(&mut self, vm: &VmId) -> &mut Story {
        self.0.entry(vm.clone()).or_default()
    }
}

/// The identity of an activity: always the same for the same one.
pub(crate) fn activity(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}
