//! Members, stages, steps, orders.

use super::fleet::time_zone;
use super::{DecodeError, Result, all, each, id, known, masks, missing, required, small, time, timestamp};
use crate::events::v1 as wire;
use nightshift_domain::event::{Order, Outcome, Signature};
use nightshift_domain::layout::{Member, StageKey, StepKey};
use nightshift_domain::selection::{Mask, Selection};

impl From<&Member> for wire::Member {
    fn from(member: &Member) -> Self {
        Self {
            vm: member.vm.to_string(),
            subscription: member.subscription.to_string(),
            placement: Some((&member.placement).into()),
            window: Some((&member.window).into()),
            time_zone: member.time_zone.name().to_owned(),
        }
    }
}

impl TryFrom<wire::Member> for Member {
    type Error = DecodeError;
    fn try_from(member: wire::Member) -> Result<Self> {
        Ok(Self {
            vm: id(member.vm, "vm")?,
            subscription: id(member.subscription, "subscription")?,
            placement: required(member.placement, "placement")?,
            window: required(member.window, "window")?,
            time_zone: time_zone(&member.time_zone)?,
        })
    }
}

impl From<&StageKey> for wire::StageKey {
    fn from(stage: &StageKey) -> Self {
        use wire::stage_key::Kind;
        let kind = match stage {
            StageKey::Zoneless => Kind::Zoneless(wire::Zoneless {}),
            StageKey::Zone(zone) => Kind::Zone(zone.to_string()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::StageKey> for StageKey {
    type Error = DecodeError;
    fn try_from(stage: wire::StageKey) -> Result<Self> {
        use wire::stage_key::Kind;
        Ok(match stage.kind.ok_or_else(|| missing("kind"))? {
            Kind::Zoneless(_) => StageKey::Zoneless,
            Kind::Zone(zone) => StageKey::Zone(id(zone, "zone")?),
        })
    }
}

impl From<&StepKey> for wire::StepKey {
    fn from(step: &StepKey) -> Self {
        use wire::step_key::Kind;
        let kind = match step {
            StepKey::UpdateDomain { set, update_domain } => {
                let (set, update_domain) = (set.to_string(), u32::from(*update_domain));
                Kind::UpdateDomain(wire::UpdateDomainStep { set, update_domain })
            }
            StepKey::Batch(batch) => Kind::Batch(*batch),
            StepKey::ZoneBatch { zone, batch } => {
                Kind::ZoneBatch(wire::ZoneBatchStep { zone: zone.to_string(), batch: *batch })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::StepKey> for StepKey {
    type Error = DecodeError;
    fn try_from(step: wire::StepKey) -> Result<Self> {
        use wire::step_key::Kind;
        Ok(match step.kind.ok_or_else(|| missing("kind"))? {
            Kind::UpdateDomain(wire::UpdateDomainStep { set, update_domain }) => {
                let update_domain = small(update_domain, "update_domain.update_domain")?;
                StepKey::UpdateDomain { set: id(set, "update_domain.set")?, update_domain }
            }
            Kind::Batch(batch) => StepKey::Batch(batch),
            Kind::ZoneBatch(wire::ZoneBatchStep { zone, batch }) => {
                StepKey::ZoneBatch { zone: id(zone, "zone_batch.zone")?, batch }
            }
        })
    }
}

impl From<&Order> for wire::Order {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id.to_string(),
            rollout: order.rollout.to_string(),
            vm: order.vm.to_string(),
            not_after: Some(timestamp(order.not_after)),
            deadline: Some(timestamp(order.deadline)),
            reboot: wire::RebootSetting::from(order.reboot).into(),
            selection: Some((&order.selection).into()),
            signature: order.signature.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Order> for Order {
    type Error = DecodeError;
    fn try_from(order: wire::Order) -> Result<Self> {
        Ok(Self {
            id: id(order.id, "id")?,
            rollout: id(order.rollout, "rollout")?,
            vm: id(order.vm, "vm")?,
            not_after: time(order.not_after, "not_after")?,
            deadline: time(order.deadline, "deadline")?,
            reboot: known::<wire::RebootSetting, _>(order.reboot, "reboot")?,
            selection: required(order.selection, "selection")?,
            signature: order.signature.map(Into::into),
        })
    }
}

impl From<&Signature> for wire::Signature {
    fn from(signature: &Signature) -> Self {
        Self { key: signature.key.clone(), value: signature.value.clone() }
    }
}

impl From<wire::Signature> for Signature {
    fn from(signature: wire::Signature) -> Self {
        Self { key: signature.key, value: signature.value }
    }
}

impl From<&Selection> for wire::Selection {
    fn from(selection: &Selection) -> Self {
        let classifications = selection.classifications.iter().map(|c| wire::Classification::from(*c).into());
        let text = |mask: &Mask| mask.as_str().to_owned();
        let certified =
            |patches: &Vec<_>| wire::CertifiedSet { patches: patches.iter().map(Into::into).collect() };
        Self {
            classifications: classifications.collect(),
            include: selection.include.iter().map(text).collect(),
            exclude: selection.exclude.iter().map(text).collect(),
            certified: selection.certified.as_ref().map(certified),
            barred: selection.barred.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Selection> for Selection {
    type Error = DecodeError;
    fn try_from(selection: wire::Selection) -> Result<Self> {
        let classification = |value| known::<wire::Classification, _>(value, "");
        let certified = selection.certified.map(|set| all(set.patches, "certified.patches"));
        Ok(Self {
            classifications: each(selection.classifications, "classifications", classification)?,
            include: masks(selection.include, "include")?,
            exclude: masks(selection.exclude, "exclude")?,
            certified: certified.transpose()?,
            barred: all(selection.barred, "barred")?,
        })
    }
}

impl From<&Outcome> for wire::Outcome {
    fn from(outcome: &Outcome) -> Self {
        use wire::outcome::Kind;
        let kind = match outcome {
            Outcome::Healthy => Kind::Healthy(wire::Healthy {}),
            Outcome::Failed { why } => Kind::Failed(wire::Failed { why: why.clone() }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::Outcome> for Outcome {
    type Error = DecodeError;
    fn try_from(outcome: wire::Outcome) -> Result<Self> {
        use wire::outcome::Kind;
        Ok(match outcome.kind.ok_or_else(|| missing("kind"))? {
            Kind::Healthy(_) => Outcome::Healthy,
            Kind::Failed(wire::Failed { why }) => Outcome::Failed { why },
        })
    }
}
