//! What is asked of the monitoring system, and what its answers mean. Who asks is the service; what to ask, when, and what
//! an answer is a signal of, is decided here.

use super::Monitor;
use super::bake::Bake;
use super::rules::Rules;
use super::watch::{Watch, WatchState};
use crate::health::{Signal, Source};
use crate::id::{RegionName, RolloutId, SourceName, VmId};
use crate::layout::StepKey;
use crate::mind::Time;
use crate::policy::{Query, Scope};
use chrono::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// When each question was last asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Asked(BTreeMap<Key, Time>);

/// One query for one VM, step, zone, region or phase.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rollout: RolloutId,
    query: SourceName,
    about: String,
}

/// A query as it is to be asked now.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// With everything put in.
    pub promql: String,
    query: Query,
    vms: BTreeSet<VmId>,
    /// Regions whose phase bakes, that it was asked about.
    bakes: BTreeSet<(RegionName, RolloutId)>,
}

/// What the variables of a query stand for.
#[derive(Default)]
struct Places {
    vms: BTreeSet<VmId>,
    steps: BTreeSet<String>,
    zones: BTreeSet<String>,
    regions: BTreeSet<String>,
    phase: u32,
    bakes: BTreeSet<(RegionName, RolloutId)>,
}

impl Monitor {
    /// What is to be asked now, and counts as asked from now on.
    pub fn questions(&mut self, now: Time) -> Vec<Question> {
        let mut due: BTreeMap<Key, (Query, Places)> = BTreeMap::new();
        // Most runs ask nothing: no look at their watches then.
        let asks = self.runs.values().flat_map(BTreeMap::values).any(|rules| !rules.queries.is_empty());
        let watches = asks.then_some(&self.watches).into_iter().flatten();
        for (vm, watch) in watches.filter(|(_, watch)| self.is_mine(&watch.region)) {
            // While the order is at work nobody waits for an answer.
            let Some(rules) = self.rules(&watch.region, &watch.rollout) else { continue };
            if watch.state == WatchState::Open {
                continue;
            }
            for query in &rules.queries {
                let key = key(vm, watch, rules, query);
                if !self.asked.is_due(&key, query.interval, now) {
                    continue;
                }
                let (_, places) = due.entry(key).or_insert_with(|| (query.clone(), Places::default()));
                places.add(vm, watch, rules);
            }
        }
        for (region, rollout, bake) in self.baking() {
            for query in &bake.queries {
                let key = key_of_bake(region, rollout, bake, query);
                if self.asked.is_due(&key, query.interval, now) {
                    let (_, places) = due.entry(key).or_insert_with(|| (query.clone(), Places::default()));
                    places.regions.insert(region.to_string());
                    places.phase = bake.phase + 1;
                    places.bakes.insert((region.clone(), rollout.clone()));
                }
            }
        }
        self.asked.forget_before(now - Duration::days(1));
        let ask = |(key, (query, places)): (Key, (Query, Places))| {
            let promql = places.put_into(&query.promql, &key.rollout);
            self.asked.0.insert(key, now);
            Question { promql, query, vms: places.vms, bakes: places.bakes }
        };
        due.into_iter().map(ask).collect()
    }

    /// What an answer means: a signal of each VM that was asked for, and a word on each region that bakes. `None` if the
    /// monitoring system knows no number; if it does not answer at all, nothing was heard, and this is not to be called.
    pub fn answer(&mut self, question: &Question, at: Time, value: Option<f64>, now: Time) {
        let Question { query, vms, bakes, .. } = question;
        let Some(ailment) = query.says(value) else { return };
        for vm in vms {
            let source = Source::Query(query.name.clone());
            self.hear(Signal::of(source, vm.clone(), at, ailment.clone()), now);
        }
        for (region, rollout) in bakes {
            self.hear_of_bake(region, rollout, &query.name, at, ailment.as_ref());
        }
    }
}

impl Question {
    /// The query's name.
    pub fn name(&self) -> &SourceName {
        &self.query.name
    }
}

impl Asked {
    fn is_due(&self, key: &Key, interval: Duration, now: Time) -> bool {
        self.0.get(key).is_none_or(|at| now - *at >= interval)
    }

    fn forget_before(&mut self, time: Time) {
        self.0.retain(|_, at| *at >= time);
    }
}

impl Places {
    fn add(&mut self, vm: &VmId, watch: &Watch, rules: &Rules) {
        let step = rules.step_of(vm);
        self.vms.insert(vm.clone());
        self.steps.extend(step.map(ToString::to_string));
        self.zones.extend(step.and_then(zone));
        self.regions.insert(watch.region.to_string());
        // People count from 1.
        self.phase = rules.phase + 1;
    }

    /// Identifiers have no character that means anything within a string or a pattern of PromQL.
    fn put_into(&self, promql: &str, rollout: &RolloutId) -> String {
        let joined =
            |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join("|");
        let vms = self.vms.iter().map(VmId::as_str).collect::<Vec<_>>().join("|");
        promql
            .replace("$vms", &vms)
            .replace("$vm", &vms)
            .replace("$step", &joined(&self.steps))
            .replace("$zone", &joined(&self.zones))
            .replace("$region", &joined(&self.regions))
            .replace("$phase", &self.phase.to_string())
            .replace("$rollout", rollout.as_str())
    }
}

fn key(vm: &VmId, watch: &Watch, rules: &Rules, query: &Query) -> Key {
    let region = &watch.region;
    let step = rules.step_of(vm);
    let about = match query.scope {
        Scope::Vm => vm.to_string(),
        Scope::Step => format!("{region} {}", step.map(ToString::to_string).unwrap_or_default()),
        Scope::Zone => format!("{region} {}", step.and_then(zone).unwrap_or_default()),
        Scope::Region => region.to_string(),
        Scope::Phase => rules.phase.to_string(),
    };
    Key { rollout: watch.rollout.clone(), query: query.name.clone(), about }
}

fn key_of_bake(region: &RegionName, rollout: &RolloutId, bake: &Bake, query: &Query) -> Key {
    let about = match query.scope {
        Scope::Region => format!("bake of {region}"),
        _ => format!("bake of phase {}", bake.phase),
    };
    Key { rollout: rollout.clone(), query: query.name.clone(), about }
}

fn zone(step: &StepKey) -> Option<String> {
    match step {
        StepKey::ZoneBatch { zone, .. } => Some(zone.to_string()),
        StepKey::UpdateDomain { .. } | StepKey::Batch(_) => None,
    }
}
