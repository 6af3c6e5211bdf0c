//! A rollout of the demo, watched, halted, resumed.

use crate::script;
use nightshift_cli::demo::simulated::{EXAMPLE, SPEED, Simulated, policy};
use nightshift_cli::stack::Listen;
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::RegionName;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;

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
        let simulated =
            Simulated::start(&fleet, bad_region.as_ref(), data, Listen::free()).await.unwrap();
        simulated.clock.set_speed(SPEED);
        Self { _folder: folder, simulated }
    }

    fn page(&self) -> String {
        format!("http://{}/", self.simulated.stack.http)
    }
}

/// From an empty page through the preview to the report, the timeline and the auditor's verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_started_and_watched_to_its_end() {
    let _alone = script::alone().await;
    let night = Night::begin(None).await;
    script::run("watch.mjs", &night.page(), &[]).await;
    night.simulated.end().await.unwrap();
}

/// With the keyboard only, over a connection that is cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_is_seen_and_resumed_with_a_reason() {
    let _alone = script::alone().await;
    let night = Night::begin(Some("east-asia")).await;
    let actor = wire::Actor { name: "the test".into(), reason: "monthly patches".into() };
    let request = api::StartRolloutRequest {
        rollout: "monthly".into(),
        policy: Some((&policy()).into()),
        actor: Some(actor),
    };
    clients::rollouts(&night.simulated.stack.servers).await.unwrap().start_rollout(request).await.unwrap();
    script::run("halt.mjs", &night.page(), &[]).await;
    night.simulated.end().await.unwrap();
}
