//! The OpenAPI document and what is served agree, whatever anybody asks: schemathesis tries.

use crate::door::{Door, SUBSCRIPTION, admin, linux, vm};
use std::path::Path;
use tokio::process::Command;

/// What is checked of every answer; the codes of refusals have their own test.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_schemathesis_asks_breaks_the_document() {
    let door = Door::open().await;
    door.opt_in().await;
    door.put(&vm("web", ""), &linux("AutomaticByPlatform")).await.expect(201);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/schemathesis");
    // Most of what is asked is about something that is there; the rest is made up.
    let folder = tempfile::tempdir().unwrap();
    let known = format!(
        "[parameters]\n\"path.subscriptionId\" = \"{SUBSCRIPTION}\"\n\"path.resourceGroupName\" = \"myGroup\"\n"
    );
    std::fs::write(folder.path().join("schemathesis.toml"), known).unwrap();
    let mut command = Command::new(tools.join("bin/schemathesis"));
    command.args([
        "run",
        &door.link("/openapi.json"),
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing",
    ]);
    command.arg("--header").arg(format!("Authorization: Bearer {}", admin(&door.stack)));
    command.args(["--max-examples", "15", "--seed", "1", "--no-color"]);
    command.current_dir(folder.path()).kill_on_drop(true);
    let output = command.output().await.expect("run `cargo xtask tools` first");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let document = door.get("/openapi.json").await.expect(200).body;
    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert!(said.contains(&format!("Tested: {operations}\n")), "{said}");
}
