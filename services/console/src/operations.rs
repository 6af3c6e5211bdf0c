//! What people asked of single machines, and what became of it: folded from the log, so a restart loses none.

use chrono::Duration;
use nightshift_domain::patch::Assessment;
use nightshift_domain::{Event, Fact, Time, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// An assessment that began at the last moment takes so long at most.
const LONGEST: Duration = Duration::minutes(15);
/// For so long somebody may still ask what became of an operation.
const KEPT: Duration = Duration::days(7);

/// Every operation of the last days.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operations {
    known: BTreeMap<Uuid, Operation>,
    open: BTreeMap<VmId, Vec<Uuid>>,
}

/// An assessment that a person wished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) vm: VmId,
    pub(crate) asked: Time,
    /// The agent begins not later than this.
    not_after: Time,
    ended: Option<(Time, Result<Assessment, String>)>,
}

/// How far an operation is.
pub(crate) enum Progress<'a> {
    Running,
    Done(Time, &'a Assessment),
    Failed(Time, &'a str),
    /// Nobody answered until this moment.
    Silent(Time),
}

/// The identity of a wish: of one VM no two are good until the same moment.
pub(crate) fn identity(vm: &VmId, not_after: Time) -> Uuid {
    let name = format!("operation/{vm}/{}.{:09}", not_after.timestamp(), not_after.timestamp_subsec_nanos());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

impl Operations {
    pub(crate) fn get(&self, id: &Uuid) -> Option<&Operation> {
        self.known.get(id)
    }

    pub(crate) fn apply(&mut self, fact: &Fact) {
        match &fact.event {
            Event::AssessmentWished { vm, not_after, .. } => {
                self.known.retain(|_, operation| operation.asked + KEPT > fact.at);
                let id = identity(vm, *not_after);
                let (vm, not_after, asked) = (vm.clone(), *not_after, fact.at);
                self.open.entry(vm.clone()).or_default().push(id);
                self.known.insert(id, Operation { vm, asked, not_after, ended: None });
            }
            Event::AgentAssessed { vm, assessment, .. } => self.end(vm, fact.at, || Ok(assessment.clone())),
            Event::AssessmentFailed { vm, why, .. } => self.end(vm, fact.at, || Err(why.clone())),
            Event::VmRemoved { vm } => {
                self.end(vm, fact.at, || Err("the VM was removed from the fleet".to_owned()));
            }
            _ => {}
        }
    }

    fn end(&mut self, vm: &VmId, at: Time, result: impl Fn() -> Result<Assessment, String>) {
        for id in self.open.remove(vm).into_iter().flatten() {
            // What comes after everybody was told that nobody answered changes nothing any more.
            if let Some(operation) = self.known.get_mut(&id).filter(|operation| at <= operation.over()) {
                operation.ended = Some((at, result()));
            }
        }
    }
}

impl Operation {
    fn over(&self) -> Time {
        self.not_after + LONGEST
    }

    pub(crate) fn progress(&self, now: Time) -> Progress<'_> {
        match &self.ended {
            Some((at, Ok(assessment))) => Progress::Done(*at, assessment),
            Some((at, Err(why))) => Progress::Failed(*at, why),
            None if now > self.over() => Progress::Silent(self.over()),
            None => Progress::Running,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;
    use nightshift_domain::rollout::Actor;
    use nightshift_domain::{Partition, RegionName};

    fn fact(at: Time, event: Event) -> Fact {
        Fact { partition: Partition::Region(RegionName::new("here").unwrap()), at, event }
    }

    #[test]
    fn an_operation_ends_with_the_answer_or_without_one_and_then_for_good() {
        let vm = VmId::new("vm").unwrap();
        let asked: Time = "2026-11-24T12:00:00Z".parse().unwrap();
        let not_after = asked + Duration::minutes(30);
        let actor = Actor { name: "a".into(), reason: "b".into() };
        let wished = Event::AssessmentWished { vm: vm.clone(), not_after, actor };
        let assessed = Event::AgentAssessed { vm: vm.clone(), report: 1, assessment: Assessment::default() };
        let mut operations = Operations::default();
        operations.apply(&fact(asked, wished));
        let id = identity(&vm, not_after);
        let late = not_after + LONGEST + Duration::seconds(1);
        assert!(matches!(operations.get(&id).unwrap().progress(asked), Progress::Running));
        assert!(matches!(operations.get(&id).unwrap().progress(late), Progress::Silent(_)));
        let mut answered = operations.clone();
        answered.apply(&fact(not_after, assessed.clone()));
        assert!(
            matches!(answered.get(&id).unwrap().progress(late), Progress::Done(at, _) if at == not_after)
        );
        operations.apply(&fact(late, assessed));
        assert!(matches!(operations.get(&id).unwrap().progress(late), Progress::Silent(_)));
    }
}
