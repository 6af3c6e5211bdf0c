//! Signals and baselines.

use super::{DecodeError, Result, id, missing, time, timestamp};
use crate::events::v1 as wire;
use nightshift_domain::health::{Baseline, Signal};

impl From<&Signal> for wire::Signal {
    fn from(signal: &Signal) -> Self {
        Self {
            vm: signal.vm.to_string(),
            at: Some(timestamp(signal.at)),
            boot_id: signal.boot_id.clone(),
            ailment: signal.ailment.clone(),
        }
    }
}

impl TryFrom<wire::Signal> for Signal {
    type Error = DecodeError;
    fn try_from(signal: wire::Signal) -> Result<Self> {
        let wire::Signal { vm, at, boot_id, ailment } = signal;
        Ok(Self { vm: id(vm, "vm")?, at: time(at, "at")?, boot_id, ailment })
    }
}

impl From<&Baseline> for wire::Baseline {
    fn from(baseline: &Baseline) -> Self {
        use wire::baseline::Kind;
        let kind = match baseline {
            Baseline::Well => Kind::Well(wire::Well {}),
            Baseline::Ill { ailment } => Kind::Ill(wire::Ill { ailment: ailment.clone() }),
            Baseline::Silent => Kind::Silent(wire::Silent {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<wire::Baseline> for Baseline {
    type Error = DecodeError;
    fn try_from(baseline: wire::Baseline) -> Result<Self> {
        use wire::baseline::Kind;
        Ok(match baseline.kind.ok_or_else(|| missing("kind"))? {
            Kind::Well(_) => Baseline::Well,
            Kind::Ill(wire::Ill { ailment }) => Baseline::Ill { ailment },
            Kind::Silent(_) => Baseline::Silent,
        })
    }
}
