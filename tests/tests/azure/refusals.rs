//! Every refusal of C2, C3, C5 and D1, and what else cannot be, as an error of Azure Resource Manager.

use crate::door::{Door, SUBSCRIPTION, linux, versioned, vm, windows};
use serde_json::{Value, json};

struct Case {
    what: &'static str,
    method: &'static str,
    path: String,
    body: Value,
    status: u16,
    code: &'static str,
    /// What the message, or the target, must name.
    names: &'static str,
}

fn case(
    what: &'static str,
    method: &'static str,
    path: String,
    body: Value,
    (status, code, names): (u16, &'static str, &'static str),
) -> Case {
    Case { what, method, path, body, status, code, names }
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(above).unwrap()[name] = value;
    body
}

/// In a subscription that has opted in, with the VMs `auto`, `manual` and `lin` in it.
fn cases() -> Vec<Case> {
    let put = |what, body, refusal| case(what, "PUT", vm("new", ""), body, refusal);
    let patch = |what, name, body, refusal| case(what, "PATCH", vm(name, ""), body, refusal);
    let settings = |family: &str, value: Value| json!({ "properties": { "osProfile": { format!("{family}Configuration"): value } } });
    let mode = |family: &str, mode: &str| settings(family, json!({ "patchSettings": { "patchMode": mode } }));
    let image = "/properties/storageProfile/imageReference";
    let custom =
        json!({ "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/golden" });
    let set = |id: &str| json!({ "id": id });
    let get = |what, path, refusal| case(what, "GET", path, Value::Null, refusal);
    let list = |of: &str, query: &str| {
        format!(
            "/subscriptions/{SUBSCRIPTION}{of}/providers/Microsoft.Compute/virtualMachines?api-version=2024-07-01&{query}"
        )
    };
    let foreign = format!("$skiptoken={SUBSCRIPTION}/other/lin");
    let features = "providers/Microsoft.Features/providers/Microsoft.Compute/features";
    vec![
        // C1
        put(
            "a custom image",
            with(linux("AutomaticByPlatform"), image, custom),
            (400, "InvalidParameter", "golden"),
        ),
        // C2
        put("AutomaticByOS on Linux", linux("AutomaticByOS"), (400, "InvalidParameter", "Windows only")),
        put("Manual on Linux", linux("Manual"), (400, "InvalidParameter", "Windows only")),
        put(
            "ImageDefault on Windows",
            windows("ImageDefault", None),
            (400, "InvalidParameter", "Linux only"),
        ),
        put("a mode that nobody knows", linux("Sometimes"), (400, "InvalidParameter", "Sometimes")),
        // C3
        put(
            "by platform without updates",
            windows("AutomaticByPlatform", Some(false)),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        put(
            "by OS without updates",
            windows("AutomaticByOS", Some(false)),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        put(
            "manual with updates",
            windows("Manual", Some(true)),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        put(
            "manual with the default",
            windows("Manual", None),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        patch(
            "manual to by OS",
            "manual",
            mode("windows", "AutomaticByOS"),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        patch(
            "by OS to manual",
            "auto",
            mode("windows", "Manual"),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        patch(
            "manual to by platform, with updates",
            "manual",
            settings(
                "windows",
                json!({ "enableAutomaticUpdates": true, "patchSettings": { "patchMode": "AutomaticByPlatform" } }),
            ),
            (409, "PropertyChangeNotAllowed", "patchMode"),
        ),
        patch(
            "by OS to manual, without updates",
            "auto",
            settings(
                "windows",
                json!({ "enableAutomaticUpdates": false, "patchSettings": { "patchMode": "Manual" } }),
            ),
            (409, "PropertyChangeNotAllowed", "patchMode"),
        ),
        patch(
            "updates turned off",
            "auto",
            settings("windows", json!({ "enableAutomaticUpdates": false })),
            (400, "InvalidParameter", "enableAutomaticUpdates"),
        ),
        // C5
        case(
            "Linux at the oldest version",
            "PUT",
            versioned("new", "", "2020-06-01"),
            linux("AutomaticByPlatform"),
            (400, "InvalidParameter", "2020-12-01"),
        ),
        get(
            "no version",
            vm("auto", "").split('?').next().unwrap().to_owned(),
            (400, "MissingApiVersionParameter", "api-version"),
        ),
        get(
            "a version before patching",
            versioned("auto", "", "2019-12-01"),
            (400, "NoRegisteredProviderFound", "2020-12-01"),
        ),
        get(
            "a version that never was",
            versioned("auto", "", "2031-01-01"),
            (400, "NoRegisteredProviderFound", "2031-01-01"),
        ),
        get(
            "a version that is none",
            versioned("auto", "", "latest"),
            (400, "InvalidApiVersionParameter", "latest"),
        ),
        // D1
        get(
            "an unknown feature",
            format!("/subscriptions/{SUBSCRIPTION}/{features}/Nothing?api-version=2021-07-01"),
            (404, "FeatureNotFound", "Nothing"),
        ),
        case(
            "an unknown provider",
            "POST",
            format!(
                "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Nothing/register?api-version=2021-04-01"
            ),
            Value::Null,
            (404, "InvalidResourceNamespace", "Microsoft.Nothing"),
        ),
        // Where and what it is
        put(
            "no location",
            with(linux("ImageDefault"), "/location", Value::Null),
            (400, "LocationRequired", "location"),
        ),
        put(
            "an unknown location",
            with(linux("ImageDefault"), "/location", json!("atlantis")),
            (400, "LocationNotAvailableForResourceType", "westeurope"),
        ),
        put(
            "an unknown zone",
            with(linux("ImageDefault"), "/zones", json!(["9"])),
            (400, "InvalidAvailabilityZone", "9"),
        ),
        put(
            "two zones",
            with(linux("ImageDefault"), "/zones", json!(["1", "2"])),
            (400, "InvalidParameter", "zones"),
        ),
        put(
            "no availability set",
            with(linux("ImageDefault"), "/properties/availabilitySet", set("webSet")),
            (400, "InvalidParameter", "webSet"),
        ),
        put(
            "a time zone of Mars",
            with(linux("ImageDefault"), "/tags", json!({ "nightshift-time-zone": "Mars" })),
            (400, "InvalidParameter", "Mars"),
        ),
        put(
            "a window that is none",
            with(linux("ImageDefault"), "/tags", json!({ "nightshift-window": "night" })),
            (400, "InvalidParameter", "night"),
        ),
        put(
            "settings of another mode",
            with(
                linux("ImageDefault"),
                "/properties/osProfile/linuxConfiguration/patchSettings/automaticByPlatformSettings",
                json!({ "rebootSetting": "Never" }),
            ),
            (400, "InvalidParameter", "automaticByPlatformSettings"),
        ),
        put(
            "a reboot setting that is none",
            with(
                linux("AutomaticByPlatform"),
                "/properties/osProfile/linuxConfiguration/patchSettings/automaticByPlatformSettings",
                json!({ "rebootSetting": "Perhaps" }),
            ),
            (400, "InvalidParameter", "Perhaps"),
        ),
        put(
            "an assessment mode that is none",
            with(
                linux("ImageDefault"),
                "/properties/osProfile/linuxConfiguration/patchSettings/assessmentMode",
                json!("Daily"),
            ),
            (400, "InvalidParameter", "Daily"),
        ),
        put(
            "a number for a name",
            with(linux("ImageDefault"), "/location", json!(7)),
            (400, "InvalidRequestContent", "location"),
        ),
        put("no object", json!([]), (400, "InvalidRequestContent", "object")),
        put(
            "too much",
            with(linux("ImageDefault"), "/properties/much", json!("x".repeat(70_000))),
            (413, "RequestContentTooLarge", "65536"),
        ),
        patch(
            "another location",
            "lin",
            json!({ "location": "northeurope" }),
            (409, "InvalidResourceLocation", "northeurope"),
        ),
        patch(
            "another family",
            "lin",
            json!({ "properties": { "osProfile": { "linuxConfiguration": null, "windowsConfiguration": {} }, "storageProfile": { "osDisk": { "osType": "Windows" } } } }),
            (400, "InvalidParameter", "Linux only"),
        ),
        // Pages
        get(
            "a page that begins nowhere",
            list("", "$skiptoken=garbage"),
            (400, "InvalidParameter", "$skiptoken = 'garbage'"),
        ),
        get(
            "a page that begins after everything",
            list("", "$skiptoken=zzz"),
            (400, "InvalidParameter", "$skiptoken = 'zzz'"),
        ),
        get(
            "a page of another group",
            list("/resourceGroups/myGroup", &foreign),
            (400, "InvalidParameter", "other/lin"),
        ),
        get("fewer than none", list("", "$top=-1"), (400, "InvalidParameter", "$top = '-1'")),
        get("a page of nothing", list("", "$top=0"), (400, "InvalidParameter", "$top = '0'")),
        // What is not there
        get("no such VM", vm("nobody", ""), (404, "ResourceNotFound", "nobody")),
        get("no such VM's view", vm("nobody", "/instanceView"), (404, "ResourceNotFound", "nobody")),
        patch("a patch of nothing", "nobody", json!({}), (404, "ResourceNotFound", "nobody")),
        case(
            "nobody's assessment",
            "POST",
            vm("nobody", "/assessPatches"),
            Value::Null,
            (404, "ResourceNotFound", "nobody"),
        ),
        case(
            "an assessment without an agent",
            "POST",
            vm("lin", "/assessPatches"),
            Value::Null,
            (409, "OperationNotAllowed", "agent"),
        ),
        case(
            "an assessment of Linux at the oldest version",
            "POST",
            versioned("lin", "/assessPatches", "2020-06-01"),
            Value::Null,
            (400, "InvalidParameter", "2020-12-01"),
        ),
        case(
            "nobody's installation",
            "POST",
            vm("nobody", "/installPatches"),
            install(json!({})),
            (404, "ResourceNotFound", "nobody"),
        ),
        case(
            "an installation without an agent",
            "POST",
            vm("lin", "/installPatches"),
            install(json!({})),
            (409, "OperationNotAllowed", "agent"),
        ),
        case(
            "an installation at the oldest version",
            "POST",
            versioned("lin", "/installPatches", "2020-06-01"),
            install(json!({})),
            (400, "InvalidParameter", "2020-12-01"),
        ),
        case(
            "an installation without its longest duration",
            "POST",
            vm("lin", "/installPatches"),
            json!({ "rebootSetting": "Never" }),
            (400, "InvalidParameter", "maximumDuration"),
        ),
        case(
            "an installation of updates for Windows",
            "POST",
            vm("lin", "/installPatches"),
            install(json!({ "windowsParameters": { "kbNumbersToInclude": ["5031364"] } })),
            (400, "InvalidParameter", "linuxParameters"),
        ),
        get(
            "no such operation",
            format!(
                "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/operations/none?api-version=2020-12-01"
            ),
            (404, "OperationNotFound", "none"),
        ),
        put(
            "a tag that is no string",
            with(linux("ImageDefault"), "/tags", json!({ "a": 1 })),
            (400, "InvalidParameter", "tag a"),
        ),
        get(
            "no such group",
            format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/none?api-version=2021-04-01"),
            (404, "ResourceGroupNotFound", "none"),
        ),
        get(
            "no such subscription",
            "/subscriptions/none?api-version=2022-12-01".into(),
            (404, "SubscriptionNotFound", "none"),
        ),
        get(
            "a subscription that cannot be",
            "/subscriptions/a_b?api-version=2022-12-01".into(),
            (400, "InvalidSubscriptionId", "a_b"),
        ),
        get("a name that cannot be", vm("_a", ""), (400, "InvalidResourceName", "_a")),
        get("nothing", "/nothing?api-version=2022-12-01".into(), (404, "InvalidResourceType", "nothing")),
        case("a method that is none", "POST", vm("lin", ""), Value::Null, (405, "MethodNotAllowed", "POST")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_its_code_and_says_what_is_wrong() {
    let door = Door::open().await;
    door.opt_in().await;
    door.put(&vm("lin", ""), &linux("ImageDefault")).await.expect(201);
    door.put(&vm("auto", ""), &windows("AutomaticByOS", Some(true))).await.expect(201);
    door.put(&vm("manual", ""), &windows("Manual", Some(false))).await.expect(201);
    let mut wrong = Vec::new();
    for case in cases() {
        let body = (!case.body.is_null()).then(|| case.body.to_string());
        let answer = door.send(case.method, &case.path, &[], body).await;
        let said = answer.body["error"].to_string();
        if (answer.status, answer.code()) != (case.status, case.code) || !said.contains(case.names) {
            wrong.push(format!("{}: {} {said}", case.what, answer.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(door.get(&vm("new", "")).await.status, 404, "what was refused is not there");
}

/// REQUIREMENTS.md D1: without the opt-in the operation is refused, and says what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_opt_in_the_mode_is_refused_step_by_step() {
    let door = Door::open().await;
    let body = linux("AutomaticByPlatform");
    let refused = door.put(&vm("a", ""), &body).await.expect(409);
    assert_eq!(refused.code(), "MissingSubscriptionRegistration");
    let path =
        format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/register?api-version=2020-06-01");
    door.send("POST", &path, &[], None).await.expect(200);
    let refused = door.put(&vm("a", ""), &body).await.expect(409);
    assert_eq!(refused.code(), "SubscriptionNotRegisteredForFeature");
    assert!(refused.body.to_string().contains("InGuestAutoPatchVMPreview"));
    door.opt_in().await;
    door.put(&vm("a", ""), &body).await.expect(201);
    // An assessment needs a feature of its own.
    let path = door.feature("InGuestPatchVMPreview", "/unregister");
    door.send("POST", &path, &[], None).await.expect(200);
    let refused = loop {
        // The gateway reads of it in the log; until then it says that there is no agent, or no VM.
        let refused = door.send("POST", &vm("a", "/assessPatches"), &[], None).await;
        if refused.code() == "SubscriptionNotRegisteredForFeature" {
            break refused.expect(409);
        }
    };
    assert!(refused.body.to_string().contains("InGuestPatchVMPreview"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_method_says_which_are() {
    let door = Door::open().await;
    let of = |path: &str, version: &str| format!("/subscriptions/{SUBSCRIPTION}{path}?api-version={version}");
    for (method, path, allowed) in [
        ("POST", vm("lin", ""), "GET, PUT, PATCH, DELETE"),
        ("GET", vm("lin", "/installPatches"), "POST"),
        ("PUT", of("/resourceGroups", "2021-04-01"), "GET"),
    ] {
        let refused = door.send(method, &path, &[], None).await.expect(405);
        assert_eq!(refused.header("allow"), allowed, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_refused_politely() {
    let door = Door::open().await;
    for body in ["", "{", "\u{0}", &"[".repeat(10_000)] {
        let refused = door.send("PUT", &vm("a", ""), &[], Some(body.to_owned())).await.expect(400);
        assert_eq!(refused.code(), "InvalidRequestContent");
    }
    let refused = door.send("PUT", &vm("a", ""), &[], Some("x".repeat(2_000_000))).await;
    assert_eq!(refused.expect(413).code(), "RequestContentTooLarge");
}

/// The body of a wish to install patches.
fn install(more: Value) -> Value {
    let mut body = json!({ "maximumDuration": "PT1H", "rebootSetting": "IfRequired" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}
