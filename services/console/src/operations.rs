//! What people asked of single machines, and what became of it: folded from the log, so a restart loses none.

use chrono::Duration;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Outcome;
use nightshift_domain::patch::Assessment;
use nightshift_domain::{Event, Fact, OrderId, RolloutId, Time, VmId};
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
    /// Assessments that wait for an answer.
    open: BTreeMap<VmId, Vec<Uuid>>,
    /// Orders of installations, each with its rollout's operation.
    #[serde(default)]
    orders: BTreeMap<OrderId, Uuid>,
}

/// Something that a person wished of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) vm: VmId,
    pub(crate) asked: Time,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Assessment {
        /// The agent begins not later than this.
        not_after: Time,
        ended: Option<(Time, Result<Assessment, String>)>,
    },
    Installation {
        ended: Option<(Time, Result<InstallReport, Undone>)>,
    },
}

/// Why nothing was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Undone {
    /// A person took the wish back.
    Cancelled,
    /// For people.
    Failed(String),
}

/// How far an operation is.
pub(crate) enum Progress<'a> {
    Running,
    Assessed(Time, &'a Assessment),
    NotAssessed(Time, &'a str),
    /// Nobody answered until this moment.
    Silent(Time),
    Installed(Time, &'a InstallReport),
    NotInstalled(Time, &'a Undone),
}

/// The identity of a wish to assess: of one VM no two are good until the same moment.
pub(crate) fn identity(vm: &VmId, not_after: Time) -> Uuid {
    let name = format!("operation/{vm}/{}.{:09}", not_after.timestamp(), not_after.timestamp_subsec_nanos());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// The identity of a wish to install: the rollout on demand.
pub(crate) fn identity_of_install(rollout: &RolloutId) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("install/{rollout}").as_bytes())
}

impl Operations {
    pub(crate) fn get(&self, id: &Uuid) -> Option<&Operation> {
        self.known.get(id)
    }

    pub(crate) fn apply(&mut self, fact: &Fact) {
        match &fact.event {
            Event::AssessmentWished { vm, not_after, .. } => {
                let id = identity(vm, *not_after);
                self.open.entry(vm.clone()).or_default().push(id);
                self.begin(id, vm, fact.at, Kind::Assessment { not_after: *not_after, ended: None });
            }
            Event::AgentAssessed { vm, assessment, .. } => {
                self.assessed(vm, fact.at, || Ok(assessment.clone()));
            }
            Event::AssessmentFailed { vm, why, .. } => self.assessed(vm, fact.at, || Err(why.clone())),
            Event::VmRemoved { vm } => {
                self.assessed(vm, fact.at, || Err("the VM was removed from the fleet".to_owned()));
            }
            Event::RolloutRequested { rollout, on_demand: Some(on_demand), .. } => {
                let id = identity_of_install(rollout);
                self.begin(id, &on_demand.vm, fact.at, Kind::Installation { ended: None });
            }
            event => self.apply_of_install(event, fact.at),
        }
    }

    fn begin(&mut self, id: Uuid, vm: &VmId, at: Time, kind: Kind) {
        self.known.retain(|_, operation| operation.asked + KEPT > at);
        let known = &self.known;
        self.orders.retain(|_, operation| known.contains_key(operation));
        self.known.insert(id, Operation { vm: vm.clone(), asked: at, kind });
    }

    /// The first word on how it ended is the last: what is installed is known long before the machine's health is.
    fn apply_of_install(&mut self, event: &Event, at: Time) {
        let (id, end) = match event {
            Event::OrderPlaced { order } => {
                let id = identity_of_install(&order.rollout);
                if self.known.contains_key(&id) {
                    self.orders.insert(order.id.clone(), id);
                }
                return;
            }
            Event::OrderFinished { order, result, .. } => (self.of_order(order), Ok(result.clone())),
            Event::OrderRefused { order, refused, .. } => {
                let why = format!("the VM's agent refused the order ({}): {}", refused.code, refused.why);
                (self.of_order(order), Err(Undone::Failed(why)))
            }
            Event::VmSkipped { rollout, why, .. } | Event::VmDeferred { rollout, why, .. } => {
                (Some(identity_of_install(rollout)), Err(Undone::Failed(why.clone())))
            }
            Event::VmSettled { rollout, outcome: Outcome::Failed { why }, .. } => {
                (Some(identity_of_install(rollout)), Err(Undone::Failed(why.clone())))
            }
            Event::RolloutExpired { rollout, why } => {
                (Some(identity_of_install(rollout)), Err(Undone::Failed(why.clone())))
            }
            Event::RolloutCancelled { rollout, .. } => {
                let id = identity_of_install(rollout);
                // What was ordered already is done.
                let is_ordered = self.orders.values().any(|known| *known == id);
                ((!is_ordered).then_some(id), Err(Undone::Cancelled))
            }
            Event::RolloutCompleted { rollout, .. } => {
                let why = "the VM changed before its order could be placed".to_owned();
                (Some(identity_of_install(rollout)), Err(Undone::Failed(why)))
            }
            _ => return,
        };
        let operation = id.and_then(|id| self.known.get_mut(&id));
        if let Some(Operation { kind: Kind::Installation { ended: ended @ None }, .. }) = operation {
            *ended = Some((at, end));
        }
    }

    fn of_order(&self, order: &OrderId) -> Option<Uuid> {
        self.orders.get(order).copied()
    }

    fn assessed(&mut self, vm: &VmId, at: Time, result: impl Fn() -> Result<Assessment, String>) {
        for id in self.open.remove(vm).into_iter().flatten() {
            let Some(operation) = self.known.get_mut(&id) else { continue };
            // What comes after everybody was told that nobody answered changes nothing any more.
            if let Kind::Assessment { not_after, ended } = &mut operation.kind
                && at <= *not_after + LONGEST
            {
                *ended = Some((at, result()));
            }
        }
    }
}

impl Operation {
    pub(crate) fn progress(&self, now: Time) -> Progress<'_> {
        match &self.kind {
            Kind::Assessment { ended: Some((at, Ok(assessment))), .. } => Progress::Assessed(*at, assessment),
            Kind::Assessment { ended: Some((at, Err(why))), .. } => Progress::NotAssessed(*at, why),
            Kind::Assessment { ended: None, not_after } if now > *not_after + LONGEST => {
                Progress::Silent(*not_after + LONGEST)
            }
            Kind::Installation { ended: Some((at, Ok(report))) } => Progress::Installed(*at, report),
            Kind::Installation { ended: Some((at, Err(why))) } => Progress::NotInstalled(*at, why),
            Kind::Assessment { .. } | Kind::Installation { .. } => Progress::Running,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;
    use nightshift_domain::on_demand::OnDemand;
    use nightshift_domain::policy::Policy;
    use nightshift_domain::rollout::Actor;
    use nightshift_domain::{Partition, RegionName};

    fn fact(at: Time, event: Event) -> Fact {
        Fact { partition: Partition::Region(RegionName::new("here").unwrap()), at, event }
    }

    fn actor() -> Actor {
        Actor { name: "a".into(), reason: "b".into() }
    }

    #[test]
    fn an_operation_ends_with_the_answer_or_without_one_and_then_for_good() {
        let vm = VmId::new("vm").unwrap();
        let asked: Time = "2026-11-24T12:00:00Z".parse().unwrap();
        let not_after = asked + Duration::minutes(30);
        let wished = Event::AssessmentWished { vm: vm.clone(), not_after, actor: actor() };
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
            matches!(answered.get(&id).unwrap().progress(late), Progress::Assessed(at, _) if at == not_after)
        );
        operations.apply(&fact(late, assessed));
        assert!(matches!(operations.get(&id).unwrap().progress(late), Progress::Silent(_)));
    }

    #[test]
    fn an_installation_ends_with_the_first_word_on_it() {
        let rollout = RolloutId::new("install-1").unwrap();
        let vm = VmId::new("vm").unwrap();
        let asked: Time = "2026-11-24T12:00:00Z".parse().unwrap();
        let later = asked + Duration::minutes(5);
        let on_demand = Some(OnDemand { vm: vm.clone(), not_after: later });
        let (policy, id) = (Policy::default(), identity_of_install(&rollout));
        let requested =
            Event::RolloutRequested { rollout: rollout.clone(), policy, actor: actor(), on_demand };
        let mut operations = Operations::default();
        operations.apply(&fact(asked, requested));
        assert!(matches!(operations.get(&id).unwrap().progress(later), Progress::Running));

        let why = "no signal from it".to_owned();
        operations.apply(&fact(later, Event::VmDeferred { rollout: rollout.clone(), vm, why }));
        let tally = Default::default();
        operations.apply(&fact(later, Event::RolloutCompleted { rollout, tally }));
        let ended = operations.get(&id).unwrap().progress(later);
        let Progress::NotInstalled(_, Undone::Failed(why)) = ended else { panic!("it has ended") };
        assert_eq!(why, "no signal from it");
    }
}
