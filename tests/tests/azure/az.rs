//! Azure's command line, registered at this door as at a cloud of its own, through every command that the reference shows
//! (REQUIREMENTS.md E2). `cargo xtask tools` fetches it.

use crate::door::{Door, admin, linux, vm};
use crate::sdk::agent;
use nightshift_cli::enrolment;
use nightshift_domain::VmId;
use serde_json::Value;
use std::path::Path;
use tokio::process::Command;
use tokio::task::JoinSet;

struct Az<'a> {
    door: &'a Door,
    home: tempfile::TempDir,
}

impl Az<'_> {
    async fn run(&self, arguments: &str) -> Result<Value, String> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/azure-cli");
        let mut command = Command::new(tools.join("bin/python"));
        command.args(["-m", "azure.cli"]).args(arguments.split(' ')).args([
            "--only-show-errors",
            "-o",
            "json",
        ]);
        // The real one of the machine, if there is one, is left alone.
        command.env("HOME", self.home.path()).env("AZURE_CONFIG_DIR", self.home.path().join("azure"));
        command.env("AZURE_CORE_COLLECT_TELEMETRY", "no").kill_on_drop(true);
        command.env("REQUESTS_CA_BUNDLE", self.door.stack.door_authority.as_ref().unwrap());
        command.env("IDENTITY_ENDPOINT", self.door.link("/identity"));
        command.env("IDENTITY_HEADER", admin(&self.door.stack));
        let output = command.output().await.expect("run `cargo xtask tools` first");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(err.into_owned());
        }
        Ok(serde_json::from_str(&out).unwrap_or_default())
    }

    async fn does(&self, arguments: &str) -> Value {
        self.run(arguments).await.unwrap_or_else(|error| panic!("az {arguments}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_goes_through_what_the_reference_shows() {
    let door = Door::open_over_tls().await;
    let az = Az { door: &door, home: tempfile::tempdir().unwrap() };
    // A subscription is there as soon as anything is registered for it.
    door.send("POST", &door.feature("InGuestPatchVMPreview", "/register"), &[], None).await.expect(200);
    az.does(&format!("cloud register --name nightshift --endpoint-resource-manager {}", door.link(""))).await;
    az.does("cloud set --name nightshift").await;
    az.does("login --identity").await;

    let feature = "--namespace Microsoft.Compute --name InGuestAutoPatchVMPreview";
    az.does(&format!("feature register {feature}")).await;
    while az.does(&format!("feature show {feature}")).await["properties"]["state"] != "Registered" {}
    az.does("provider register --namespace Microsoft.Compute --wait").await;
    assert_eq!(
        az.does("provider show --namespace Microsoft.Compute").await["registrationState"],
        "Registered"
    );

    door.put(&vm("web", ""), &linux("ImageDefault")).await.expect(201);
    let settings = "osProfile.linuxConfiguration.patchSettings";
    let updated =
        az.does(&format!("vm update -g myGroup -n web --set {settings}.patchMode=AutomaticByPlatform")).await;
    let mode = &updated["osProfile"]["linuxConfiguration"]["patchSettings"]["patchMode"];
    assert_eq!(mode, "AutomaticByPlatform", "{updated:#}");
    let refused = az.run("vm assess-patches -g myGroup -n web").await.unwrap_err();
    assert!(refused.contains("OperationNotAllowed"), "{refused}");

    let mut agents = JoinSet::new();
    agents.spawn(agent(&door, VmId::new("web").unwrap()).await);
    enrolment::connected(&door.stack.servers, 1).await.unwrap();
    let assessed = az.does("vm assess-patches -g myGroup -n web").await;
    assert_eq!(assessed["status"], "Succeeded", "{assessed:#}");
    let seen = az.does("vm get-instance-view -g myGroup -n web").await;
    let summary = &seen["instanceView"]["patchStatus"]["availablePatchSummary"];
    assert_eq!(
        summary["criticalAndSecurityPatchCount"], assessed["criticalAndSecurityPatchCount"],
        "{seen:#}"
    );
    let classes = "--classifications-to-include-linux Critical Security";
    let installed = az
        .does(&format!("vm install-patches -g myGroup -n web --maximum-duration PT1H --reboot-setting IfRequired {classes}"))
        .await;
    assert_eq!(installed["status"], "Succeeded", "{installed:#}");
    assert!(installed["installedPatchCount"].as_u64().unwrap() > 0, "{installed:#}");
    let seen = az.does("vm get-instance-view -g myGroup -n web").await;
    let summary = &seen["instanceView"]["patchStatus"]["lastPatchInstallationSummary"];
    assert_eq!(summary["installedPatchCount"], installed["installedPatchCount"], "{seen:#}");
}
