//! Policies and the monthly rhythm.

use super::{DecodeError, Result, all, each, enumeration, known, masks, required, small};
use crate::events::v1 as wire;
use chrono::{Duration, NaiveDate, NaiveTime, Weekday};
use nightshift_domain::analysis::Analysis;
use nightshift_domain::policy::{Blackout, Breaker, Budget, Budgets, Policy};
use nightshift_domain::rhythm::Rhythm;

enumeration! {
    nightshift_domain::policy::OnFailure => OnFailure { Halt = Halt, Continue = Continue }
    nightshift_domain::policy::Approvals => Approvals { Never = Never, BetweenPhases = BetweenPhases, SecondPerson = SecondPerson }
    nightshift_domain::policy::PatchChoice => PatchChoice { Latest = Latest, Certified = Certified }
    chrono::Weekday => Weekday {
        Mon = Monday, Tue = Tuesday, Wed = Wednesday, Thu = Thursday, Fri = Friday, Sat = Saturday, Sun = Sunday,
    }
}

impl From<&Policy> for wire::Policy {
    fn from(policy: &Policy) -> Self {
        let classifications = policy.classifications.iter().map(|c| wire::Classification::from(*c).into());
        Self {
            phase_shares: policy.phase_shares.iter().map(|share| u32::from(*share)).collect(),
            canaries: policy.canaries.iter().map(ToString::to_string).collect(),
            batch_percent: policy.batch_percent.into(),
            max_in_flight: policy.max_in_flight,
            soak_seconds: policy.soak.num_seconds(),
            bake_seconds: policy.bake.num_seconds(),
            longest_work_seconds: policy.longest_work.num_seconds(),
            grace_seconds: policy.grace.num_seconds(),
            silence_seconds: policy.silence.num_seconds(),
            deadline_days: policy.deadline_days,
            retry_nights: policy.retry_nights,
            blackouts: policy.blackouts.iter().map(Into::into).collect(),
            budgets: Some((&policy.budgets).into()),
            on_failure: wire::OnFailure::from(policy.on_failure).into(),
            approvals: wire::Approvals::from(policy.approvals).into(),
            reboot: wire::RebootSetting::from(policy.reboot).into(),
            classifications: classifications.collect(),
            include: policy.include.iter().map(|mask| mask.as_str().to_owned()).collect(),
            exclude: policy.exclude.iter().map(|mask| mask.as_str().to_owned()).collect(),
            patches: wire::PatchChoice::from(policy.patches).into(),
            certify_phases: policy.certify_phases,
            breaker: Some((&policy.breaker).into()),
            probes: policy.probes.iter().map(Into::into).collect(),
            reports: policy.reports.iter().map(Into::into).collect(),
            queries: policy.queries.iter().map(Into::into).collect(),
            analysis: policy.analysis.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Policy> for Policy {
    type Error = DecodeError;
    fn try_from(policy: wire::Policy) -> Result<Self> {
        let classification = |value| known::<wire::Classification, _>(value, "");
        Ok(Self {
            phase_shares: each(policy.phase_shares, "phase_shares", |share| small(share, ""))?,
            canaries: super::ids(policy.canaries, "canaries")?,
            batch_percent: small(policy.batch_percent, "batch_percent")?,
            max_in_flight: policy.max_in_flight,
            soak: seconds(policy.soak_seconds, "soak_seconds")?,
            bake: seconds(policy.bake_seconds, "bake_seconds")?,
            longest_work: seconds(policy.longest_work_seconds, "longest_work_seconds")?,
            grace: seconds(policy.grace_seconds, "grace_seconds")?,
            silence: seconds(policy.silence_seconds, "silence_seconds")?,
            deadline_days: policy.deadline_days,
            retry_nights: policy.retry_nights,
            blackouts: all(policy.blackouts, "blackouts")?,
            budgets: required(policy.budgets, "budgets")?,
            on_failure: known::<wire::OnFailure, _>(policy.on_failure, "on_failure")?,
            approvals: known::<wire::Approvals, _>(policy.approvals, "approvals")?,
            reboot: known::<wire::RebootSetting, _>(policy.reboot, "reboot")?,
            classifications: each(policy.classifications, "classifications", classification)?,
            include: masks(policy.include, "include")?,
            exclude: masks(policy.exclude, "exclude")?,
            patches: known::<wire::PatchChoice, _>(policy.patches, "patches")?,
            certify_phases: policy.certify_phases,
            breaker: required(policy.breaker, "breaker")?,
            probes: all(policy.probes, "probes")?,
            reports: all(policy.reports, "reports")?,
            queries: all(policy.queries, "queries")?,
            analysis: policy.analysis.map(|analysis| required(Some(analysis), "analysis")).transpose()?,
        })
    }
}

pub(super) fn seconds(value: i64, field: &str) -> Result<Duration> {
    Duration::try_seconds(value)
        .ok_or_else(|| DecodeError::new(field, format!("{value} seconds is out of range")))
}

impl From<&Blackout> for wire::Blackout {
    fn from(blackout: &Blackout) -> Self {
        Self { from: blackout.from.to_string(), to: blackout.to.to_string() }
    }
}

impl TryFrom<wire::Blackout> for Blackout {
    type Error = DecodeError;
    fn try_from(blackout: wire::Blackout) -> Result<Self> {
        Ok(Self { from: day(&blackout.from, "from")?, to: day(&blackout.to, "to")? })
    }
}

fn day(text: &str, field: &str) -> Result<NaiveDate> {
    text.parse().map_err(|_| DecodeError::new(field, format!("\"{text}\" is not a day: write YYYY-MM-DD")))
}

impl From<&Budget> for wire::Budget {
    fn from(budget: &Budget) -> Self {
        Self { percent: budget.percent.into(), vms: budget.vms }
    }
}

impl TryFrom<wire::Budget> for Budget {
    type Error = DecodeError;
    fn try_from(budget: wire::Budget) -> Result<Self> {
        Ok(Self { percent: small(budget.percent, "percent")?, vms: budget.vms })
    }
}

impl From<&Budgets> for wire::Budgets {
    fn from(budgets: &Budgets) -> Self {
        Self {
            step: Some((&budgets.step).into()),
            zone: Some((&budgets.zone).into()),
            region: Some((&budgets.region).into()),
            phase: Some((&budgets.phase).into()),
        }
    }
}

impl TryFrom<wire::Budgets> for Budgets {
    type Error = DecodeError;
    fn try_from(budgets: wire::Budgets) -> Result<Self> {
        Ok(Self {
            step: required(budgets.step, "step")?,
            zone: required(budgets.zone, "zone")?,
            region: required(budgets.region, "region")?,
            phase: required(budgets.phase, "phase")?,
        })
    }
}

impl From<&Breaker> for wire::Breaker {
    fn from(breaker: &Breaker) -> Self {
        Self { failures: breaker.failures, percent: breaker.percent.into() }
    }
}

impl TryFrom<wire::Breaker> for Breaker {
    type Error = DecodeError;
    fn try_from(breaker: wire::Breaker) -> Result<Self> {
        Ok(Self { failures: breaker.failures, percent: small(breaker.percent, "percent")? })
    }
}

impl From<&Analysis> for wire::Analysis {
    fn from(analysis: &Analysis) -> Self {
        let Analysis { percent, controls, failures } = *analysis;
        Self { percent: percent.into(), controls, failures }
    }
}

impl TryFrom<wire::Analysis> for Analysis {
    type Error = DecodeError;
    fn try_from(analysis: wire::Analysis) -> Result<Self> {
        let wire::Analysis { percent, controls, failures } = analysis;
        Ok(Self { percent: small(percent, "percent")?, controls, failures })
    }
}

impl From<&Rhythm> for wire::Rhythm {
    fn from(rhythm: &Rhythm) -> Self {
        Self {
            week: rhythm.week.into(),
            weekday: wire::Weekday::from(rhythm.weekday).into(),
            days_after: rhythm.days_after.into(),
            at: rhythm.at.format("%H:%M").to_string(),
            policy: Some((&rhythm.policy).into()),
        }
    }
}

impl TryFrom<wire::Rhythm> for Rhythm {
    type Error = DecodeError;
    fn try_from(rhythm: wire::Rhythm) -> Result<Self> {
        let at = NaiveTime::parse_from_str(&rhythm.at, "%H:%M");
        let wrong =
            |_| DecodeError::new("at", format!("\"{}\" is not a time of day: write HH:MM", rhythm.at));
        Ok(Self {
            week: small(rhythm.week, "week")?,
            weekday: known::<wire::Weekday, Weekday>(rhythm.weekday, "weekday")?,
            days_after: small(rhythm.days_after, "days_after")?,
            at: at.map_err(wrong)?,
            policy: required(rhythm.policy, "policy")?,
        })
    }
}
