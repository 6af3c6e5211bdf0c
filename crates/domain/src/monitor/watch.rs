//! One VM under watch, from the wish for its baseline to the verdict.

use super::rules::Rules;
use crate::health::{Baseline, Signal, Source};
use crate::id::{OrderId, RegionName, RolloutId};
use crate::mind::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    pub region: RegionName,
    pub rollout: RolloutId,
    pub state: WatchState,
    /// The sample that it is a control of; it waits for its patch.
    pub control: Option<OrderId>,
    /// Its place in the agenda, if it has one.
    pub look_from: Option<Time>,
    /// What the agent found before the patch: not held against it.
    known: Vec<String>,
    /// Ailments that count, one for each source and moment: who says it twice has said it once.
    #[serde(skip)]
    ills: BTreeMap<(Source, Time), Signal>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum WatchState {
    /// The coordinator wants to know how the VM is before its patch.
    Requested { since: Time },
    /// It was told; the order may be at work.
    Open,
    /// The order is finished, in this boot; the verdict is due after the soak.
    Soaking { order: OrderId, since: Time, boot_id: String },
}

/// Ailments kept of one source while the order is at work: it is not known yet which of them come after its end.
const MOST_WHILE_OPEN: usize = 100;

impl Watch {
    pub fn requested(region: RegionName, rollout: RolloutId, since: Time) -> Self {
        let state = WatchState::Requested { since };
        Self {
            region,
            rollout,
            state,
            control: None,
            look_from: None,
            known: Vec::new(),
            ills: BTreeMap::new(),
        }
    }

    /// The same, of a machine that is not patched but compared with.
    pub fn control_of(self, sample: OrderId) -> Self {
        Self { control: Some(sample), ..self }
    }

    pub fn open(&mut self, baseline: &Baseline) {
        self.state = WatchState::Open;
        self.known = match baseline {
            Baseline::Flawed { findings } => findings.clone(),
            _ => Vec::new(),
        };
    }

    /// The order is finished. Gives from when on a verdict is possible.
    pub fn soak(&mut self, state: WatchState, rules: Option<&Rules>) -> Time {
        self.state = state;
        let WatchState::Soaking { since, .. } = &self.state else { return Time::MIN_UTC };
        let since = *since;
        let Some(rules) = rules else { return since };
        for signal in std::mem::take(&mut self.ills).into_values() {
            self.note(&signal, rules);
        }
        if self.failure(rules).is_some() { Time::MIN_UTC } else { since + rules.soak() }
    }

    /// Takes note of an ailment that counts; whether the VM has thereby failed.
    pub fn note(&mut self, signal: &Signal, rules: &Rules) -> bool {
        let Some(failures) = rules.failures(&signal.source) else { return false };
        let (most, ill) = match &self.state {
            WatchState::Requested { .. } => return false,
            // Which of them are held against the patch is known at its end.
            WatchState::Open if signal.ailment.is_none() && signal.findings.is_empty() => return false,
            WatchState::Open => (MOST_WHILE_OPEN, Some(signal.clone())),
            WatchState::Soaking { .. } => (failures, self.after_patch(signal)),
        };
        let Some(ill) = ill else { return false };
        let key = (ill.source.clone(), ill.at);
        let known = self.ills.entry(key).or_insert_with(|| ill.clone());
        // Two words of one moment: the same one is kept whichever came first.
        if ill < *known {
            *known = ill;
        }
        self.keep(&signal.source, most);
        matches!(self.state, WatchState::Soaking { .. }) && self.failure(rules).is_some()
    }

    /// Within the soak the first ones of a source decide; before it only the last ones can matter.
    fn keep(&mut self, source: &Source, most: usize) {
        let of_source: Vec<Time> =
            self.ills.keys().filter(|(known, _)| known == source).map(|(_, at)| *at).collect();
        let excess = of_source.len().saturating_sub(most);
        let surplus: Vec<Time> = match self.state {
            WatchState::Soaking { .. } => of_source.into_iter().rev().take(excess).collect(),
            _ => of_source.into_iter().take(excess).collect(),
        };
        for at in surplus {
            self.ills.remove(&(source.clone(), at));
        }
    }

    /// The signal with what it holds against the patch as its ailment; `None` if nothing.
    pub fn after_patch(&self, signal: &Signal) -> Option<Signal> {
        let WatchState::Soaking { since, boot_id, .. } = &self.state else { return None };
        // What was signalled before the patch was finished says nothing about it.
        if signal.at <= *since {
            return None;
        }
        let both_known = !signal.boot_id.is_empty() && !boot_id.is_empty();
        let booted = (both_known && signal.boot_id != *boot_id)
            .then(|| "it was booted again after the order had ended".to_owned());
        let new: Vec<&str> =
            signal.findings.iter().filter(|found| !self.known.contains(found)).map(String::as_str).collect();
        let found = (!new.is_empty()).then(|| format!("not so before the patch: {}", new.join(", ")));
        let ailment = signal.ailment.clone().or(found).or(booted)?;
        Some(Signal { ailment: Some(ailment), ..signal.clone() })
    }

    /// The signal with which the VM failed, if it did: of the sources that fail it the one that was there first.
    pub fn failure(&self, rules: &Rules) -> Option<&Signal> {
        let last_straw = |source: &Source| {
            let nth = rules.failures(source)?.checked_sub(1)?;
            let mut of_source = self.ills.iter().filter(|((known, _), _)| known == source);
            of_source.nth(nth).map(|(_, signal)| signal)
        };
        let straws = rules.required().filter_map(last_straw);
        straws.min_by(|a, b| (a.at, &a.source).cmp(&(b.at, &b.source)))
    }
}
