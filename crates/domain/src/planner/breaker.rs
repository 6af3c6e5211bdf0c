//! The package circuit breaker: when one package version is to blame.
//!
//! The rule. A version is barred when
//! 1. at least `breaker.failures` VMs failed with it, and they are at least `breaker.percent` of those that tried it;
//! 2. and either its own installation failed on that many VMs (the package manager names the culprit), or VMs that
//!    installed it fell ill more often than those that did not by more than chance: Fisher's exact test, one-sided,
//!    below one in a hundred. A version that every VM got cannot be told from the others by the second; then the
//!    failure budget halts the rollout, and nobody is blamed.

use crate::event::Event;
use crate::fisher::chance;
use crate::id::RolloutId;
use crate::rollout::{Rollout, Tried};

/// Chance that a harmless version is barred by the second rule.
const FALSE_ALARM: f64 = 0.01;

/// Versions that are to be barred now.
pub(super) fn tripped(id: &RolloutId, rollout: &Rollout) -> Vec<Event> {
    let breaker = rollout.policy.breaker;
    if breaker.failures == 0 || rollout.evidence.failed() < breaker.failures {
        return Vec::new();
    }
    let (healthy, failed) = (rollout.evidence.healthy, rollout.evidence.failed());
    let fresh = rollout.evidence.versions().filter(|(patch, _)| !rollout.barred.contains(*patch));
    fresh
        .filter_map(|(patch, tried)| {
            let (bad, why) = culprit(tried, healthy, failed, breaker.failures)?;
            let all = tried.healthy + bad;
            let enough = u64::from(bad) * 100 >= u64::from(all) * u64::from(breaker.percent);
            enough.then(|| Event::PatchBarred {
                rollout: id.clone(),
                patch: patch.clone(),
                failed: bad,
                tried: all,
                why: format!("{bad} of {all} VMs that tried {patch} failed: {why}"),
            })
        })
        .collect()
}

fn culprit(tried: &Tried, healthy: u32, failed: u32, least: u32) -> Option<(u32, &'static str)> {
    let count = |set: &std::collections::BTreeSet<_>| u32::try_from(set.len()).unwrap_or(u32::MAX);
    let direct = count(&tried.failed_directly);
    if direct >= least {
        return Some((direct, "its installation failed"));
    }
    let bad = count(&tried.failed_directly.union(&tried.ill_after).cloned().collect());
    let others = (healthy.saturating_sub(tried.healthy), failed.saturating_sub(bad));
    (bad >= least && chance(bad, tried.healthy, others.1, others.0) < FALSE_ALARM)
        .then_some((bad, "far more often than VMs without it"))
}
