//! `installPatches`: what a person wants on one VM, now (REQUIREMENTS.md A10). The planner makes it a rollout of that VM
//! alone; the operation ends when the machine's report is there, long before its health is judged.

use super::document::{at, boolean, list, object, text};
use super::error::{ArmError, Result};
use super::instance_view::{error, installation_status, moment, reboot};
use super::operations::{begun, class};
use super::path::VmName;
use super::{Asked, vms};
use crate::operations::identity_of_install;
use crate::view::View;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::fleet::{Os, Vm};
use nightshift_domain::patch::{PatchOutcome, PatchState};
use nightshift_domain::{RolloutId, SubscriptionId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use serde_json::{Value, json};
use uuid::Uuid;

/// `…/virtualMachines/V/installPatches`
pub(super) async fn install(asked: Asked, subscription: SubscriptionId, at: VmName) -> Result<Response> {
    asked.only(&Method::POST)?;
    let look = move |view: &View, _| -> Result<(Vm, bool)> {
        let vm = vms::find(view, &subscription, &at)?;
        let known = view.machines.get(&vm.id).is_some_and(|machine| machine.identity.is_some());
        Ok((vm.clone(), known))
    };
    let (vm, has_agent) = asked.door.host.look(look).await??;
    if asked.version.is_limited() {
        let sentence = "installPatches needs API version 2020-12-01 or higher";
        return Err(ArmError::invalid("api-version", sentence));
    }
    let mut request = wish(&asked.json()?, vm.os)?;
    if !has_agent {
        let sentence =
            format!("VM '{}' has no agent that ever connected: install it and enrol it first", vm.id);
        return Err(ArmError::new(StatusCode::CONFLICT, "OperationNotAllowed", sentence));
    }
    request.vm = vm.id.to_string();
    request.actor = Some((&asked.caller.wishes("installPatches")).into());
    let planner = &asked.door.owners;
    let answer = planner.rollouts(&asked.caller).install_patches(request).await?.into_inner();
    let rollout = RolloutId::new(answer.rollout).map_err(|error| {
        ArmError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", error.to_string())
    })?;
    let id = identity_of_install(&rollout);
    asked.door.read_back(move |view| view.operations.get(&id).is_some()).await?;
    Ok(begun(&asked, &vm, id))
}

/// What the body asks for.
fn wish(body: &Value, os: Os) -> Result<api::InstallPatchesRequest> {
    let (own, others) = match os {
        Os::Linux => ("linuxParameters", "windowsParameters"),
        Os::Windows => ("windowsParameters", "linuxParameters"),
    };
    object(body, own)?;
    // The Azure CLI sends both, one of them empty.
    if object(body, others)?.is_some_and(|given| given.values().any(says_something)) {
        return Err(ArmError::invalid(others, format!("{others}: the VM is a {os:?} VM, it takes {own}")));
    }
    let field = |name: &str| format!("{own}.{name}");
    let mut request = api::InstallPatchesRequest {
        maximum_duration_seconds: duration(body)?,
        reboot: reboot_setting(body)?.into(),
        classifications: classifications(body, &field("classificationsToInclude"), os)?,
        ..Default::default()
    };
    match os {
        Os::Linux => {
            request.include = packages(body, &field("packageNameMasksToInclude"))?;
            request.exclude = packages(body, &field("packageNameMasksToExclude"))?;
        }
        Os::Windows => {
            request.include = knowledge_base(body, &field("kbNumbersToInclude"))?;
            request.exclude = knowledge_base(body, &field("kbNumbersToExclude"))?;
            let unknown = |name: &str| {
                let sentence = format!("{name} is not supported: leave it out, and name KB numbers instead");
                Err(ArmError::invalid(name, sentence))
            };
            if boolean(body, &field("excludeKbsRequiringReboot"))? == Some(true) {
                return unknown(&field("excludeKbsRequiringReboot"));
            }
            for name in ["maxPatchPublishDate", "patchNameMasksToInclude", "patchNameMasksToExclude"] {
                if self::at(body, &field(name)).is_some_and(says_something) {
                    return unknown(&field(name));
                }
            }
        }
    }
    Ok(request)
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The longest time that the work may take, in seconds. Azure wants it said.
fn duration(body: &Value) -> Result<u32> {
    let path = "maximumDuration";
    let Some(given) = text(body, path)? else {
        let sentence = "maximumDuration is missing: how long the work may take, as PT2H";
        return Err(ArmError::invalid(path, sentence));
    };
    let wrong = |why: String| ArmError::invalid(path, format!("maximumDuration = '{given}': {why}"));
    // Not `parse`, which takes "4 hours" as well.
    let parsed = jiff::fmt::temporal::SpanParser::new().parse_duration(given);
    let parsed = parsed.map_err(|error| wrong(format!("{error}; write an ISO 8601 duration, as PT1H30M")))?;
    match u32::try_from(parsed.as_secs()) {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err(wrong("it must be longer than nothing".to_owned())),
    }
}

fn reboot_setting(body: &Value) -> Result<wire::RebootSetting> {
    let path = "rebootSetting";
    match text(body, path)? {
        Some(given) if given.eq_ignore_ascii_case("IfRequired") => Ok(wire::RebootSetting::IfRequired),
        Some(given) if given.eq_ignore_ascii_case("Never") => Ok(wire::RebootSetting::Never),
        Some(given) if given.eq_ignore_ascii_case("Always") => Ok(wire::RebootSetting::Always),
        Some(given) => {
            let sentence = format!("rebootSetting = '{given}' is not one of IfRequired, Never, Always");
            Err(ArmError::invalid(path, sentence))
        }
        None => Err(ArmError::invalid(path, "rebootSetting is missing: IfRequired, Never or Always")),
    }
}

/// Windows has more of them, which are all Other here.
fn classifications(body: &Value, path: &str, os: Os) -> Result<Vec<i32>> {
    const OF_WINDOWS: [&str; 6] =
        ["UpdateRollUp", "FeaturePack", "ServicePack", "Definition", "Tools", "Updates"];
    let mut known = Vec::new();
    for given in texts(body, path)? {
        let is = |name: &str| given.eq_ignore_ascii_case(name);
        let class = if is("Critical") {
            wire::Classification::Critical
        } else if is("Security") {
            wire::Classification::Security
        } else if is("Other") && os == Os::Linux
            || os == Os::Windows && OF_WINDOWS.iter().any(|name| is(name))
        {
            wire::Classification::Other
        } else {
            let sentence = format!("{path}: '{given}' is not a classification of {os:?} VMs");
            return Err(ArmError::invalid(path, sentence));
        };
        if !known.contains(&class.into()) {
            known.push(class.into());
        }
    }
    Ok(known)
}

fn texts(body: &Value, path: &str) -> Result<Vec<String>> {
    let texts = list(body, path)?.into_iter().flatten().map(|value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(ArmError::invalid(path, format!("{path}: {value} is not a string"))),
    });
    texts.collect()
}

/// Azure writes a package as `name_version`; what is installed is the newest version that the VM's sources have.
fn packages(body: &Value, path: &str) -> Result<Vec<String>> {
    let name = |given: String| match given.rsplit_once('_') {
        None => Ok(given),
        Some((name, "*")) => Ok(name.to_owned()),
        Some((name, version)) => {
            let sentence = format!(
                "{path}: '{given}' names version '{version}', and the VM's own sources decide which version there is: \
                 write '{name}' or '{name}_*'"
            );
            Err(ArmError::invalid(path, sentence))
        }
    };
    texts(body, path)?.into_iter().map(name).collect()
}

/// The agent calls an update by its KB number; where several share one, with a dash and more behind it.
fn knowledge_base(body: &Value, path: &str) -> Result<Vec<String>> {
    let mut masks = Vec::new();
    for given in texts(body, path)? {
        let digits = given.trim_start_matches(['K', 'k', 'B', 'b']);
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_ascii_digit()) {
            let sentence = format!("{path}: '{given}' is no KB number: write KB5031364 or 5031364");
            return Err(ArmError::invalid(path, sentence));
        }
        masks.extend([format!("KB{digits}"), format!("KB{digits}-*")]);
    }
    Ok(masks)
}

