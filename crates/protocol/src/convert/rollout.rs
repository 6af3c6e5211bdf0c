//! Plans, tallies, people, halts.

use super::{DecodeError, Result, all, id, ids, time, timestamp};
use crate::events::v1 as wire;
use nightshift_domain::analysis::Comparison;
use nightshift_domain::halt::{HaltEvidence, Said};
use nightshift_domain::on_demand::OnDemand;
use nightshift_domain::plan::{PlannedPhase, PlannedRegion};
use nightshift_domain::rollout::{Actor, Tally};

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

impl From<&OnDemand> for wire::OnDemand {
    fn from(on_demand: &OnDemand) -> Self {
        Self { vm: on_demand.vm.to_string(), not_after: Some(timestamp(on_demand.not_after)) }
    }
}

impl TryFrom<wire::OnDemand> for OnDemand {
    type Error = DecodeError;
    fn try_from(on_demand: wire::OnDemand) -> Result<Self> {
        Ok(Self { vm: id(on_demand.vm, "vm")?, not_after: time(on_demand.not_after, "not_after")? })
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

impl From<&Said> for wire::Said {
    fn from(said: &Said) -> Self {
        Self { what: said.what.clone(), vms: said.vms }
    }
}

impl TryFrom<wire::Said> for Said {
    type Error = DecodeError;
    fn try_from(said: wire::Said) -> Result<Self> {
        Ok(Self { what: said.what, vms: said.vms })
    }
}

impl From<&Comparison> for wire::Comparison {
    fn from(comparison: &Comparison) -> Self {
        let Comparison { patched_ill, patched_well, control_ill, control_well } = *comparison;
        Self { patched_ill, patched_well, control_ill, control_well }
    }
}

impl TryFrom<wire::Comparison> for Comparison {
    type Error = DecodeError;
    fn try_from(comparison: wire::Comparison) -> Result<Self> {
        let wire::Comparison { patched_ill, patched_well, control_ill, control_well } = comparison;
        Ok(Self { patched_ill, patched_well, control_ill, control_well })
    }
}

impl From<&HaltEvidence> for wire::HaltEvidence {
    fn from(evidence: &HaltEvidence) -> Self {
        Self {
            failed: evidence.failed,
            vms: evidence.vms.iter().map(ToString::to_string).collect(),
            signals: evidence.signals.iter().map(Into::into).collect(),
            in_common: evidence.in_common.iter().map(Into::into).collect(),
            comparison: evidence.comparison.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::HaltEvidence> for HaltEvidence {
    type Error = DecodeError;
    fn try_from(evidence: wire::HaltEvidence) -> Result<Self> {
        Ok(Self {
            failed: evidence.failed,
            vms: ids(evidence.vms, "vms")?,
            signals: all(evidence.signals, "signals")?,
            in_common: all(evidence.in_common, "in_common")?,
            comparison: evidence.comparison.map(TryInto::try_into).transpose()?,
        })
    }
}
