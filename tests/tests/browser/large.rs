//! A fleet of 100,000 machines.

use crate::script;
use nightshift_cli::clients;
use nightshift_cli::stack::{Listen, Stack};
use nightshift_domain::Event;
use nightshift_domain::fleet::Feature;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Clock;
use nightshift_simulation::synthetic_fleet;

const VMS: usize = 100_000;
const REGIONS: usize = 60;

/// Whatever is touched answers in a moment, and the first view is small.
// As the services have in processes of their own, they have threads here: a mind that thinks keeps no page waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_hundred_thousand_machines_are_as_quick_as_a_hundred() {
    let _alone = script::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path().join("data"), Clock::system(), Listen::free()).await.unwrap();
    clients::fleet(&stack.servers).await.unwrap().declare_fleet(fleet()).await.unwrap();
    let actor = wire::Actor { name: "the test".into(), reason: "a large fleet".into() };
    let policy = nightshift_domain::policy::Policy::default();
    let request = api::StartRolloutRequest {
        rollout: "large".into(),
        policy: Some((&policy).into()),
        actor: Some(actor),
        ..Default::default()
    };
    clients::rollouts(&stack.servers).await.unwrap().start_rollout(request).await.unwrap();
    let token = std::fs::read_to_string(stack.servers.token_file.as_ref().unwrap()).unwrap();
    let told = [("VMS", &*VMS.to_string()), ("TOKEN", token.trim())];
    let outcome = script::run("large.mjs", &format!("http://{}/", stack.http), &told).await;
    stack.shutdown.cancel();
    stack.ended().await.unwrap();
    script::judge(outcome);
}

fn fleet() -> api::DeclareFleetRequest {
    let mut request = api::DeclareFleetRequest::default();
    for event in synthetic_fleet(VMS, REGIONS).unwrap() {
        match event {
            Event::TopologyDeclared { topology } => request.topology = Some((&topology).into()),
            Event::VmRegistered { vm } => request.vms.push((&vm).into()),
            Event::FeatureRegistered { subscription, feature } => {
                request.features.push(registration(subscription.to_string(), feature))
            }
            Event::FeatureRequested { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    request
}

fn registration(subscription: String, feature: Feature) -> api::FeatureRegistration {
    api::FeatureRegistration { subscription, feature: wire::Feature::from(feature).into() }
}
