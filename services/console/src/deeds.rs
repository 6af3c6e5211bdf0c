//! Who wished what of a rollout: the trace that people leave in the log.

use nightshift_domain::rollout::Actor;
use nightshift_domain::{Event, Fact, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The wishes of all rollouts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deeds(BTreeMap<RolloutId, Vec<Deed>>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Deed {
    at: Time,
    what: String,
    about: String,
    actor: Actor,
}

impl Deeds {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        let (rollout, what, about, actor) = match &fact.event {
            Event::RolloutRequested { rollout, actor, .. } => {
                (rollout, "RolloutRequested", String::new(), actor)
            }
            Event::RolloutPaused { rollout, actor } => (rollout, "RolloutPaused", String::new(), actor),
            Event::RolloutResumed { rollout, actor, .. } => (rollout, "RolloutResumed", String::new(), actor),
            Event::RolloutRetried { rollout, regions, actor } => {
                let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
                (rollout, "RolloutRetried", regions.join(", "), actor)
            }
            Event::RegionSkipped { rollout, region, actor } => {
                (rollout, "RegionSkipped", region.to_string(), actor)
            }
            Event::RolloutCancelled { rollout, actor } => (rollout, "RolloutCancelled", String::new(), actor),
            Event::PhaseApproved { rollout, phase, actor } => {
                (rollout, "PhaseApproved", format!("phase {}", phase + 1), actor)
            }
            Event::PolicyChanged { rollout, actor, .. } => (rollout, "PolicyChanged", String::new(), actor),
            _ => return,
        };
        let deed = Deed { at: fact.at, what: what.to_owned(), about, actor: actor.clone() };
        self.0.entry(rollout.clone()).or_default().push(deed);
    }

    /// Of one rollout, oldest first.
    pub(crate) fn of(&self, rollout: &RolloutId) -> Vec<api::Deed> {
        let deed = |Deed { at, what, about, actor }: &Deed| api::Deed {
            at: Some(timestamp(*at)),
            what: what.clone(),
            about: about.clone(),
            actor: Some(actor.into()),
        };
        self.0.get(rollout).into_iter().flatten().map(deed).collect()
    }
}
