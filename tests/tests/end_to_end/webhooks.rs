//! Signed webhooks with a real receiver that does everything that receivers do, and a console that is killed: nothing is
//! lost, order is kept, nobody is held up by another, and each signature is what the convention says.

use crate::consumers;
use crate::demo::binary;
use crate::five::{Five, broker, until};
use crate::real_run::{alone, runtime};
use nightshift_cli::arguments::Servers;
use nightshift_cli::clients;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY";

#[test]
fn whatever_a_receiver_does_it_has_every_event_in_order_in_the_end() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (nats, users) = broker(folder.path(), &[]);
    let mut stubborn = Receiver::start(folder.path(), "stubborn");
    let steady = Receiver::start(folder.path(), "steady");
    let choosy = Receiver::start(folder.path(), "choosy");
    let webhooks = [
        stubborn.webhook("from = \"beginning\""),
        steady.webhook("from = \"beginning\""),
        choosy.webhook("partitions = [\"fleet\", \"region.*\"]\ntypes = [\"VmRemoved\"]"),
    ];
    let mut five = Five::start_with(folder.path(), &nats.url(), &users, &webhooks.concat());
    runtime().block_on(async {
        five.ready().await;
        let servers = five.servers.clone();
        let events = declare(&servers, 0, 30).await;
        // It begins now: what there is already it is not sent.
        let begun = "a place to begin is kept";
        until(begun, async || folder.path().join("console/webhooks/choosy.json").exists().then_some(()))
            .await;
        until("all is taken", async || (stubborn.taken().len() >= events).then_some(())).await;

        // Every way to fail, with new events on the way.
        for (round, (mode, says)) in
            (1..).zip([("fail", "500"), ("slow", "timed out"), ("elsewhere", "redirects are not followed")])
        {
            stubborn.be(mode);
            let before = stubborn.seen().len();
            let events = declare(&servers, round, 10).await;
            until("the receiver was tried twice", async || {
                (stubborn.seen().len() >= before + 2).then_some(())
            })
            .await;
            let why = format!("{mode} is told");
            let told = until(&why, async || {
                let told = list(&servers).await.remove("stubborn").unwrap();
                told.why.contains(says).then_some(told)
            })
            .await;
            assert_eq!(told.state(), api::WebhookState::Retrying, "{told:?}");
            let fleet = told.partitions.iter().find(|partition| partition.partition == "fleet").unwrap();
            assert!(fleet.behind_by >= 10 && fleet.failing_since.is_some(), "{fleet:?}");
            // Nobody else is held up.
            until("the others go on", async || (steady.taken().len() >= events).then_some(())).await;
        }
        assert!(stubborn.seen().iter().all(|seen| seen["path"] == "/hook"), "a redirect was followed");

        // Both ends die while it is carried on.
        stubborn.be("ok");
        let before = stubborn.taken().len();
        declare(&servers, 4, 100).await;
        until("it goes on", async || (stubborn.taken().len() > before + 20).then_some(())).await;
        stubborn.kill9();
        five.kill("console");
        five.ready().await;
        until("the receiver is missed", async || {
            let told = list(&servers).await.remove("stubborn").unwrap();
            told.why.contains("error sending request").then_some(())
        })
        .await;
        stubborn.live();
        let before = stubborn.taken().len();
        until("it goes on", async || (stubborn.taken().len() > before + 10).then_some(())).await;
        five.kill("console");
        five.ready().await;

        // A receiver that asks for patience gets it.
        stubborn.be("busy");
        let before = stubborn.seen().len();
        let events = declare(&servers, 5, 5).await;
        until("it was asked for patience twice", async || {
            let busy = stubborn.seen().split_off(before).into_iter().filter(|seen| seen["status"] == 429);
            (busy.count() >= 2).then_some(())
        })
        .await;
        let busy: Vec<Value> =
            stubborn.seen().split_off(before).into_iter().filter(|seen| seen["status"] == 429).collect();
        assert_eq!(busy[0]["id"], busy[1]["id"]);
        assert!(busy[1]["at"].as_f64().unwrap() - busy[0]["at"].as_f64().unwrap() >= 3.0, "{busy:?}");
        stubborn.be("ok");
        until("all is taken", async || (stubborn.taken().len() >= events).then_some(())).await;

        // Gone is for good, also over a death, until a person says otherwise.
        stubborn.be("gone");
        let events = declare(&servers, 6, 5).await;
        let stopped = async || {
            let told = list(&servers).await.remove("stubborn").unwrap();
            (told.state() == api::WebhookState::Stopped).then_some(told)
        };
        let told = until("it is stopped", stopped).await;
        assert!(told.why.contains("410 Gone"), "{told:?}");
        until("the stop is kept", async || {
            let kept = fs::read_to_string(folder.path().join("console/webhooks/stubborn.json")).unwrap();
            kept.contains("\"gone\":{").then_some(())
        })
        .await;
        five.kill("console");
        five.ready().await;
        let tried = stubborn.seen().len();
        until("the others go on", async || (steady.taken().len() >= events).then_some(())).await;
        until("it is stopped", stopped).await;
        assert_eq!(stubborn.seen().len(), tried, "nothing is sent to who is gone");
        stubborn.be("ok");
        fs::write(&stubborn.secrets, format!("{SECRET}\n{NEXT_SECRET}\n")).unwrap();
        let retried = Command::new(binary("nightshift"))
            .args(["webhook", "retry", "stubborn", "--console", &servers.console, "--token-file"])
            .arg(servers.token_file.as_ref().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&retried.stderr);
        assert!(retried.status.success(), "{said}");
        until("all is taken", async || (stubborn.taken().len() >= events).then_some(())).await;

        // While a secret is replaced there are two signatures, and each is right.
        let rotated = stubborn.seen().pop().unwrap();
        assert_eq!((&rotated["signatures"], &rotated["verified"]), (&json!(2), &json!(2)));
        assert!(steady.seen().iter().all(|seen| seen["signatures"] == 1 && seen["verified"] == 1));
        remove(&servers, "vm-1-0").await;
        until("what is chosen comes", async || (!choosy.seen().is_empty()).then_some(())).await;
        let chosen: Vec<Value> = choosy.seen().into_iter().map(|seen| seen["body"]["type"].clone()).collect();
        assert_eq!(chosen, ["nightshift.v1.VmRemoved"]);

        let log = log(&servers).await;
        for receiver in [&stubborn, &steady] {
            until("all is taken", async || (receiver.taken().len() >= log.len()).then_some(())).await;
            receiver.check(&log);
        }
    });
}

