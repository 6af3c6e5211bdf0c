"""Azure's own SDK against this door. Run twice: `before` the VM's agent is there, and `after`."""

import os
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.mgmt.compute import ComputeManagementClient

try:
    from azure.mgmt.resource import FeatureClient, ResourceManagementClient
except ImportError:  # Since release 26 each client is a package of its own.
    from azure.mgmt.resource.features import FeatureClient
    from azure.mgmt.resource.resources import ResourceManagementClient

SUBSCRIPTION, GROUP, NAME = "11111111-2222-3333-4444-555555555555", "myGroup", os.environ["VM"]
BASE = os.environ["NIGHTSHIFT"]
LINUX = os.environ["FAMILY"] == "linux"


class Token:
    def get_token(self, *scopes, **_):
        return AccessToken(os.environ["TOKEN"], int(time.time()) + 3600)


class OverPlainHttp(BearerTokenCredentialPolicy):
    """The SDK sends no token over plain HTTP; to the loopback address it may."""

    def on_request(self, request):
        request.http_request.headers["Authorization"] = "Bearer " + self._credential.get_token(*self._scopes).token


common = dict(base_url=BASE, authentication_policy=OverPlainHttp(Token(), BASE + "/.default"))
compute = ComputeManagementClient(Token(), SUBSCRIPTION, **common)
resources = ResourceManagementClient(Token(), SUBSCRIPTION, **common)


def model():
    settings = {"patchMode": "AutomaticByPlatform"}
    image, configuration = (
        (("Canonical", "UbuntuServer", "18.04-LTS"), {"linuxConfiguration": {"patchSettings": settings}})
        if LINUX
        else (
            ("MicrosoftWindowsServer", "WindowsServer", "2019-Datacenter"),
            {"windowsConfiguration": {"enableAutomaticUpdates": True, "patchSettings": settings}},
        )
    )
    reference = dict(zip(("publisher", "offer", "sku"), image), version="latest")
    return {
        "location": "westeurope",
        "zones": ["1"],
        "tags": {"owner": "sdk"},
        "properties": {"storageProfile": {"imageReference": reference}, "osProfile": configuration},
    }


def mode(vm):
    profile = vm.os_profile
    configuration = profile.linux_configuration if LINUX else profile.windows_configuration
    return configuration.patch_settings.patch_mode


def typed(document):
    """Releases before models could be dictionaries of the wire want them by their own names."""
    kind = compute._get_api_version("virtual_machines") if hasattr(compute, "_get_api_version") else None
    return compute.models(kind).VirtualMachine.from_dict(document) if kind else document


def before():
    operations = FeatureClient(Token(), SUBSCRIPTION, **common).features
    for feature in ("InGuestAutoPatchVMPreview", "InGuestPatchVMPreview"):
        operations.register("Microsoft.Compute", feature)
        while operations.get("Microsoft.Compute", feature).properties.state != "Registered":
            pass
    assert "Microsoft.Compute/InGuestPatchVMPreview" in {f.name for f in operations.list("Microsoft.Compute")}
    assert resources.providers.register("Microsoft.Compute").registration_state == "Registered"
    vms = compute.virtual_machines
    vm = vms.begin_create_or_update(GROUP, NAME, typed(model())).result()
    assert (vm.provisioning_state, mode(vm)) == ("Succeeded", "AutomaticByPlatform"), vm
    vm = vms.begin_update(GROUP, NAME, {"tags": {"owner": "nobody"}}).result()
    assert (vm.tags, mode(vm)) == ({"owner": "nobody"}, "AutomaticByPlatform"), vm
    assert [v.name for v in vms.list(GROUP)] == [NAME] and NAME in [v.name for v in vms.list_all()]
    assert resources.resource_groups.check_existence(GROUP)
    assert resources.resource_groups.get(GROUP).name == GROUP
    try:
        vms.get(GROUP, "nobody")
    except ResourceNotFoundError as error:
        assert error.error.code == "ResourceNotFound", error
    else:
        raise AssertionError("there is no such VM")
    try:
        vms.begin_assess_patches(GROUP, NAME)
    except HttpResponseError as error:
        assert (error.status_code, error.error.code) == (409, "OperationNotAllowed"), error
    else:
        raise AssertionError("without an agent nobody can answer")
    print(vm.vm_id)


def after():
    vms = compute.virtual_machines
    result = vms.begin_assess_patches(GROUP, NAME).result()
    assert result.status == "Succeeded" and result.critical_and_security_patch_count > 0, result
    names = {patch.name for patch in (result.patches if hasattr(result, "patches") else result.available_patches)}
    assert len(names) == result.critical_and_security_patch_count + result.other_patch_count, names
    view = vms.instance_view(GROUP, NAME)
    summary = view.patch_status.available_patch_summary
    assert summary.critical_and_security_patch_count == result.critical_and_security_patch_count, summary
    assert summary.last_modified_time and summary.assessment_activity_id, summary
    assert view.vm_agent.vm_agent_version != "Unknown"
    assert "PowerState/running" in {status.code for status in view.statuses}
    if hasattr(vms, "begin_install_patches"):
        install(vms, names)
    vm = vms.get(GROUP, NAME, expand="instanceView")
    assert vm.instance_view.patch_status.available_patch_summary.status == "Succeeded"
    vms.begin_delete(GROUP, NAME).result()
    assert NAME not in [v.name for v in vms.list_all()]


def install(vms, names):
    package = os.environ["PACKAGE"]
    assert not LINUX or package in names, names
    parameters = {"maximumDuration": "PT1H", "rebootSetting": "IfRequired"}
    own = (
        {"linuxParameters": {"classificationsToInclude": ["Critical", "Security"], "packageNameMasksToInclude": [package]}}
        if LINUX
        else {"windowsParameters": {"classificationsToInclude": ["Critical", "Security"]}}
    )
    result = vms.begin_install_patches(GROUP, NAME, parameters | own).result()
    assert result.status == "Succeeded" and result.installed_patch_count > 0, result
    assert result.reboot_status and result.start_date_time and result.installation_activity_id, result
    installed = {patch.name for patch in result.patches if patch.installation_state == "Installed"}
    assert len(installed) == result.installed_patch_count, result
    if LINUX:
        assert installed == {package}, installed
    summary = vms.instance_view(GROUP, NAME).patch_status.last_patch_installation_summary
    assert summary.status == "Succeeded", summary
    assert summary.installed_patch_count == result.installed_patch_count, summary
    try:
        vms.begin_install_patches(GROUP, NAME, parameters | {"maximumDuration": "soon"} | own)
    except HttpResponseError as error:
        assert (error.status_code, error.error.code) == (400, "InvalidParameter"), error
    else:
        raise AssertionError("soon is no duration")


before() if sys.argv[1] == "before" else after()
