//! A long-running operation of the REST door, whose console is killed while it runs.

use crate::consumers;
use crate::five::{Five, broker, until};
use crate::real_run::{alone, runtime};
use nightshift_agent::config::Config;
use nightshift_agent::run::{back_end, run as run_agent};
use nightshift_cli::enrolment;
use nightshift_domain::VmId;
use nightshift_runtime::Clock;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const VM: &str =
    "/subscriptions/web/resourceGroups/group/providers/Microsoft.Compute/virtualMachines/machine";

#[test]
fn an_assessment_is_answered_for_truthfully_by_a_console_that_was_killed_meanwhile() {
    let _alone = alone();
    nightshift_runtime::crypto::install();
    let folder = tempfile::tempdir().unwrap();
    let (nats, users) = broker(folder.path(), &[]);
    let mut five = Five::start(folder.path(), &nats.url(), &users);
    runtime().block_on(async {
        five.ready().await;
        consumers::declare(&five.servers, 1, 1).await;
        let token = std::fs::read_to_string(five.servers.token_file.as_ref().unwrap()).unwrap();
        let door = Door { base: format!("http://{}", five.http), token };
        let body = json!({ "location": "west", "properties": {
            "storageProfile": { "imageReference": {
                "publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS", "version": "latest" } },
            "osProfile": { "linuxConfiguration": { "patchSettings": { "patchMode": "ImageDefault" } } } } });
        let vm = until("the VM can be put", async || {
            let (status, _, vm) = door.send("PUT", &format!("{VM}?api-version=2020-12-01"), Some(&body)).await?;
            // Until the console has read of the region.
            if status != 201 {
                println!("{status} {vm}");
            }
            (status == 201).then_some(vm)
        })
        .await;
        let id = VmId::new(vm["properties"]["vmId"].as_str().unwrap()).unwrap();
        // It is known, and away: somebody else's night.
        let agent = Agent::start(&five, &id).await;
        enrolment::connected(&five.servers, 1).await.unwrap();
        agent.end().await;
        let assess = format!("{VM}/assessPatches?api-version=2020-12-01");
        let (status, operation, said) = door.send("POST", &assess, None).await.unwrap();
        assert_eq!(status, 202, "{said}");
        let operation = operation.expect("Azure-AsyncOperation");
        let state = async || {
            let (status, _, body) = door.send("GET", &operation, None).await?;
            assert_eq!(status, 200, "{body}");
            body["status"].as_str().map(str::to_owned)
        };
        assert_eq!(state().await.unwrap(), "InProgress");

        // Nobody has answered yet: so says the console that comes after it.
        five.kill("console");
        five.ready().await;
        assert_eq!(until("it answers", state).await, "InProgress");

        // The agent answers while there is no console that could see it.
        let agent = Agent::start(&five, &id).await;
        five.kill("console");
        five.ready().await;
        let end = until("it has ended", async || state().await.filter(|state| state != "InProgress")).await;
        assert_eq!(end, "Succeeded");
        let (_, _, answer) = door.send("GET", &operation, None).await.unwrap();
        five.kill("console");
        five.ready().await;
        let again = until("it answers", async || door.send("GET", &operation, None).await).await;
        assert_eq!(again.2, answer, "what it was, it stays");
        agent.end().await;
    });
}

/// The agent of a simulated machine.
struct Agent {
    running: JoinHandle<Result<(), nightshift_agent::run::AgentError>>,
    shutdown: CancellationToken,
}

impl Agent {
    async fn start(five: &Five, vm: &VmId) -> Self {
        let issued = enrolment::tokens(&five.servers, [vm]).await.unwrap().remove(0);
        let order_keys = enrolment::order_keys(&five.servers).await.unwrap();
        let gateway = format!("https://{}", five.agents);
        let config = Config::simulated(vm.clone(), gateway, issued.token, issued.authority_pem, order_keys);
        let (clock, shutdown) = (Clock::system(), CancellationToken::new());
        let machine = back_end(&config, &clock).unwrap();
        let running = tokio::spawn(run_agent(config, machine, clock, shutdown.clone()));
        Self { running, shutdown }
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

struct Door {
    base: String,
    token: String,
}

impl Door {
    /// Status, the operation's address if there is one, and the body; nothing if the console does not answer.
    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Option<String>, Value)> {
        let link = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request =
            reqwest::Client::new().request(method.parse().unwrap(), link).bearer_auth(self.token.trim());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let operation = response.headers().get("azure-asyncoperation");
        let operation = operation.map(|link| link.to_str().unwrap().to_owned());
        let text = response.text().await.ok()?;
        Some((status, operation, serde_json::from_str(&text).unwrap_or_default()))
    }
}
