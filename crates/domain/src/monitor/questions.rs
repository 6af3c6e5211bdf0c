//! What is asked of the monitoring system, and what its answers mean. Who asks is the service; what to ask, when, and what
//! an answer is a signal of, is decided here.

use super::Monitor;
use super::rules::Rules;
use super::watch::{Watch, WatchState};
use crate::health::{Signal, Source};
use crate::id::{RolloutId, SourceName, VmId};
use crate::layout::StepKey;
use crate::mind::Time;
use crate::policy::{NoData, Query, Scope};
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
}

/// What the variables of a query stand for.
#[derive(Default)]
struct Places {
    vms: BTreeSet<VmId>,
    steps: BTreeSet<String>,
    zones: BTreeSet<String>,
    regions: BTreeSet<String>,
    phase: u32,
}

impl Monitor {
    /// What is to be asked now, and counts as asked from now on.
    pub fn questions(&mut self, now: Time) -> Vec<Question> {
        // Most runs ask nothing: no look at their watches then.
        if self.runs.values().flat_map(BTreeMap::values).all(|rules| rules.queries.is_empty()) {
            return Vec::new();
        }
        let mut due: BTreeMap<Key, (Query, Places)> = BTreeMap::new();
        for (vm, watch) in self.watches.iter().filter(|(_, watch)| self.is_mine(&watch.region)) {
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
        self.asked.forget_before(now - Duration::days(1));
        let ask = |(key, (query, places)): (Key, (Query, Places))| {
            let promql = places.put_into(&query.promql, &key.rollout);
            self.asked.0.insert(key, now);
            Question { promql, query, vms: places.vms }
        };
        due.into_iter().map(ask).collect()
    }
}

impl Question {
    /// The query's name.
    pub fn name(&self) -> &SourceName {
        &self.query.name
    }

    /// What an answer means: a signal of each VM that was asked for. `None` if the monitoring system knows no number; if it
    /// does not answer at all, nothing was heard, and this is not to be called.
    pub fn answer(&self, at: Time, value: Option<f64>) -> Vec<Signal> {
        let ailment = match (value.filter(|value| !value.is_nan()), self.query.no_data) {
            (Some(value), _) => self.query.ailment(value),
            (None, NoData::Unknown) => return Vec::new(),
            (None, NoData::Well) => None,
            (None, NoData::Ill) => Some("no data".to_owned()),
        };
        let source = Source::Query(self.query.name.clone());
        let signal = |vm: &VmId| Signal::of(source.clone(), vm.clone(), at, ailment.clone());
        self.vms.iter().map(signal).collect()
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

fn zone(step: &StepKey) -> Option<String> {
    match step {
        StepKey::ZoneBatch { zone, .. } => Some(zone.to_string()),
        StepKey::UpdateDomain { .. } | StepKey::Batch(_) => None,
    }
}
