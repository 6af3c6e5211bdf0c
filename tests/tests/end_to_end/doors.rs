//! The doors for people and programs over TLS: gRPC and HTTP of five services, and what the console asks the others.

use crate::consumers;
use crate::demo::binary;
use crate::five::{Five, broker, until};
use crate::real_run::{alone, runtime};
use nightshift_cli::arguments::Servers;
use nightshift_cli::clients;
use nightshift_runtime::local_tls;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn who_trusts_the_authority_is_served_and_nobody_is_in_the_clear() {
    let _alone = alone();
    nightshift_runtime::crypto::install();
    let folder = tempfile::tempdir().unwrap();
    let (nats, users) = broker(folder.path(), &[]);
    let tls = local_tls::identity(folder.path(), HERE).unwrap();
    let five = Five::start_over_tls(folder.path(), &nats.url(), &users, tls);
    runtime().block_on(async {
        five.ready().await;
        consumers::declare(&five.servers, 1, 2).await;
        until("the command line sees the VMs", async || {
            let vms = nightshift(&five.servers, &["vm", "list"])?.as_array()?.len();
            (vms == 2).then_some(())
        })
        .await;

        // A wish comes through the HTTP door, and from there to its owner.
        let started =
            post(&five, "/v1/rollouts", &json!({ "rollout": "november", "reason": "it is time" })).await;
        assert_eq!(started["phases"].as_array().map(Vec::len), Some(2), "{started}");
        until("the rollout is seen", async || {
            let rollouts = nightshift(&five.servers, &["rollout", "list"])?;
            (rollouts[0]["rollout"] == "november").then_some(())
        })
        .await;

        let elsewhere = tempfile::tempdir().unwrap();
        let (_, stranger) = local_tls::identity(elsewhere.path(), HERE).unwrap();
        let trusting = Servers { ca: Some(stranger), ..five.servers.clone() };
        let error = clients::console(&trusting).await.unwrap_err().to_string();
        assert!(error.contains("invalid peer certificate"), "{error}");

        let clear = five.servers.console.replace("https", "http");
        let unprotected = Servers { console: clear, ..five.servers.clone() };
        let refused = command(&unprotected, &["vm", "list"]).output().unwrap();
        // In which words depends on who closes the connection first.
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    });
}

/// What the command line answers, as JSON; nothing while it is refused, which it says.
fn nightshift(servers: &Servers, words: &[&str]) -> Option<Value> {
    let output = command(servers, words).output().unwrap();
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

fn command(servers: &Servers, words: &[&str]) -> Command {
    let mut command = Command::new(binary("nightshift"));
    command.args(["--json", "--console", &servers.console, "--planner", &servers.planner]);
    command.arg("--ca").arg(servers.ca.as_ref().unwrap());
    command.arg("--token-file").arg(servers.token_file.as_ref().unwrap());
    command.args(words);
    command
}

async fn post(five: &Five, path: &str, body: &Value) -> Value {
    let authority = std::fs::read(five.servers.ca.as_ref().unwrap()).unwrap();
    let trusted = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
    let token = std::fs::read_to_string(five.servers.token_file.as_ref().unwrap()).unwrap();
    let request = client.post(format!("https://{}{path}", five.http)).bearer_auth(token.trim());
    let response =
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}
