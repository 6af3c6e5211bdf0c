//! Long-running operations: an assessment on demand, and how callers follow them (REQUIREMENTS.md D4).

use super::answer::answer;
use super::error::{ArmError, Result};
use super::instance_view::{error, moment};
use super::path::VmName;
use super::{Asked, install, vms};
use crate::operations::{Operation, Progress, Undone, identity};
use crate::view::View;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nightshift_domain::fleet::{Os, Vm};
use nightshift_domain::patch::{Assessment, Classification, Patch};
use nightshift_domain::{SubscriptionId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use serde_json::{Value, json};
use uuid::Uuid;

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
/// How soon it is worth to ask again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// `…/virtualMachines/V/assessPatches`
pub(super) async fn assess(asked: Asked, subscription: SubscriptionId, at: VmName) -> Result<Response> {
    asked.only(&Method::POST)?;
    let vm = asked.door.host.look(move |view, _| vms::find(view, &subscription, &at).cloned()).await??;
    if asked.version.is_limited() && vm.os == Os::Linux {
        let sentence = "assessPatches of Linux VMs needs API version 2020-12-01 or higher";
        return Err(ArmError::invalid("api-version", sentence));
    }
    let actor = Some((&asked.caller.wishes("assessPatches")).into());
    let request = api::AssessVmRequest { vm: vm.id.to_string(), actor, ..Default::default() };
    let not_after = asked.door.owners.agents(&asked.caller).assess_vm(request).await?.into_inner().not_after;
    let not_after = time(not_after, "not_after").map_err(|error| {
        ArmError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", error.to_string())
    })?;
    let id = identity(&vm.id, not_after);
    asked.door.read_back(move |view| view.operations.get(&id).is_some()).await?;
    Ok(begun(&asked, &vm, id))
}

/// 202: the operation on this VM is under way.
pub(super) fn begun(asked: &Asked, vm: &Vm, id: Uuid) -> Response {
    let (subscription, region) = (&vm.subscription, &vm.region);
    let place = format!("/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{region}");
    accepted(&format!("{}{place}/operations/{id}?api-version={}", asked.base(), asked.version.0))
}

/// 202: go on asking at this address.
fn accepted(link: &str) -> Response {
    let mut response = StatusCode::ACCEPTED.into_response();
    let headers = response.headers_mut();
    let location = format!("{link}&monitor=true");
    for (name, value) in [(ASYNC_OPERATION, link), (header::LOCATION, location.as_str())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// `…/locations/L/operations/ID`: how far it is; with `monitor=true` its result, once there is one.
pub(super) async fn show(asked: Asked, subscription: SubscriptionId, id: Uuid) -> Result<Response> {
    asked.only(&Method::GET)?;
    // The first version had another name for the list.
    let patches = if asked.version.is_limited() { "patches" } else { "availablePatches" };
    let owner = subscription.clone();
    let look = move |view: &View, now| {
        let operation = view.operations.get(&id)?;
        // A VM that was removed since has no owner to ask; who knows the operation's name may know its end.
        let vm = view.planner.fleet.vms.get(&operation.vm);
        vm.is_none_or(|vm| vm.subscription == owner).then(|| outcome(operation, id, now, patches))
    };
    let unknown = || ArmError::not_found("OperationNotFound", format!("there is no operation '{id}'"));
    let Outcome { state, asked: began, ended, result } =
        asked.door.host.look(look).await?.ok_or_else(unknown)?;
    if asked.query.get("monitor").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return match result {
            None => Ok(accepted(&format!("{}{}?api-version={}", asked.base(), asked.path, asked.version.0))),
            Some(Ok(result)) => Ok(answer(StatusCode::OK, result)),
            Some(Err(error)) => Err(error),
        };
    }
    let mut body = json!({ "name": id, "status": state, "startTime": moment(began) });
    if let Some(ended) = ended {
        body["endTime"] = moment(ended);
    }
    let running = result.is_none();
    match result {
        None => {}
        Some(Ok(result)) => body["properties"] = json!({ "output": result }),
        Some(Err(error)) => body["error"] = error.detail(),
    }
    let mut response = answer(StatusCode::OK, body);
    if running {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    Ok(response)
}

struct Outcome {
    state: &'static str,
    asked: Time,
    ended: Option<Time>,
    result: Option<Result<Value>>,
}

fn outcome(operation: &Operation, id: Uuid, now: Time, patches: &str) -> Outcome {
    let asked = operation.asked;
    let ended = |state, at, result| Outcome { state, asked, ended: Some(at), result: Some(result) };
    let failed =
        |at, code: &str, why: &str| ended("Failed", at, Err(ArmError::new(StatusCode::CONFLICT, code, why)));
    match operation.progress(now) {
        Progress::Running => Outcome { state: "InProgress", asked, ended: None, result: None },
        Progress::Assessed(at, assessment) => {
            let mut result = assessed(assessment, id, asked);
            result[patches] = assessment.patches.iter().map(|patch| available(patch, id, at)).collect();
            ended("Succeeded", at, Ok(result))
        }
        Progress::NotAssessed(at, why) => failed(at, "PatchAssessmentFailed", why),
        Progress::Silent(at) => {
            let why = "the VM's agent did not answer in time: is the VM running, and is its agent connected?";
            failed(at, "VMAgentStatusCommunicationError", why)
        }
        Progress::Installed(at, report) => ended("Succeeded", at, Ok(install::result(report, id, asked))),
        Progress::NotInstalled(at, Undone::Failed(why)) => failed(at, "PatchInstallationFailed", why),
        Progress::NotInstalled(at, Undone::Cancelled) => {
            let error = ArmError::new(StatusCode::CONFLICT, "OperationPreempted", "a person cancelled it");
            ended("Canceled", at, Err(error))
        }
    }
}

fn assessed(assessment: &Assessment, id: Uuid, began: Time) -> Value {
    let warned = !assessment.warnings.is_empty();
    let mut result = json!({
        "status": if warned { "CompletedWithWarnings" } else { "Succeeded" },
        "assessmentActivityId": id,
        "rebootPending": assessment.reboot_pending,
        "criticalAndSecurityPatchCount": assessment.critical_and_security(),
        "otherPatchCount": assessment.other(),
        "startDateTime": moment(began),
    });
    if warned {
        result["error"] = error("PackageSourceWarning", &assessment.warnings.join("; "));
    }
    result
}

/// As Azure calls it.
pub(super) fn class(classification: Classification) -> &'static str {
    match classification {
        Classification::Critical => "Critical",
        Classification::Security => "Security",
        Classification::Other => "Other",
    }
}

fn available(patch: &Patch, id: Uuid, at: Time) -> Value {
    let classification = class(patch.classification);
    json!({
        "patchId": format!("{}_{}", patch.name, patch.version),
        "name": patch.name,
        "version": patch.version,
        "classifications": [classification],
        "rebootBehavior": "Unknown",
        "activityId": id,
        "lastModifiedDateTime": moment(at),
        "assessmentState": if patch.obstacle.is_some() { "Excluded" } else { "Available" },
    })
}
