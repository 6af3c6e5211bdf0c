//! A rollout of the demo, watched, halted, resumed.

use crate::script;
use nightshift_cli::arguments::Servers;
use nightshift_cli::demo::simulated::{EXAMPLE, SPEED, Simulated, policy};
use nightshift_cli::stack::Listen;
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::RegionName;
use nightshift_domain::policy::{Approvals, Policy};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::access::{Role, Wanted};
use std::time::Duration;

struct Night {
    _folder: tempfile::TempDir,
    simulated: Simulated,
}

impl Night {
    async fn begin(bad_region: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fleet = fleet_file::parse(EXAMPLE).unwrap();
        let bad_region = bad_region.map(|name| RegionName::new(name).unwrap());
        let data = folder.path().join("data");
        let simulated = Simulated::start(&fleet, bad_region.as_ref(), data, Listen::free()).await.unwrap();
        simulated.clock.set_speed(SPEED);
        Self { _folder: folder, simulated }
    }

    fn page(&self) -> String {
        format!("http://{}/", self.simulated.stack.http)
    }

    /// A token of this installation.
    fn token(&self, name: &str, role: Role) -> String {
        self.simulated.stack.issuer.issue(&Wanted::new(name, role, Duration::from_secs(3_600))).unwrap()
    }

    async fn start(&self, policy: &Policy) {
        let actor = wire::Actor { name: "the test".into(), reason: "monthly patches".into() };
        let request = api::StartRolloutRequest {
            rollout: "monthly".into(),
            policy: Some(policy.into()),
            actor: Some(actor),
            ..Default::default()
        };
        clients::rollouts(&self.simulated.stack.servers).await.unwrap().start_rollout(request).await.unwrap();
    }
}

/// Has patches installed on a machine, in the name of this token, as soon as the rollout has halted.
async fn install_once_halted(mut servers: Servers, token: String, vm: &'static str) {
    (servers.token_file, servers.token) = (None, Some(token));
    let mut console = clients::console(&servers).await.unwrap();
    let mut state = async || {
        let found = console.get_rollout(api::GetRolloutRequest { rollout: "monthly".into() }).await;
        found.ok().and_then(|found| found.into_inner().rollout).map(|rollout| rollout.state())
    };
    while state().await != Some(api::RolloutState::Halted) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let request = api::InstallPatchesRequest {
        rollout: "urgent".into(),
        vm: vm.into(),
        within_seconds: 7 * 24 * 60 * 60,
        actor: Some(wire::Actor { name: "the test".into(), reason: "the release of noon".into() }),
        ..Default::default()
    };
    clients::rollouts(&servers).await.unwrap().install_patches(request).await.unwrap();
}

/// From an empty page through the preview to the report, the timeline and the auditor's verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_started_and_watched_to_its_end() {
    let _alone = script::alone().await;
    let night = Night::begin(None).await;
    let token = night.token("olga", Role::Operator);
    let outcome = script::run("watch.mjs", &night.page(), &[("TOKEN", &token)]).await;
    night.simulated.end().await.unwrap();
    script::judge(outcome);
}

/// With the keyboard only, over a connection that is cut; and what somebody has installed beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_is_seen_and_resumed_with_a_reason() {
    let _alone = script::alone().await;
    let night = Night::begin(Some("east-asia")).await;
    night.start(&policy()).await;
    let token = night.token("olga", Role::Operator);
    // In the halted region's geo-pair, which waits for the region's turn: as long as the halt lasts.
    let (servers, vm) = (night.simulated.stack.servers.clone(), "sea-app-01");
    let installing = tokio::spawn(install_once_halted(servers, token.clone(), vm));
    let outcome = script::run("halt.mjs", &night.page(), &[("TOKEN", &token), ("INSTALL", vm)]).await;
    installing.abort();
    night.simulated.end().await.unwrap();
    script::judge(outcome);
}

/// Who started it may not let its next phase begin; a second person may.
#[tokio::test(flavor = "multi_thread")]
async fn a_phase_waits_for_a_second_person() {
    let _alone = script::alone().await;
    let night = Night::begin(None).await;
    night.start(&Policy { approvals: Approvals::BetweenPhases, ..policy() }).await;
    let (operator, approver) = (night.token("olga", Role::Operator), night.token("april", Role::Approver));
    let tokens = [("TOKEN", operator.as_str()), ("APPROVER", approver.as_str())];
    let outcome = script::run("approve.mjs", &night.page(), &tokens).await;
    night.simulated.end().await.unwrap();
    script::judge(outcome);
}
