//! From what was heard to a verdict: confirmed, failed or unknown. Unknown is never success.

use super::rules::Rules;
use super::watch::{Watch, WatchState};
use super::{Heard, Monitor};
use crate::event::Event;
use crate::health::{Baseline, Signal, Source};
use crate::id::{OrderId, VmId};
use crate::mind::Time;
use chrono::Duration;

/// What was heard of a VM that is none of the fleet: nothing.
static NOTHING: Heard = Heard::NOTHING;

impl Monitor {
    pub(super) fn verdict(&self, vm: &VmId, watch: &Watch, now: Time) -> Option<Event> {
        let rules = self.rules(&watch.region, &watch.rollout)?;
        match &watch.state {
            WatchState::Open => None,
            WatchState::Requested { since } => {
                let baseline = self.baseline(vm, *since, rules, now)?;
                let (vm, rollout, sample) = (vm.clone(), watch.rollout.clone(), watch.control.clone());
                Some(Event::WatchOpened { vm, rollout, baseline, sample })
            }
            WatchState::Soaking { order, since, .. } => {
                self.after_patch(vm, watch, order, *since, rules, now)
            }
        }
    }

    /// Every required source is heard and well, or one is ill, or time is over.
    fn baseline(&self, vm: &VmId, since: Time, rules: &Rules, now: Time) -> Option<Baseline> {
        let heard = self.heard(vm);
        let fresh =
            |source: &Source| heard.newest(vm, source).filter(|signal| now - signal.at <= rules.silence());
        let newest: Vec<(&Source, Option<Signal>)> =
            rules.required().map(|source| (source, fresh(source))).collect();
        let ill = newest.iter().find_map(|(source, signal)| {
            let ailment = signal.as_ref()?.ailment.as_ref()?;
            Some(if **source == Source::Agent { ailment.clone() } else { format!("{source}: {ailment}") })
        });
        if let Some(ailment) = ill {
            return Some(Baseline::Ill { ailment });
        }
        let missing: Vec<&Source> =
            newest.iter().filter(|(_, signal)| signal.is_none()).map(|(source, _)| *source).collect();
        if missing.contains(&&Source::Agent) {
            return self.heard_long_enough(rules, now).then_some(Baseline::Silent);
        }
        if !missing.is_empty() {
            // Probes begin only now, and others may have been told nothing of the VM before.
            let over = now - since > rules.silence() && self.heard_long_enough(rules, now);
            return over.then(|| Baseline::Unknown { why: format!("nothing from {}", list(&missing)) });
        }
        let agent = newest.into_iter().find_map(|(_, signal)| signal);
        Some(match agent.map(|signal| signal.findings).filter(|findings| !findings.is_empty()) {
            Some(findings) => Baseline::Flawed { findings },
            None => Baseline::Well,
        })
    }

    fn after_patch(
        &self,
        vm: &VmId,
        watch: &Watch,
        order: &OrderId,
        since: Time,
        rules: &Rules,
        now: Time,
    ) -> Option<Event> {
        let (vm_id, order) = (vm.clone(), order.clone());
        if let Some(signal) = watch.failure(rules) {
            return Some(Event::HealthFailed { vm: vm_id, order, signal: signal.clone() });
        }
        let soaked = since + rules.soak();
        if now < soaked {
            return None;
        }
        let heard = self.heard(vm);
        let doubts: Vec<String> = rules
            .required()
            .filter_map(|source| doubt(vm, heard, watch, source, since, rules, now))
            .collect();
        if doubts.is_empty() {
            return Some(Event::HealthConfirmed { vm: vm_id, order });
        }
        if now < soaked + rules.silence() || !self.heard_long_enough(rules, now) {
            return None;
        }
        Some(Event::HealthUnknown { vm: vm_id, order, why: doubts.join("; ") })
    }

    /// Whether the monitor has listened for so long that hearing nothing means something.
    fn heard_long_enough(&self, rules: &Rules, now: Time) -> bool {
        self.listening_since.is_some_and(|since| now - since > rules.silence())
    }

    pub(super) fn due(&self, vm: &VmId, watch: &Watch) -> Vec<Time> {
        let Some(rules) = self.rules(&watch.region, &watch.rollout) else { return Vec::new() };
        // Silence is over the limit, not at it: one second later it is.
        let silent_after = |at: Time| at + rules.silence() + Duration::seconds(1);
        let heard = self.heard(vm);
        let mut due: Vec<Time> =
            rules.required().filter_map(|source| heard.at(source)).map(silent_after).collect();
        due.extend(self.listening_since.map(silent_after));
        match &watch.state {
            WatchState::Requested { since } => due.push(silent_after(*since)),
            WatchState::Open => {}
            WatchState::Soaking { since, .. } => {
                let soaked = *since + rules.soak();
                due.extend([soaked, soaked + rules.silence()]);
            }
        }
        due
    }

    pub(super) fn heard(&self, vm: &VmId) -> &Heard {
        self.patients.get(vm).map_or(&NOTHING, |patient| &patient.heard)
    }
}

/// Why a source does not confirm; `None` if it does.
fn doubt(
    vm: &VmId,
    heard: &Heard,
    watch: &Watch,
    source: &Source,
    since: Time,
    rules: &Rules,
    now: Time,
) -> Option<String> {
    let minutes = rules.silence().num_minutes();
    let Some(signal) = heard.newest(vm, source).filter(|signal| signal.at > since) else {
        return Some(match source {
            Source::Agent => format!("no signal for {minutes} minutes"),
            _ => format!("nothing from {source} since the patch"),
        });
    };
    if now - signal.at > rules.silence() {
        return Some(match source {
            Source::Agent => format!("no signal for {minutes} minutes"),
            _ => format!("nothing from {source} for {minutes} minutes"),
        });
    }
    let ill = watch.after_patch(&signal)?;
    Some(format!("the last word of {source}: {}", ill.ailment.unwrap_or_default()))
}

fn list(sources: &[&Source]) -> String {
    sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
