//! The instance view: extension, agent, and what is known of the VM's patches (REQUIREMENTS.md D5).

use super::render::update_domain;
use crate::patching::{Story, activity};
use crate::view::{Machine, View};
use chrono::SecondsFormat;
use nightshift_domain::Time;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::fleet::{Os, PatchMode, Vm};
use nightshift_domain::patch::{PatchState, RebootStatus};
use serde_json::{Value, json};

/// The instance view of a VM.
pub(super) fn of(view: &View, vm: &Vm, now: Time) -> Value {
    let machine = view.machines.get(&vm.id);
    let story = view.patching.of(&vm.id);
    let mut body = json!({
        "vmAgent": agent(machine, story, now),
        "extensions": extensions(vm, machine, story),
        "patchStatus": patch_status(vm, machine, story),
        "statuses": [provisioned(), power(story)],
    });
    if let Some(domain) = update_domain(vm) {
        body["platformUpdateDomain"] = json!(domain);
    }
    if let Some(identity) = machine.and_then(|machine| machine.identity.as_ref()) {
        body["osName"] = json!(identity.os);
    }
    body
}

/// A moment as Azure writes it.
pub(super) fn moment(at: Time) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn status(code: &str, display: &str) -> Value {
    json!({ "code": code, "level": "Info", "displayStatus": display })
}

fn provisioned() -> Value {
    status("ProvisioningState/succeeded", "Provisioning succeeded")
}

/// A machine is known to run from its agent's word to the next time that it was found silent.
fn power(story: Option<&Story>) -> Value {
    match story {
        Some(story) if story.heard.is_some() && !story.silent => status("PowerState/running", "VM running"),
        _ => status("PowerState/unknown", "VM state unknown"),
    }
}

fn agent(machine: Option<&Machine>, story: Option<&Story>, now: Time) -> Value {
    let Some(identity) = machine.and_then(|machine| machine.identity.as_ref()) else {
        let mut unavailable = status("ProvisioningState/Unavailable", "Not Ready");
        unavailable["level"] = json!("Warning");
        unavailable["message"] = json!("No agent has connected: enrol it with a token for this VM.");
        unavailable["time"] = moment(now);
        return json!({ "vmAgentVersion": "Unknown", "statuses": [unavailable] });
    };
    let mut ready = status("ProvisioningState/succeeded", "Ready");
    ready["message"] = json!("The agent is running.");
    if let Some(heard) = story.and_then(|story| story.heard) {
        ready["time"] = moment(heard);
    }
    json!({ "vmAgentVersion": identity.agent_version, "statuses": [ready] })
}

/// The patch extension is there once the agent has turned native updates off (REQUIREMENTS.md D2).
fn extensions(vm: &Vm, machine: Option<&Machine>, story: Option<&Story>) -> Value {
    let Some(machine) = machine.filter(|machine| machine.enabled) else { return json!([]) };
    let name = match vm.os {
        Os::Linux => "Microsoft.CPlat.Core.LinuxPatchExtension",
        Os::Windows => "Microsoft.CPlat.Core.WindowsPatchExtension",
    };
    let mut enabled = provisioned();
    if let Some(at) = story.and_then(|story| story.enabled) {
        enabled["time"] = moment(at);
    }
    let version = machine.identity.as_ref().map(|identity| identity.agent_version.as_str());
    json!([{ "name": name, "type": name, "typeHandlerVersion": version, "statuses": [enabled] }])
}

fn patch_status(vm: &Vm, machine: Option<&Machine>, story: Option<&Story>) -> Value {
    let mut body = json!({});
    let assessed = machine.and_then(|machine| machine.assessed.as_ref());
    if let Some((at, assessment)) = assessed {
        let warned = !assessment.warnings.is_empty();
        let mut summary = json!({
            "status": if warned { "CompletedWithWarnings" } else { "Succeeded" },
            "assessmentActivityId": story.and_then(|story| story.assessment),
            "rebootPending": assessment.reboot_pending,
            "criticalAndSecurityPatchCount": assessment.critical_and_security(),
            "otherPatchCount": assessment.other(),
            "startTime": moment(*at),
            "lastModifiedTime": moment(*at),
        });
        if warned {
            summary["error"] = error("PackageSourceWarning", &assessment.warnings.join("; "));
        }
        body["availablePatchSummary"] = summary;
    }
    let installed = machine.and_then(|machine| machine.installed.as_ref());
    if let Some(summary) = installation(story, installed.map(|(at, report)| (*at, report))) {
        body["lastPatchInstallationSummary"] = summary;
    }
    if vm.patch_mode == PatchMode::AutomaticByPlatform {
        let enabled = machine.is_some_and(|machine| machine.enabled);
        let (code, display) = match enabled {
            true => ("PatchModeConfigurationState/Ready", "Ready"),
            false => ("PatchModeConfigurationState/Pending", "Pending: completed in the VM's off-peak hours"),
        };
        body["configurationStatuses"] = json!([status(code, display)]);
    }
    body
}

fn installation(story: Option<&Story>, installed: Option<(Time, &InstallReport)>) -> Option<Value> {
    if let Some((order, began)) = story.and_then(|story| story.under_way.as_ref()) {
        return Some(json!({
            "status": "InProgress",
            "installationActivityId": activity(order.as_str()),
            "startTime": moment(*began),
            "lastModifiedTime": moment(story.and_then(|story| story.heard).unwrap_or(*began)),
        }));
    }
    let (at, report) = installed?;
    let count = |state| report.count(state);
    let ended = story.and_then(|story| story.ended.as_ref());
    let mut summary = json!({
        "status": installation_status(report),
        "installationActivityId": ended.map(|(order, _, _)| activity(order.as_str())),
        "maintenanceWindowExceeded": report.window_exceeded,
        "rebootStatus": reboot(report.reboot),
        "notSelectedPatchCount": count(PatchState::NotSelected),
        "excludedPatchCount": count(PatchState::Excluded),
        "pendingPatchCount": count(PatchState::Pending),
        "installedPatchCount": count(PatchState::Installed),
        "failedPatchCount": count(PatchState::Failed),
        "startTime": moment(ended.map_or(at, |(_, began, _)| *began)),
        "lastModifiedTime": moment(at),
    });
    if let Some(why) = report.failure() {
        summary["error"] = error("InstallationFailed", &why);
    }
    Some(summary)
}

pub(super) fn installation_status(report: &InstallReport) -> &'static str {
    match report.failure() {
        Some(_) => "Failed",
        None if report.window_exceeded => "CompletedWithWarnings",
        None => "Succeeded",
    }
}

pub(super) fn reboot(status: RebootStatus) -> &'static str {
    match status {
        RebootStatus::NotNeeded => "NotNeeded",
        RebootStatus::Required => "Required",
        RebootStatus::Completed => "Completed",
        RebootStatus::Failed => "Failed",
    }
}

/// An error within a status.
pub(super) fn error(code: &str, message: &str) -> Value {
    json!({ "code": code, "message": message, "details": [] })
}
