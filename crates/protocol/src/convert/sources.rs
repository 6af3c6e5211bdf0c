//! Probes, reporters and queries of a policy.

use super::policy::seconds;
use super::{DecodeError, Result, enumeration, id, known, missing};
use crate::events::v1 as wire;
use nightshift_domain::policy::{Check, During, Limit, Probe, Query, Reporter};

enumeration! {
    nightshift_domain::policy::Need => Need { Required = Required, Advisory = Advisory }
    nightshift_domain::policy::NoData => NoData { Unknown = Unknown, Well = Well, Ill = Ill }
    nightshift_domain::policy::Scope => QueryScope {
        Vm = Vm, Step = Step, Zone = Zone, Region = Region, Phase = Phase,
    }
}

impl From<&Probe> for wire::Probe {
    fn from(probe: &Probe) -> Self {
        use wire::probe::Check as Kind;
        let check = match &probe.check {
            Check::Http(url) => Kind::Http(url.clone()),
            Check::Tcp(at) => Kind::Tcp(at.clone()),
            Check::Command(name) => Kind::Command(name.to_string()),
            Check::Unit(unit) => Kind::Unit(unit.clone()),
        };
        Self {
            name: probe.name.to_string(),
            need: wire::Need::from(probe.need).into(),
            interval_seconds: probe.interval.num_seconds(),
            time_limit_seconds: probe.time_limit.num_seconds(),
            failures: probe.failures,
            check: Some(check),
        }
    }
}

impl TryFrom<wire::Probe> for Probe {
    type Error = DecodeError;
    fn try_from(probe: wire::Probe) -> Result<Self> {
        use wire::probe::Check as Kind;
        let check = match probe.check.ok_or_else(|| missing("check"))? {
            Kind::Http(url) => Check::Http(url),
            Kind::Tcp(at) => Check::Tcp(at),
            Kind::Command(name) => Check::Command(id(name, "command")?),
            Kind::Unit(unit) => Check::Unit(unit),
        };
        Ok(Self {
            name: id(probe.name, "name")?,
            check,
            need: known::<wire::Need, _>(probe.need, "need")?,
            interval: seconds(probe.interval_seconds, "interval_seconds")?,
            time_limit: seconds(probe.time_limit_seconds, "time_limit_seconds")?,
            failures: probe.failures,
        })
    }
}

impl From<&Reporter> for wire::Reporter {
    fn from(reporter: &Reporter) -> Self {
        Self {
            name: reporter.name.to_string(),
            need: wire::Need::from(reporter.need).into(),
            failures: reporter.failures,
        }
    }
}

impl TryFrom<wire::Reporter> for Reporter {
    type Error = DecodeError;
    fn try_from(reporter: wire::Reporter) -> Result<Self> {
        let need = known::<wire::Need, _>(reporter.need, "need")?;
        Ok(Self { name: id(reporter.name, "name")?, need, failures: reporter.failures })
    }
}

impl From<&Query> for wire::Query {
    fn from(query: &Query) -> Self {
        Self {
            name: query.name.to_string(),
            promql: query.promql.clone(),
            scope: wire::QueryScope::from(query.scope).into(),
            above_millionths: query.above.map(Limit::millionths),
            below_millionths: query.below.map(Limit::millionths),
            no_data: wire::NoData::from(query.no_data).into(),
            need: wire::Need::from(query.need).into(),
            interval_seconds: query.interval.num_seconds(),
            failures: query.failures,
            during: said(query.during).into(),
        }
    }
}

impl TryFrom<wire::Query> for Query {
    type Error = DecodeError;
    fn try_from(query: wire::Query) -> Result<Self> {
        Ok(Self {
            name: id(query.name, "name")?,
            promql: query.promql,
            scope: known::<wire::QueryScope, _>(query.scope, "scope")?,
            above: query.above_millionths.map(Limit::of_millionths),
            below: query.below_millionths.map(Limit::of_millionths),
            no_data: known::<wire::NoData, _>(query.no_data, "no_data")?,
            need: known::<wire::Need, _>(query.need, "need")?,
            interval: seconds(query.interval_seconds, "interval_seconds")?,
            failures: query.failures,
            during: during(query.during)?,
        })
    }
}

/// Said only where it is not while machines soak: a log that is older than the field says nothing.
fn said(during: During) -> wire::QueryDuring {
    match during {
        During::Soak => wire::QueryDuring::Unspecified,
        During::Bake => wire::QueryDuring::Bake,
        During::Both => wire::QueryDuring::Both,
    }
}

fn during(said: i32) -> Result<During> {
    match wire::QueryDuring::try_from(said) {
        Ok(wire::QueryDuring::Unspecified) => Ok(During::Soak),
        Ok(wire::QueryDuring::Bake) => Ok(During::Bake),
        Ok(wire::QueryDuring::Both) => Ok(During::Both),
        Err(_) => Err(DecodeError::new("during", format!("{said} is not a known value"))),
    }
}
