//! What the reference shows people doing, word for word.

use crate::door::{Door, SUBSCRIPTION, linux, versioned, vm, windows};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_opts_in_as_the_reference_shows() {
    let door = Door::open().await;
    let state =
        async |name| door.get(&door.feature(name, "")).await.expect(200).body["properties"]["state"].clone();
    let provider =
        format!("/subscriptions/{SUBSCRIPTION}/providers/microsoft.compute?api-version=2021-04-01");
    assert_eq!(state("InGuestPatchVMPreview").await, "NotRegistered");
    assert_eq!(door.get(&provider).await.expect(200).body["registrationState"], "NotRegistered");
    door.opt_in().await;
    // Registering is over as soon as rollout-planner has read of it.
    while state("InGuestPatchVMPreview").await != "Registered" {
        tokio::task::yield_now().await;
    }
    assert_eq!(state("inguestautopatchvmpreview").await, "Registered");
    assert_eq!(door.get(&provider).await.expect(200).body["registrationState"], "Registered");
    let path = door.feature("InGuestPatchVMPreview", "/unregister");
    let given_up = door.send("POST", &path, &[], None).await.expect(200);
    assert_eq!(given_up.body["properties"]["state"], "NotRegistered");
    let known = door.get("/subscriptions?api-version=2022-12-01").await.expect(200);
    assert_eq!(known.body["value"][0]["subscriptionId"], SUBSCRIPTION);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_put_read_patched_and_deleted_and_nothing_that_its_owner_said_is_lost() {
    let door = Door::open().await;
    door.opt_in().await;
    let mut body = linux("AutomaticByPlatform");
    body["zones"] = json!(["2"]);
    body["tags"] = json!({ "team": "web", "nightshift-time-zone": "Asia/Kathmandu", "nightshift-window": "23:00-05:30" });
    body["properties"]["somethingNew"] = json!({ "deep": [1, null, { "x": "ä" }], "empty": {} });
    body["properties"]["osProfile"]["adminPassword"] = json!("secret");
    let created = door.put(&vm("Web.01", ""), &body).await.expect(201);
    let read = door.get(&vm("WEB.01", "").replace("myGroup", "MYGROUP")).await.expect(200);
    assert_eq!(created.body, read.body);
    assert_eq!(read.header("etag"), read.body["etag"].as_str().unwrap());
    assert!(
        !read.header("x-ms-request-id").is_empty() && !read.header("x-ms-correlation-request-id").is_empty()
    );
    for (path, value) in [
        ("/name", json!("Web.01")),
        ("/type", json!("Microsoft.Compute/virtualMachines")),
        ("/zones", json!(["2"])),
        ("/tags", body["tags"].clone()),
        ("/properties/somethingNew", body["properties"]["somethingNew"].clone()),
        ("/properties/hardwareProfile/vmSize", json!("Standard_D2s_v3")),
        ("/properties/provisioningState", json!("Succeeded")),
        ("/properties/osProfile/adminPassword", Value::Null),
    ] {
        assert_eq!(read.body.pointer(path).cloned().unwrap_or_default(), value, "{path}");
    }
    assert!(
        read.body["id"]
            .as_str()
            .unwrap()
            .ends_with("/resourceGroups/myGroup/providers/Microsoft.Compute/virtualMachines/Web.01")
    );

    // The log has the model that Nightshift goes by.
    let id = read.body["properties"]["vmId"].as_str().unwrap();
    let own = door.get(&format!("/v1/vms/{id}")).await.expect(200).body["vm"].clone();
    assert_eq!((&own["region"], &own["placement"]["zone"]), (&json!("westeurope"), &json!("2")));
    assert_eq!((&own["timeZone"], &own["window"]["start"]), (&json!("Asia/Kathmandu"), &json!("23:00")));
    assert_eq!(own["patchMode"], "PATCH_MODE_AUTOMATIC_BY_PLATFORM");

    // What a VM was made from stays when the reference's short body is put.
    let short = json!({ "properties": { "osProfile": { "linuxConfiguration": { "provisionVMAgent": true,
        "patchSettings": { "patchMode": "AutomaticByPlatform" } } } } });
    let again = door.put(&vm("web.01", ""), &short).await.expect(200);
    assert_eq!((&again.body["location"], &again.body["zones"]), (&json!("westeurope"), &json!(["2"])));
    assert_eq!(again.body.get("tags"), None);

    let change = json!({ "tags": { "a": "b" }, "properties": { "osProfile": { "linuxConfiguration": { "patchSettings": {
        "assessmentMode": "AutomaticByPlatform", "automaticByPlatformSettings": { "rebootSetting": "Never" } } } } } });
    let patched = door.patch(&vm("web.01", ""), &change).await.expect(200);
    let settings = &patched.body["properties"]["osProfile"]["linuxConfiguration"]["patchSettings"];
    assert_eq!(settings["patchMode"], "AutomaticByPlatform");
    assert_eq!(settings["automaticByPlatformSettings"]["rebootSetting"], "Never");
    assert_eq!(patched.body["tags"], json!({ "a": "b" }));
    let own = door.get(&format!("/v1/vms/{id}")).await.expect(200).body["vm"].clone();
    assert_eq!(own["reboot"], "REBOOT_SETTING_NEVER");
    assert_ne!(patched.header("etag"), again.header("etag"));

    let stale = [("if-match", again.header("etag"))];
    let refused = door.send("DELETE", &vm("web.01", ""), &stale, None).await.expect(412);
    assert_eq!(refused.code(), "PreconditionFailed");
    door.send("PUT", &vm("web.01", ""), &[("if-none-match", "*")], Some(body.to_string())).await.expect(412);
    door.send("DELETE", &vm("web.01", ""), &[("if-match", patched.header("etag"))], None).await.expect(200);
    assert_eq!(door.get(&vm("web.01", "")).await.expect(404).code(), "ResourceNotFound");
    door.send("DELETE", &vm("web.01", ""), &[], None).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_vms_have_the_modes_and_the_oldest_version_of_the_reference() {
    let door = Door::open().await;
    door.opt_in().await;
    let path = versioned("win", "", "2020-06-01");
    door.put(&path, &windows("AutomaticByOS", Some(true))).await.expect(201);
    let update = json!({ "properties": { "osProfile": { "windowsConfiguration": { "provisionVMAgent": true,
        "enableAutomaticUpdates": true, "patchSettings": { "patchMode": "AutomaticByPlatform" } } } } });
    let updated = door.put(&path, &update).await.expect(200);
    let configuration = &updated.body["properties"]["osProfile"]["windowsConfiguration"];
    assert_eq!(configuration["patchSettings"]["patchMode"], "AutomaticByPlatform");
    door.put(&vm("manual", ""), &windows("Manual", Some(false))).await.expect(201);
    let mut default = windows("x", None);
    default["properties"]["osProfile"]["windowsConfiguration"]
        .as_object_mut()
        .unwrap()
        .remove("patchSettings");
    let by_os = door.put(&vm("default", ""), &default).await.expect(201);
    let configuration = &by_os.body["properties"]["osProfile"]["windowsConfiguration"];
    assert_eq!(configuration["patchSettings"]["patchMode"], "AutomaticByOS");
    assert_eq!(configuration["enableAutomaticUpdates"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_are_spread_over_update_domains_and_lists_come_page_by_page() {
    let door = Door::open().await;
    let set = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/myGroup/providers/Microsoft.Compute/availabilitySets/webSet"
    );
    let mut body = linux("ImageDefault");
    body["properties"]["availabilitySet"] = json!({ "id": set });
    for number in 0..6 {
        door.put(&vm(&format!("web{number}"), ""), &body).await.expect(201);
    }
    let domain = async |name| {
        let view = door.get(&vm(name, "/instanceView")).await.expect(200);
        view.body["platformUpdateDomain"].as_u64().unwrap()
    };
    assert_eq!((domain("web0").await, domain("web4").await, domain("web5").await), (0, 4, 0));
    body["tags"] = json!({ "nightshift-update-domain": "3" });
    door.put(&vm("web9", ""), &body).await.expect(201);
    assert_eq!(domain("web9").await, 3);

    let lists = [
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/MYgroup/providers/Microsoft.Compute/virtualMachines"
        ),
        format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines"),
        format!(
            "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/West%20Europe/virtualMachines"
        ),
    ];
    for list in lists {
        let mut link = format!("{list}?api-version=2024-07-01&$top=3");
        let mut names = Vec::new();
        loop {
            let page = door.get(&link).await.expect(200);
            let value = page.body["value"].as_array().unwrap();
            assert!(value.len() <= 3);
            names.extend(value.iter().map(|vm| vm["name"].as_str().unwrap().to_owned()));
            match page.body["nextLink"].as_str() {
                Some(next) => link = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(names, ["web0", "web1", "web2", "web3", "web4", "web5", "web9"], "{list}");
    }
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourcegroups/MYGROUP?api-version=2021-04-01");
    assert_eq!(door.get(&group).await.expect(200).body["name"], "myGroup");
    door.send("HEAD", &group, &[], None).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_may_name_a_vm_alike_and_a_restart_forgets_nothing() {
    let door = Door::open().await;
    door.put(&vm("twin", ""), &linux("ImageDefault")).await.expect(201);
    let other = vm("twin", "").replace("myGroup", "other");
    door.put(&other, &linux("ImageDefault")).await.expect(201);
    let before = [door.get(&vm("twin", "")).await.body, door.get(&other).await.body];
    assert_ne!(before[0]["properties"]["vmId"], before[1]["properties"]["vmId"]);
    let door = door.restart().await;
    let after = [door.get(&vm("twin", "")).await.body, door.get(&other).await.body];
    assert_eq!(before, after);
}