/// So many more VMs; how many events the log has then.
async fn declare(servers: &Servers, round: usize, count: usize) -> usize {
    consumers::declare(servers, round, count).await;
    log(servers).await.len()
}

async fn remove(servers: &Servers, vm: &str) {
    let request = api::RemoveVmRequest { vm: vm.into(), ..Default::default() };
    clients::fleet(servers).await.unwrap().remove_vm(request).await.unwrap();
}

/// The log: partition, and the event as it is sent.
async fn log(servers: &Servers) -> Vec<(String, Value)> {
    let mut console = clients::console(servers).await.unwrap();
    let listed = console.list_partitions(api::ListPartitionsRequest::default()).await.unwrap().into_inner();
    let mut events = Vec::new();
    for partition in listed.partitions {
        let request =
            api::ReadEventsRequest { partition: partition.clone(), after: 0, follow: false, from: None };
        let mut read = console.read_events(request).await.unwrap().into_inner();
        while let Some(event) = read.message().await.unwrap() {
            let envelope = Envelope::try_from(event.envelope.unwrap()).unwrap();
            let mut document = event_json(&envelope).unwrap();
            document["partition"] = json!(partition);
            document["position"] = json!(event.position.to_string());
            events.push((partition.clone(), document));
        }
    }
    events
}

async fn list(servers: &Servers) -> BTreeMap<String, api::Webhook> {
    let mut console = clients::webhooks(servers).await.unwrap();
    let listed = console.list_webhooks(api::ListWebhooksRequest {}).await.unwrap().into_inner();
    listed.webhooks.into_iter().map(|webhook| (webhook.webhook.clone(), webhook)).collect()
}

/// A receiver in a process of its own.
struct Receiver {
    name: &'static str,
    port: u16,
    mode: PathBuf,
    secrets: PathBuf,
    record: PathBuf,
    process: Child,
}

impl Receiver {
    fn start(folder: &Path, name: &'static str) -> Self {
        let at = |ending: &str| folder.join(format!("{name}.{ending}"));
        let (mode, secrets, record) = (at("mode"), at("secrets"), at("record"));
        fs::write(&mode, "ok").unwrap();
        fs::write(&secrets, format!("{SECRET}\n")).unwrap();
        fs::write(&record, "").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = spawn(port, &mode, &secrets, &record);
        Self { name, port, mode, secrets, record, process }
    }

    /// Its part of the console's configuration.
    fn webhook(&self, more: &str) -> String {
        format!(
            "[[service.webhooks]]\nname = \"{}\"\nurl = \"http://127.0.0.1:{}/hook\"\nsecret_file = \"{}\"\n\
             timeout_seconds = 1\nlongest_wait_seconds = 1\n{more}\n",
            self.name,
            self.port,
            self.secrets.display()
        )
    }

    /// What it does from now on.
    fn be(&self, mode: &str) {
        let part = self.mode.with_extension("part");
        fs::write(&part, mode).unwrap();
        fs::rename(part, &self.mode).unwrap();
    }

    fn kill9(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn live(&mut self) {
        self.process = spawn(self.port, &self.mode, &self.secrets, &self.record);
    }

    /// All that it was sent.
    fn seen(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.record).unwrap();
        let whole = text.lines().filter(|line| line.ends_with('}'));
        whole.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events that it took, by their ids.
    fn taken(&self) -> BTreeSet<String> {
        let taken = self.seen().into_iter().filter(|seen| seen["taken"] == true);
        taken.map(|seen| seen["id"].as_str().unwrap().to_owned()).collect()
    }

    /// It took the log: everything, each partition in its order, each event as it is and signed.
    fn check(&self, log: &[(String, Value)]) {
        let mut known = BTreeSet::new();
        let mut taken: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for seen in self.seen() {
            assert!(seen["verified"].as_u64().unwrap() >= 1, "{seen}");
            assert_eq!(seen["id"], seen["body"]["id"]);
            assert_eq!(seen["content_type"], "application/cloudevents+json; charset=utf-8");
            // What was answered with a success may come again after a death: the same, with the same id.
            if seen["taken"] == true && known.insert(seen["id"].to_string()) {
                let partition = seen["body"]["partition"].as_str().unwrap().to_owned();
                taken.entry(partition).or_default().push(seen["body"].clone());
            }
        }
        let mut wanted: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (partition, event) in log {
            wanted.entry(partition.clone()).or_default().push(event.clone());
        }
        assert_eq!(taken, wanted, "{}", self.name);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, mode: &Path, secrets: &Path, record: &Path) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/tools/event-stream/bin/python");
    let mut command = Command::new(&python);
    command
        .arg(root.join("tests/end_to_end/receiver.py"))
        .arg(port.to_string())
        .args([mode, secrets, record]);
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask tools`", python.display()))
}
