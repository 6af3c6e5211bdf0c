//! How soon a stop reaches every region: a rollout with 60 regions in their turns is paused and resumed again and again.
//! Timed is from the call until a consumer of the log has seen the last region's run held. All services in one process, with
//! the log on disk. A halt for failures goes the same way. `cargo bench -p nightshift-tests --bench halt`.
#![allow(clippy::unwrap_used, reason = "a benchmark says what is wrong by panicking")]

mod fleet;

use nightshift_cli::stack::{Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::Event;
use nightshift_domain::fleet::{Feature, Vm};
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Clock;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const REGIONS: usize = 60;
const VMS_EACH: usize = 20;
const STOPS: usize = 21;

fn vm(region: usize, number: usize) -> Vm {
    let region_name = format!("region-{region}");
    fleet::vm(format!("vm-{region}-{number}"), "sub".into(), "group".into(), &region_name)
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path().join("data"), Clock::system(), Listen::free()).await.unwrap();
    let mut regions = String::new();
    for region in 0..REGIONS {
        writeln!(regions, "[[region]]\nname = \"region-{region}\"\ntime_zone = \"Etc/UTC\"").unwrap();
    }
    let mut declared = fleet_file::parse(&regions).unwrap().request();
    declared.vms = (0..REGIONS * VMS_EACH).map(|n| (&vm(n % REGIONS, n / REGIONS)).into()).collect();
    declared.features = vec![api::FeatureRegistration {
        subscription: "sub".into(),
        feature: wire::Feature::from(Feature::InGuestAutoPatchVMPreview).into(),
    }];
    clients::fleet(&stack.servers).await.unwrap().declare_fleet(declared).await.unwrap();
    let policy = Policy { phase_shares: vec![100], ..Policy::default() };
    let actor = || Some(wire::Actor { name: "bench".into(), reason: "how soon a stop arrives".into() });
    let mut planner = clients::rollouts(&stack.servers).await.unwrap();
    let request = api::StartRolloutRequest {
        rollout: "one".into(),
        policy: Some((&policy).into()),
        actor: actor(),
        ..Default::default()
    };
    planner.start_rollout(request).await.unwrap();
    let mut facts = follow(&stack).await;
    all_regions(&mut facts, |event| matches!(event, Event::RunStarted { .. })).await;
    let mut took = Vec::with_capacity(STOPS);
    for _ in 0..STOPS {
        let began = Instant::now();
        let request =
            api::PauseRolloutRequest { rollout: "one".into(), actor: actor(), ..Default::default() };
        planner.pause_rollout(request).await.unwrap();
        all_regions(&mut facts, |event| matches!(event, Event::RunHeld { .. })).await;
        took.push(began.elapsed());
        let request =
            api::ResumeRolloutRequest { rollout: "one".into(), actor: actor(), ..Default::default() };
        planner.resume_rollout(request).await.unwrap();
        all_regions(&mut facts, |event| matches!(event, Event::RunReleased { .. })).await;
    }
    took.sort_unstable();
    println!(
        "{STOPS} stops over {REGIONS} regions: median {} ms, longest {} ms from a person's call until the last region's hold is in the log",
        took[STOPS / 2].as_millis(),
        took[STOPS - 1].as_millis()
    );
    stack.shutdown.cancel();
    stack.ended().await.unwrap();
}

/// Everything that comes to be in any region's partition, as a consumer of its events sees it.
async fn follow(stack: &Stack) -> mpsc::UnboundedReceiver<Event> {
    let (seen, facts) = mpsc::unbounded_channel();
    for region in 0..REGIONS {
        let partition = format!("region.region-{region}");
        let request = api::ReadEventsRequest { partition, after: 0, follow: true, from: None };
        let mut console = clients::console(&stack.servers).await.unwrap();
        let mut events = console.read_events(request).await.unwrap().into_inner();
        let seen = seen.clone();
        tokio::spawn(async move {
            // Ends with the stack.
            while let Ok(Some(event)) = events.message().await {
                let envelope = Envelope::try_from(event.envelope.unwrap()).unwrap();
                if seen.send(envelope.fact().unwrap().event).is_err() {
                    return;
                }
            }
        });
    }
    facts
}

async fn all_regions(facts: &mut mpsc::UnboundedReceiver<Event>, wanted: fn(&Event) -> bool) {
    let mut left = REGIONS;
    while left > 0 {
        let event = tokio::time::timeout(Duration::from_secs(60), facts.recv()).await;
        left -= usize::from(wanted(&event.unwrap().unwrap()));
    }
}
