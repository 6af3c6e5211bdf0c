//! Policies, plans, tallies.

use super::{DecodeError, Result, all, each, id, small};
use crate::events::v1 as wire;
use chrono::Duration;
use nightshift_domain::plan::{PlannedPhase, PlannedRegion};
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::{Actor, Tally};

impl From<&Policy> for wire::Policy {
    fn from(policy: &Policy) -> Self {
        Self {
            phase_shares: policy.phase_shares.iter().map(|share| u32::from(*share)).collect(),
            batch_percent: policy.batch_percent.into(),
            soak_seconds: policy.soak.num_seconds(),
            bake_seconds: policy.bake.num_seconds(),
            longest_work_seconds: policy.longest_work.num_seconds(),
            grace_seconds: policy.grace.num_seconds(),
            silence_seconds: policy.silence.num_seconds(),
            failure_budget_percent: policy.failure_budget_percent.into(),
            failure_budget: policy.failure_budget,
        }
    }
}

impl TryFrom<wire::Policy> for Policy {
    type Error = DecodeError;
    fn try_from(policy: wire::Policy) -> Result<Self> {
        Ok(Self {
            phase_shares: each(policy.phase_shares, "phase_shares", |share| small(share, ""))?,
            batch_percent: small(policy.batch_percent, "batch_percent")?,
            soak: seconds(policy.soak_seconds, "soak_seconds")?,
            bake: seconds(policy.bake_seconds, "bake_seconds")?,
            longest_work: seconds(policy.longest_work_seconds, "longest_work_seconds")?,
            grace: seconds(policy.grace_seconds, "grace_seconds")?,
            silence: seconds(policy.silence_seconds, "silence_seconds")?,
            failure_budget_percent: small(policy.failure_budget_percent, "failure_budget_percent")?,
            failure_budget: policy.failure_budget,
        })
    }
}

fn seconds(value: i64, field: &str) -> Result<Duration> {
    Duration::try_seconds(value)
        .ok_or_else(|| DecodeError::new(field, format!("{value} seconds is out of range")))
}

impl From<&Actor> for wire::Actor {
    fn from(actor: &Actor) -> Self {
        Self { name: actor.name.clone(), reason: actor.reason.clone() }
    }
}

impl TryFrom<wire::Actor> for Actor {
    type Error = DecodeError;
    fn try_from(actor: wire::Actor) -> Result<Self> {
        if actor.name.is_empty() {
            return Err(DecodeError::new("name", "empty: every wish has somebody who wished it"));
        }
        Ok(Self { name: actor.name, reason: actor.reason })
    }
}

impl From<&Tally> for wire::Tally {
    fn from(tally: &Tally) -> Self {
        let Tally { healthy, failed, skipped, deferred } = *tally;
        Self { healthy, failed, skipped, deferred }
    }
}

impl TryFrom<wire::Tally> for Tally {
    type Error = DecodeError;
    fn try_from(tally: wire::Tally) -> Result<Self> {
        let wire::Tally { healthy, failed, skipped, deferred } = tally;
        Ok(Self { healthy, failed, skipped, deferred })
    }
}

impl From<&PlannedRegion> for wire::PlannedRegion {
    fn from(region: &PlannedRegion) -> Self {
        Self { region: region.region.to_string(), vms: region.vms, why: region.why.clone() }
    }
}

impl TryFrom<wire::PlannedRegion> for PlannedRegion {
    type Error = DecodeError;
    fn try_from(region: wire::PlannedRegion) -> Result<Self> {
        Ok(Self { region: id(region.region, "region")?, vms: region.vms, why: region.why })
    }
}

impl From<&PlannedPhase> for wire::PlannedPhase {
    fn from(phase: &PlannedPhase) -> Self {
        Self { regions: phase.regions.iter().map(Into::into).collect() }
    }
}

impl TryFrom<wire::PlannedPhase> for PlannedPhase {
    type Error = DecodeError;
    fn try_from(phase: wire::PlannedPhase) -> Result<Self> {
        Ok(Self { regions: all(phase.regions, "regions")? })
    }
}
