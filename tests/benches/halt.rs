//! How soon a stop reaches every region: a rollout with 60 regions in their turns is paused and resumed again and again,
//! and the log says when the pause was recorded and when the last region's run was held. All services in one process, with
//! the log on disk. A halt for failures goes the same way. `cargo bench -p nightshift-tests --bench halt`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark says what is wrong by panicking")]

use nightshift_cli::stack::{Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::fleet::{Feature, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, Fact, RegionName, SubscriptionId, Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Clock;
use std::fmt::Write as _;
use std::time::Duration;

const REGIONS: usize = 60;
const VMS_EACH: usize = 20;
const STOPS: usize = 21;

fn vm(region: usize, number: usize) -> Vm {
    Vm {
        id: VmId::new(format!("vm-{region}-{number}")).unwrap(),
        subscription: SubscriptionId::new("sub").unwrap(),
        resource_group: "group".into(),
        region: RegionName::new(format!("region-{region}")).unwrap(),
        placement: Placement::Standalone,
        os: Os::Linux,
        image: Image { publisher: "Canonical".into(), offer: "UbuntuServer".into(), sku: "18.04-LTS".into() },
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: None,
        window: None,
        automatic_updates: None,
        assessment_mode: Default::default(),
        reboot: None,
        resource: None,
    }
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
    let request =
        api::StartRolloutRequest { rollout: "one".into(), policy: Some((&policy).into()), actor: actor() };
    planner.start_rollout(request).await.unwrap();
    newest(&stack, REGIONS, |event| matches!(event, Event::RunStarted { .. })).await;
    let mut took = Vec::with_capacity(STOPS);
    for stop in 1..=STOPS {
        let request = api::PauseRolloutRequest { rollout: "one".into(), actor: actor() };
        planner.pause_rollout(request).await.unwrap();
        let held = newest(&stack, stop * REGIONS, |event| matches!(event, Event::RunHeld { .. })).await;
        let paused = times(&stack, "rollout", |event| matches!(event, Event::RolloutPaused { .. })).await;
        took.push((held - *paused.last().unwrap()).num_microseconds().unwrap());
        let request = api::ResumeRolloutRequest { rollout: "one".into(), actor: actor() };
        planner.resume_rollout(request).await.unwrap();
        newest(&stack, stop * REGIONS, |event| matches!(event, Event::RunReleased { .. })).await;
    }
    took.sort_unstable();
    let ms = |micros: i64| micros as f64 / 1_000.0;
    println!(
        "{STOPS} stops over {REGIONS} regions: median {:.0} ms, longest {:.0} ms until the last region is held",
        ms(took[STOPS / 2]),
        ms(took[STOPS - 1])
    );
    stack.shutdown.cancel();
    stack.ended().await.unwrap();
}

/// When the newest such event of all regions was recorded, once there are so many.
async fn newest(stack: &Stack, many: usize, wanted: fn(&Event) -> bool) -> Time {
    for _ in 0..600 {
        let mut all = Vec::new();
        for region in 0..REGIONS {
            all.extend(times(stack, &format!("region.region-{region}"), wanted).await);
        }
        if all.len() >= many {
            return all.into_iter().max().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not all of {many} came within a minute")
}

async fn times(stack: &Stack, partition: &str, wanted: fn(&Event) -> bool) -> Vec<Time> {
    let mut console = clients::console(&stack.servers).await.unwrap();
    let request = api::ReadEventsRequest { partition: partition.into(), after: 0, follow: false };
    let mut events = console.read_events(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        let fact: Fact = Envelope::try_from(event.envelope.unwrap()).unwrap().fact().unwrap();
        if wanted(&fact.event) {
            found.push(fact.at);
        }
    }
    found
}
