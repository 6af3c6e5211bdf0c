//! A VM as Azure's clients read it: what its owner put, and what Nightshift goes by.

use super::document::{at, set, set_if_absent};
use super::model::{declared, settings};
use nightshift_domain::fleet::{AssessmentMode, Os, PatchMode, Placement, Vm};
use nightshift_protocol::events::v1 as wire;
use prost::Message as _;
use serde_json::{Value, json};
use uuid::Uuid;

/// The path of a VM.
pub(super) fn id(vm: &Vm) -> String {
    let (subscription, group) = (&vm.subscription, group(vm));
    let provider = "providers/Microsoft.Compute/virtualMachines";
    format!("/subscriptions/{subscription}/resourceGroups/{group}/{provider}/{}", vm.name())
}

/// Its resource group: a VM that was declared without one is in the group `nightshift`.
pub(super) fn group(vm: &Vm) -> &str {
    if vm.resource_group.is_empty() { "nightshift" } else { &vm.resource_group }
}

/// Changes whenever anything of the VM's model does.
pub(super) fn etag(vm: &Vm) -> String {
    let model = wire::Vm::from(vm).encode_to_vec();
    format!("\"{}\"", Uuid::new_v5(&Uuid::NAMESPACE_OID, &model))
}

/// What its owner put, or would have put.
pub(super) fn owned(vm: &Vm) -> Value {
    let kept = vm.resource.as_ref().and_then(|resource| serde_json::from_str(&resource.body).ok());
    let mut document = kept.unwrap_or_else(|| declared(vm));
    let image = "properties.storageProfile.imageReference";
    if at(&document, image).is_none() && vm.image.publisher != "custom" {
        let (publisher, offer, sku) = (&vm.image.publisher, &vm.image.offer, &vm.image.sku);
        set(&mut document, image, json!({ "publisher": publisher, "offer": offer, "sku": sku }));
    }
    let family = if vm.os == Os::Linux { "Linux" } else { "Windows" };
    set_if_absent(&mut document, "properties.storageProfile.osDisk.osType", json!(family));
    // Azure's clients send back what they read, and let nobody send a disk without it.
    set_if_absent(&mut document, "properties.storageProfile.osDisk.createOption", json!("FromImage"));
    set_if_absent(&mut document, &format!("{}.patchMode", settings(vm.os)), json!(patch_mode(vm.patch_mode)));
    let own = vm.reboot.map(|reboot| format!("{reboot:?}"));
    let path = format!("{}.automaticByPlatformSettings.rebootSetting", settings(vm.os));
    own.into_iter().for_each(|own| set_if_absent(&mut document, &path, json!(own)));
    let assessed = match vm.assessment_mode {
        AssessmentMode::AutomaticByPlatform => "AutomaticByPlatform",
        AssessmentMode::ImageDefault => "ImageDefault",
    };
    set_if_absent(&mut document, &format!("{}.assessmentMode", settings(vm.os)), json!(assessed));
    if vm.os == Os::Windows {
        let path = "properties.osProfile.windowsConfiguration.enableAutomaticUpdates";
        set_if_absent(&mut document, path, json!(vm.automatic_updates.unwrap_or(true)));
    }
    document
}

/// The whole VM.
pub(super) fn vm(vm: &Vm) -> Value {
    let mut document = owned(vm);
    document["id"] = json!(id(vm));
    document["name"] = json!(vm.name());
    document["type"] = json!("Microsoft.Compute/virtualMachines");
    document["etag"] = json!(etag(vm));
    set(&mut document, "properties.provisioningState", json!("Succeeded"));
    // The identity under which its agent enrols and `nightshift` names it.
    set(&mut document, "properties.vmId", json!(vm.id));
    document
}

fn patch_mode(mode: PatchMode) -> &'static str {
    match mode {
        PatchMode::AutomaticByPlatform => "AutomaticByPlatform",
        PatchMode::AutomaticByOS => "AutomaticByOS",
        PatchMode::Manual => "Manual",
        PatchMode::ImageDefault => "ImageDefault",
    }
}

/// The update domain, where the VM has one.
pub(super) fn update_domain(vm: &Vm) -> Option<u8> {
    match &vm.placement {
        Placement::AvailabilitySet { update_domain, .. } => Some(*update_domain),
        _ => None,
    }
}
