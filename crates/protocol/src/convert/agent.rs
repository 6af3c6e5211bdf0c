//! Patches and what agents say of them.

use super::{DecodeError, Result, all, enumeration, known, missing, required};
use crate::events::v1 as wire;
use nightshift_domain::agent::{AgentIdentity, InstallReport, Requirement};
use nightshift_domain::patch::{Assessment, Blame, Patch, PatchOutcome, PatchTally};
use nightshift_domain::selection::PackageVersion;

enumeration! {
    nightshift_domain::patch::Classification => Classification {
        Critical = Critical, Security = Security, Other = Other,
    }
    nightshift_domain::patch::RebootSetting => RebootSetting {
        IfRequired = IfRequired, Never = Never, Always = Always,
    }
    nightshift_domain::patch::PatchState => PatchState {
        Installed = Installed, Failed = Failed, Pending = Pending,
        NotSelected = NotSelected, Excluded = Excluded,
    }
    nightshift_domain::agent::RequirementState => RequirementState {
        Met = Met, AtRisk = AtRisk, Unmet = Unmet,
    }
    nightshift_domain::patch::RebootStatus => RebootStatus {
        NotNeeded = NotNeeded, Required = Required, Completed = Completed, Failed = Failed,
    }
}

impl From<&AgentIdentity> for wire::AgentIdentity {
    fn from(identity: &AgentIdentity) -> Self {
        let AgentIdentity { agent_version, boot_id, os, back_end } = identity.clone();
        Self { agent_version, boot_id, os, back_end }
    }
}

impl TryFrom<wire::AgentIdentity> for AgentIdentity {
    type Error = DecodeError;
    fn try_from(identity: wire::AgentIdentity) -> Result<Self> {
        let wire::AgentIdentity { agent_version, boot_id, os, back_end } = identity;
        if boot_id.is_empty() {
            return Err(missing("boot_id"));
        }
        Ok(Self { agent_version, boot_id, os, back_end })
    }
}

impl From<&Requirement> for wire::Requirement {
    fn from(requirement: &Requirement) -> Self {
        Self {
            code: requirement.code.clone(),
            state: wire::RequirementState::from(requirement.state).into(),
            sentence: requirement.sentence.clone(),
        }
    }
}

impl TryFrom<wire::Requirement> for Requirement {
    type Error = DecodeError;
    fn try_from(requirement: wire::Requirement) -> Result<Self> {
        let state = known::<wire::RequirementState, _>(requirement.state, "state")?;
        let wire::Requirement { code, sentence, .. } = requirement;
        Ok(Self { code, state, sentence })
    }
}

impl From<&Patch> for wire::Patch {
    fn from(patch: &Patch) -> Self {
        Self {
            name: patch.name.clone(),
            version: patch.version.clone(),
            classification: wire::Classification::from(patch.classification).into(),
            obstacle: patch.obstacle.clone(),
        }
    }
}

impl From<&Assessment> for wire::Assessment {
    fn from(assessment: &Assessment) -> Self {
        Self {
            patches: assessment.patches.iter().map(Into::into).collect(),
            reboot_pending: assessment.reboot_pending,
            warnings: assessment.warnings.clone(),
        }
    }
}

impl TryFrom<wire::Patch> for Patch {
    type Error = DecodeError;
    fn try_from(patch: wire::Patch) -> Result<Self> {
        let classification = known::<wire::Classification, _>(patch.classification, "classification")?;
        Ok(Self { name: patch.name, version: patch.version, classification, obstacle: patch.obstacle })
    }
}

impl TryFrom<wire::Assessment> for Assessment {
    type Error = DecodeError;
    fn try_from(assessment: wire::Assessment) -> Result<Self> {
        let wire::Assessment { patches, reboot_pending, warnings } = assessment;
        Ok(Self { patches: all(patches, "patches")?, reboot_pending, warnings })
    }
}

impl From<&PackageVersion> for wire::PackageVersion {
    fn from(package: &PackageVersion) -> Self {
        let PackageVersion { name, version } = package.clone();
        Self { name, version }
    }
}

impl TryFrom<wire::PackageVersion> for PackageVersion {
    type Error = DecodeError;
    fn try_from(package: wire::PackageVersion) -> Result<Self> {
        let wire::PackageVersion { name, version } = package;
        Ok(Self { name, version })
    }
}

impl From<&Blame> for wire::Blame {
    fn from(blame: &Blame) -> Self {
        Self { patch: Some((&blame.patch).into()), direct: blame.direct }
    }
}

impl TryFrom<wire::Blame> for Blame {
    type Error = DecodeError;
    fn try_from(blame: wire::Blame) -> Result<Self> {
        Ok(Self { patch: required(blame.patch, "patch")?, direct: blame.direct })
    }
}

impl From<&PatchTally> for wire::PatchTally {
    fn from(tally: &PatchTally) -> Self {
        Self { patch: Some((&tally.patch).into()), healthy: tally.healthy, failed: tally.failed }
    }
}

impl TryFrom<wire::PatchTally> for PatchTally {
    type Error = DecodeError;
    fn try_from(tally: wire::PatchTally) -> Result<Self> {
        let wire::PatchTally { patch, healthy, failed } = tally;
        Ok(Self { patch: required(patch, "patch")?, healthy, failed })
    }
}

impl From<&PatchOutcome> for wire::PatchOutcome {
    fn from(patch: &PatchOutcome) -> Self {
        Self {
            name: patch.name.clone(),
            version: patch.version.clone(),
            classification: wire::Classification::from(patch.classification).into(),
            state: wire::PatchState::from(patch.state).into(),
            detail: patch.detail.clone(),
        }
    }
}

impl From<&InstallReport> for wire::InstallReport {
    fn from(report: &InstallReport) -> Self {
        Self {
            patches: report.patches.iter().map(Into::into).collect(),
            reboot: wire::RebootStatus::from(report.reboot).into(),
            boot_id: report.boot_id.clone(),
            window_exceeded: report.window_exceeded,
            error: report.error.clone(),
        }
    }
}

impl TryFrom<wire::PatchOutcome> for PatchOutcome {
    type Error = DecodeError;
    fn try_from(patch: wire::PatchOutcome) -> Result<Self> {
        let classification = known::<wire::Classification, _>(patch.classification, "classification")?;
        let state = known::<wire::PatchState, _>(patch.state, "state")?;
        let wire::PatchOutcome { name, version, detail, .. } = patch;
        Ok(Self { name, version, classification, state, detail })
    }
}

impl TryFrom<wire::InstallReport> for InstallReport {
    type Error = DecodeError;
    fn try_from(report: wire::InstallReport) -> Result<Self> {
        let wire::InstallReport { patches, reboot, boot_id, window_exceeded, error } = report;
        let reboot = known::<wire::RebootStatus, _>(reboot, "reboot")?;
        Ok(Self { patches: all(patches, "patches")?, reboot, boot_id, window_exceeded, error })
    }
}
