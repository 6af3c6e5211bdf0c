//! Six real machines, patched by the services in every shape that they are deployed in.

use crate::five::{Five, NAMES, broker};
use nightshift_audit::Report;
use nightshift_cli::arguments::Servers;
use nightshift_cli::real_fleet::{FAILS, MachineReport, REBOOTS, RealFleet};
use nightshift_cli::stack::{Listen, Stack};
use nightshift_cli::{audit, clients};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Clock;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One heavy test at a time: there are two cores.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run ends within this time, or the test fails.
const LONGEST: Duration = Duration::from_secs(300);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

pub fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub fn prepare(folder: &Path) -> RealFleet {
    let agent = crate::demo::binary("nightshift-agent").display().to_string();
    RealFleet::prepare(&folder.join("machines"), &[&agent]).unwrap()
}

#[test]
fn on_sled_in_one_process() {
    let _alone = alone();
    let folder = open_folder();
    let mut fleet = prepare(folder.path());
    runtime().block_on(async {
        let stack =
            Stack::start(folder.path().join("services"), Clock::system(), Listen::free()).await.unwrap();
        fleet.go_live(&stack.servers, stack.agents).await.unwrap();
        start(&stack.servers).await;
        let rollout = until_over(&stack.servers, async |_| {}).await.unwrap();
        check(&rollout, &audit::run(&stack.servers).await.unwrap(), &fleet.inspect().unwrap());
        stack.shutdown.cancel();
        stack.ended().await.unwrap();
    });
}

#[test]
fn as_five_processes_on_nats() {
    let _alone = alone();
    on_nats(async |_, _| {});
}

#[test]
fn as_five_processes_each_of_which_is_killed_at_a_random_moment() {
    let _alone = alone();
    let seed = std::env::var("NIGHTSHIFT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("NIGHTSHIFT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut order = NAMES.to_vec();
    order.shuffle(&mut rng);
    let mut next = Instant::now() + Duration::from_secs(2);
    on_nats(async |five: &mut Five, looked: Instant| {
        if looked >= next
            && let Some(name) = order.pop()
        {
            println!("kill -9 {name}");
            five.kill(name);
            next = looked + Duration::from_millis(rng.random_range(3_000..9_000));
        }
    });
    assert!(order.is_empty(), "the run was over before {order:?} were killed");
}

fn on_nats(mut meanwhile: impl AsyncFnMut(&mut Five, Instant)) {
    let folder = open_folder();
    let (nats, users) = broker(folder.path(), &[]);
    let mut fleet = prepare(folder.path());
    let mut five = Five::start(folder.path(), &nats.url(), &users);
    runtime().block_on(async {
        five.ready().await;
        fleet.go_live(&five.servers, five.agents).await.unwrap_or_else(|e| panic!("{e:#}\n{}", five.said()));
        start(&five.servers).await;
        let servers = five.servers.clone();
        let over = until_over(&servers, async |looked| meanwhile(&mut five, looked).await).await;
        let rollout = over.unwrap_or_else(|last| panic!("{last:#?}\n{}", five.said()));
        five.ready().await;
        check(&rollout, &audit::run(&servers).await.unwrap(), &fleet.inspect().unwrap());
    });
}

async fn start(servers: &Servers) {
    start_with(servers, &RealFleet::policy()).await;
}

pub async fn start_with(servers: &Servers, policy: &nightshift_domain::policy::Policy) {
    let request = api::StartRolloutRequest {
        rollout: "real".into(),
        policy: Some(policy.into()),
        actor: Some(wire::Actor { name: "test".into(), reason: "the main job".into() }),
        ..Default::default()
    };
    clients::rollouts(servers).await.unwrap().start_rollout(request).await.unwrap();
}

/// Looks at the rollout until it ends, or for too long; a console that is being restarted is asked again.
pub async fn until_over(
    servers: &Servers,
    mut meanwhile: impl AsyncFnMut(Instant),
) -> Result<api::RolloutView, Option<api::RolloutView>> {
    let end = Instant::now() + LONGEST;
    let mut last = None;
    while Instant::now() < end {
        meanwhile(Instant::now()).await;
        if let Ok(mut console) = clients::console(servers).await
            && let Ok(response) = console.get_rollout(api::GetRolloutRequest { rollout: "real".into() }).await
        {
            let rollout = response.into_inner().rollout.unwrap();
            if matches!(rollout.state(), api::RolloutState::Completed | api::RolloutState::Halted) {
                return Ok(rollout);
            }
            last = Some(rollout);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(last)
}

fn check(rollout: &api::RolloutView, audit: &Report, machines: &[MachineReport]) {
    assert_eq!(rollout.state(), api::RolloutState::Completed, "{}", rollout.why);
    let tally = rollout.tally.unwrap();
    assert_eq!((tally.healthy, tally.failed, tally.skipped, tally.deferred), (5, 1, 0, 0), "{rollout:#?}");
    assert!(audit.violations.is_empty(), "{audit}");
    assert_eq!(machines.len(), 6);
    let managers: BTreeSet<&str> = machines.iter().map(|machine| machine.manager).collect();
    assert_eq!(managers, ["apt", "dnf", "zypper"].into());
    for machine in machines {
        let package = |name: &str| machine.packages[name].as_str();
        let place = &machine.vm;
        // Security, and of two newer versions the one that is.
        assert_eq!(package("fx-sec"), "1.1", "{place}");
        assert_eq!(package("fx-both"), "1.1", "{place}");
        assert_eq!(package("fx-app"), "1.1", "{place}");
        // Other, held, and what would remove another.
        assert_eq!(package("fx-plain"), "1.0", "{place}");
        assert_eq!(package("fx-held"), "1.0", "{place}");
        assert_eq!(package("fx-conflict"), "1.0", "{place}");
        assert_eq!(package("fx-kernel"), "1.1", "{place}");
        let failed = if machine.vm == FAILS { "1.1 half-configured" } else { "1.1" };
        assert_eq!(package("fx-fail"), failed, "{place}");
        let boots = if machine.vm == REBOOTS { 2 } else { 1 };
        assert_eq!(machine.boots, boots, "{place}");
    }
    let why = rollout.phases.iter().flat_map(|phase| &phase.regions).flat_map(|region| &region.exceptions);
    assert!(why.clone().any(|exception| exception.vm == FAILS && exception.why.contains("fx-fail")));
}
