//! What the page asks for, asked without it: over HTTP and gRPC, by who may see everything and by who may not.

use nightshift_cli::demo::simulated::EXAMPLE;
use nightshift_cli::stack::{Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::SubscriptionId;
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Clock;
use nightshift_runtime::access::{Role, Wanted};
use serde_json::Value;
use std::time::Duration;

struct Desk {
    _folder: tempfile::TempDir,
    stack: Stack,
}

impl Desk {
    /// The demo's fleet without agents, and a rollout over it.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stack = Stack::start(folder.path().join("data"), Clock::system(), Listen::free()).await.unwrap();
        let fleet = fleet_file::parse(EXAMPLE).unwrap();
        clients::fleet(&stack.servers).await.unwrap().declare_fleet(fleet.request()).await.unwrap();
        let request = api::StartRolloutRequest {
            rollout: "monthly".into(),
            policy: Some((&Policy::default()).into()),
            actor: Some(wire::Actor { name: "the test".into(), reason: "to be looked at".into() }),
            ..Default::default()
        };
        clients::rollouts(&stack.servers).await.unwrap().start_rollout(request).await.unwrap();
        let desk = Self { _folder: folder, stack };
        let admin = desk.token(Role::Admin, None);
        // The console reads of it in the log.
        while desk.get("overview?rollout=monthly", &admin).await.0 != 200 {
            tokio::task::yield_now().await;
        }
        desk
    }

    fn token(&self, role: Role, subscription: Option<&str>) -> String {
        let subscriptions = subscription.map(|name| vec![SubscriptionId::new(name).unwrap()]);
        let wanted = Wanted { subscriptions, ..Wanted::new("somebody", role, Duration::from_secs(3_600)) };
        self.stack.issuer.issue(&wanted).unwrap()
    }

    async fn send(&self, path: &str, token: &str, last: &str) -> reqwest::Response {
        let request = reqwest::Client::new().get(format!("http://{}/v1/{path}", self.stack.http));
        request.bearer_auth(token).header("last-event-id", last).send().await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let response = self.send(path, token, "").await;
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    /// The live events, for who knows all up to this one.
    async fn live(&self, token: &str, last: &str) -> Live {
        Live { response: self.send("overview/live", token, last).await, heard: Vec::new() }
    }

    async fn first_live(&self, token: &str, last: &str) -> Value {
        self.live(token, last).await.next().await
    }

    /// Has patches installed on this machine; without its agent that waits.
    async fn install(&self, vm: &str) {
        let request = api::InstallPatchesRequest {
            rollout: format!("urgent-{vm}"),
            vm: vm.into(),
            within_seconds: 7 * 24 * 60 * 60,
            actor: Some(wire::Actor { name: "the test".into(), reason: "it cannot wait".into() }),
            ..Default::default()
        };
        clients::rollouts(&self.stack.servers).await.unwrap().install_patches(request).await.unwrap();
    }

    async fn close(self) {
        self.stack.shutdown.cancel();
        self.stack.ended().await.unwrap();
    }
}

struct Live {
    response: reqwest::Response,
    heard: Vec<u8>,
}

impl Live {
    async fn next(&mut self) -> Value {
        loop {
            let end = self.heard.windows(2).position(|two| two == b"\n\n");
            if let Some(end) = end {
                let event: Vec<u8> = self.heard.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                return serde_json::from_str(data).unwrap();
            }
            self.heard.extend(self.response.chunk().await.unwrap().unwrap());
        }
    }

    /// Goes on until these machines, and no others, have patches installed on demand.
    async fn until_installs(&mut self, vms: &[&str]) -> Value {
        let wait = async {
            loop {
                let seen = self.next().await;
                if installs(&seen) == vms {
                    return seen;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never {vms:?}"))
    }
}

/// The machines on which an answer says that patches are installed on demand.
fn installs(seen: &Value) -> Vec<&str> {
    let installs = seen["overview"]["installs"].as_array().unwrap();
    installs.iter().map(|install| install["vm"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_one_subscription_sees_no_other() {
    let desk = Desk::open().await;
    let (all, bank) = (desk.token(Role::Reader, None), desk.token(Role::Reader, Some("bank")));
    let total = async |token: &str, filter: &str| {
        let (status, found) = desk.get(&format!("vms?filter={filter}"), token).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(found["vms"].as_array().unwrap().len() as u64, found["total"].as_u64().unwrap());
        found["total"].as_u64().unwrap()
    };
    assert_eq!(total(&all, "").await, 300);
    let theirs = total(&all, "subscription:bank").await;
    assert!(theirs > 0 && theirs < 300);
    assert_eq!(total(&bank, "").await, theirs);
    assert_eq!(total(&bank, "subscription:retail").await, 0);
    // One machine of theirs, and one of another's.
    for (path, seen, not_seen) in [("history", 200, 404), ("signals", 200, 404), ("explain", 200, 404)] {
        assert_eq!(desk.get(&format!("vms/weu-db-01/{path}"), &bank).await.0, seen, "{path}");
        assert_eq!(desk.get(&format!("vms/weu-web-01/{path}"), &bank).await.0, not_seen, "{path}");
    }
    // What names everybody's machines.
    for path in ["topology", "timeline", "report", "report/machines.csv", "compliance", "audit"] {
        assert_eq!(desk.get(path, &bank).await.0, 403, "{path}");
        assert_eq!(desk.send(path, &all, "").await.status(), 200, "{path}");
        assert_eq!(desk.send(path, "nonsense", "").await.status(), 401, "{path}");
    }
    assert_eq!(desk.get("overview", &bank).await.0, 200);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_only_what_changed() {
    let desk = Desk::open().await;
    let reader = desk.token(Role::Reader, None);
    let whole = desk.first_live(&reader, "").await;
    assert_eq!((whole["whole"].as_bool(), whole["regions"].as_array().unwrap().len()), (Some(true), 6));
    let id = whole["id"].as_str().unwrap();
    let again = desk.first_live(&reader, id).await;
    assert_eq!(again["whole"], false);
    assert!(again["regions"].as_array().unwrap().len() < 6, "nothing is told twice");
    // What another console, or nobody, gave out is no place to go on from.
    for strange in ["0.1.monthly", "nonsense", "99999999999999999999"] {
        assert_eq!(desk.first_live(&reader, strange).await["whole"], true, "{strange}");
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_moment_is_seen_as_it_was() {
    let desk = Desk::open().await;
    let reader = desk.token(Role::Reader, None);
    let (_, now) = desk.get("overview", &reader).await;
    let requested = now["overview"]["requestedAt"].as_str().unwrap();
    let at = |time: &str| format!("overview?rollout=monthly&at={}", time.replace('+', "%2B"));
    let (status, then) = desk.get(&at(requested), &reader).await;
    assert_eq!((status, then["overview"]["deeds"].as_array().unwrap().len()), (200, 1));
    assert_eq!(desk.get(&at("2020-01-01T00:00:00Z"), &reader).await.0, 404, "it was not there yet");
    // The other way round, too: what was folded last is no obstacle.
    assert_eq!(desk.get(&at(requested), &reader).await.0, 200);
    assert_eq!(desk.get("overview?at=yesterday", &reader).await.0, 400);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_on_demand_is_told_to_who_may_see_the_machine() {
    let desk = Desk::open().await;
    let (all, bank) = (desk.token(Role::Reader, None), desk.token(Role::Reader, Some("bank")));
    let lab = desk.token(Role::Reader, Some("lab"));
    let (mut of_all, mut of_bank) = (desk.live(&all, "").await, desk.live(&bank, "").await);
    of_all.until_installs(&[]).await;
    desk.install("weu-web-02").await;
    desk.install("weu-db-01").await;
    // Whoever watches is told, also of what is in no region of theirs.
    let seen = of_all.until_installs(&["weu-web-02", "weu-db-01"]).await;
    assert_eq!(seen["whole"], false);
    of_bank.until_installs(&["weu-db-01"]).await;
    let (_, found) = desk.get("overview", &bank).await;
    assert_eq!((installs(&found), &found["overview"]["allInstalls"]), (vec!["weu-db-01"], &1.into()));
    let install = &found["overview"]["installs"][0];
    assert_eq!(
        (&install["rollout"], &install["region"]),
        (&"urgent-weu-db-01".into(), &"west-europe".into())
    );
    assert_eq!(install["progress"], "VM_PROGRESS_WAITING");
    assert_eq!(install["actor"]["reason"], "it cannot wait");
    assert!(!install["why"].as_str().unwrap().is_empty(), "{install}");
    let (_, found) = desk.get("overview", &lab).await;
    assert_eq!((installs(&found), &found["overview"]["allInstalls"]), (vec![], &0.into()));

    // As it was when only the first had been asked for.
    let first = seen["overview"]["installs"][0]["requestedAt"].as_str().unwrap().replace('+', "%2B");
    let (_, then) = desk.get(&format!("overview?at={first}"), &all).await;
    assert_eq!(installs(&then), ["weu-web-02"]);
    let (_, then) = desk.get(&format!("overview?at={first}"), &bank).await;
    assert!(installs(&then).is_empty());

    // What is over is gone; and a report is of one rollout.
    let actor = Some(wire::Actor { name: "the test".into(), reason: "it can wait".into() });
    let cancel =
        api::CancelRolloutRequest { rollout: "urgent-weu-web-02".into(), actor, ..Default::default() };
    clients::rollouts(&desk.stack.servers).await.unwrap().cancel_rollout(cancel).await.unwrap();
    of_all.until_installs(&["weu-db-01"]).await;
    assert!(installs(&desk.get("report", &all).await.1).is_empty());
    desk.close().await;
}