/// The result of an installation, as Azure tells it.
pub(super) fn result(report: &InstallReport, id: Uuid, began: Time) -> Value {
    let count = |state| report.count(state);
    let patches: Vec<Value> = report.patches.iter().map(patch).collect();
    let mut result = json!({
        "status": installation_status(report),
        "installationActivityId": id,
        "rebootStatus": reboot(report.reboot),
        "maintenanceWindowExceeded": report.window_exceeded,
        "notSelectedPatchCount": count(PatchState::NotSelected),
        "excludedPatchCount": count(PatchState::Excluded),
        "pendingPatchCount": count(PatchState::Pending),
        "installedPatchCount": count(PatchState::Installed),
        "failedPatchCount": count(PatchState::Failed),
        "patches": patches,
        "startDateTime": moment(began),
    });
    if let Some(why) = report.failure() {
        result["error"] = error("InstallationFailed", &why);
    }
    result
}

fn patch(patch: &PatchOutcome) -> Value {
    let state = match patch.state {
        PatchState::Installed => "Installed",
        PatchState::Failed => "Failed",
        PatchState::Pending => "Pending",
        PatchState::NotSelected => "NotSelected",
        PatchState::Excluded => "Excluded",
    };
    json!({
        "patchId": format!("{}_{}", patch.name, patch.version),
        "name": patch.name,
        "version": patch.version,
        "classifications": [class(patch.classification)],
        "installationState": state,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;

    fn body(more: Value) -> Value {
        let mut body = json!({ "maximumDuration": "PT1H30M", "rebootSetting": "IfRequired" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[test]
    fn a_wish_is_read_whole() {
        let linux = json!({ "linuxParameters": {
            "classificationsToInclude": ["Critical", "other"],
            "packageNameMasksToInclude": ["openssl_*"], "packageNameMasksToExclude": ["kernel*"],
        }, "windowsParameters": { "excludeKbsRequiringReboot": null, "kbNumbersToInclude": [] } });
        let wish = wish(&body(linux), Os::Linux).unwrap();
        assert_eq!(wish.maximum_duration_seconds, 5_400);
        assert_eq!(
            wish.classifications,
            [wire::Classification::Critical as i32, wire::Classification::Other as i32]
        );
        assert_eq!((wish.include, wish.exclude), (vec!["openssl".to_owned()], vec!["kernel*".to_owned()]));

        let windows = json!({ "windowsParameters": {
            "classificationsToInclude": ["Security", "Definition", "Tools"],
            "kbNumbersToInclude": ["KB5031364"], "kbNumbersToExclude": ["5030999"], "excludeKbsRequiringReboot": false,
        } });
        let wish = super::wish(&body(windows), Os::Windows).unwrap();
        assert_eq!(wish.include, ["KB5031364", "KB5031364-*"]);
        assert_eq!(wish.exclude, ["KB5030999", "KB5030999-*"]);
        assert_eq!(wish.classifications.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_value() {
        for (os, given, target, said) in [
            (Os::Linux, json!({ "rebootSetting": "Never" }), "maximumDuration", "missing"),
            (Os::Linux, body(json!({ "maximumDuration": "4 hours" })), "maximumDuration", "4 hours"),
            (
                Os::Linux,
                body(json!({ "maximumDuration": "-PT4H" })),
                "maximumDuration",
                "longer than nothing",
            ),
            (Os::Linux, json!({ "maximumDuration": "PT1H" }), "rebootSetting", "missing"),
            (Os::Linux, body(json!({ "rebootSetting": "Maybe" })), "rebootSetting", "Maybe"),
            (
                Os::Linux,
                body(json!({ "windowsParameters": { "kbNumbersToInclude": ["1"] } })),
                "windowsParameters",
                "linuxParameters",
            ),
            (
                Os::Linux,
                body(json!({ "linuxParameters": { "packageNameMasksToInclude": ["openssl_3.0.1"] } })),
                "linuxParameters.packageNameMasksToInclude",
                "openssl_*",
            ),
            (
                Os::Linux,
                body(json!({ "linuxParameters": { "classificationsToInclude": ["Tools"] } })),
                "linuxParameters.classificationsToInclude",
                "Tools",
            ),
            (
                Os::Windows,
                body(json!({ "windowsParameters": { "kbNumbersToInclude": ["curl"] } })),
                "windowsParameters.kbNumbersToInclude",
                "curl",
            ),
            (
                Os::Windows,
                body(json!({ "windowsParameters": { "maxPatchPublishDate": "2026-11-01" } })),
                "windowsParameters.maxPatchPublishDate",
                "not supported",
            ),
        ] {
            let error = wish(&given, os).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{given}");
            assert!(error.message.contains(said), "{given}: {}", error.message);
        }
    }
}
