//! Signals and baselines.

use super::{DecodeError, Result, id, missing, time, timestamp};
use crate::events::v1 as wire;
use nightshift_domain::health::{Baseline, Signal, Source};

impl From<&Signal> for wire::Signal {
    fn from(signal: &Signal) -> Self {
        Self {
            vm: signal.vm.to_string(),
            at: Some(timestamp(signal.at)),
            boot_id: signal.boot_id.clone(),
            ailment: signal.ailment.clone(),
            source: source(&signal.source),
            findings: signal.findings.clone(),
        }
    }
}

/// Absent for the agent: so were all signals before there were other sources.
fn source(source: &Source) -> Option<wire::SignalSource> {
    use wire::signal_source::Kind;
    let kind = match source {
        Source::Agent => return None,
        Source::Probe(name) => Kind::Probe(name.to_string()),
        Source::Report(name) => Kind::Report(name.to_string()),
        Source::Query(name) => Kind::Query(name.to_string()),
    };
    Some(wire::SignalSource { kind: Some(kind) })
}

impl TryFrom<wire::SignalSource> for Source {
    type Error = DecodeError;
    fn try_from(source: wire::SignalSource) -> Result<Self> {
        use wire::signal_source::Kind;
        Ok(match source.kind.ok_or_else(|| missing("kind"))? {
            Kind::Probe(name) => Source::Probe(id(name, "probe")?),
            Kind::Report(name) => Source::Report(id(name, "report")?),
            Kind::Query(name) => Source::Query(id(name, "query")?),
        })
    }
}

impl TryFrom<wire::Signal> for Signal {
    type Error = DecodeError;
    fn try_from(signal: wire::Signal) -> Result<Self> {
        let wire::Signal { vm, at, boot_id, ailment, source, findings } = signal;
        let source = source.map(|source| Source::try_from(source).map_err(|error| error.within("source")));
        let source = source.transpose()?.unwrap_or_default();
        Ok(Self { vm: id(vm, "vm")?, at: time(at, "at")?, boot_id, ailment, source, findings })
    }
}

impl From<&Baseline> for wire::Baseline {
    fn from(baseline: &Baseline) -> Self {
        use wire::baseline::Kind;
        let kind = match baseline {
            Baseline::Well => Kind::Well(wire::Well {}),
            Baseline::Ill { ailment } => Kind::Ill(wire::Ill { ailment: ailment.clone() }),
            Baseline::Silent => Kind::Silent(wire::Silent {}),
            Baseline::Flawed { findings } => Kind::Flawed(wire::Flawed { findings: findings.clone() }),
            Baseline::Unknown { why } => Kind::Unknown(wire::UnknownBaseline { why: why.clone() }),
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
            Kind::Flawed(wire::Flawed { findings }) => Baseline::Flawed { findings },
            Kind::Unknown(wire::UnknownBaseline { why }) => Baseline::Unknown { why },
        })
    }
}
