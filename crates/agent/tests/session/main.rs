//! The whole agent against a gateway, over real TLS, on a simulated machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod certificates;
mod gateway;
mod trust;

use chrono::Duration;
use gateway::{Gateway, TOKEN, Told};
use nightshift_agent::back_end::BackEnd;
use nightshift_agent::config::Config;
use nightshift_agent::run::run;
use nightshift_agent::simulated::{Settings, SimulatedMachine};
use nightshift_clock::Clock;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::event::Order;
use nightshift_domain::patch::{RebootSetting, RebootStatus};
use nightshift_domain::policy::{Policy, Probe};
use nightshift_protocol::agent::v1 as agent_wire;
use nightshift_protocol::agent::v1::report::Body;
use nightshift_protocol::events::v1 as wire;
use nightshift_trust::OrderKey;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

struct Night {
    gateway: Gateway,
    address: SocketAddr,
    serving: Option<Runtime>,
    clock: Clock,
    config: Config,
    /// The coordinator's.
    key: OrderKey,
}

impl Night {
    async fn new() -> Self {
        let gateway = Gateway::new();
        let (address, serving) = gateway.serve(ANYWHERE.into()).await;
        let clock = Clock::fast("2026-01-01T00:00:00Z".parse().unwrap(), 2_000);
        let key = new_key();
        let mut config = Config::simulated(
            "vm-1".parse().unwrap(),
            format!("https://{address}"),
            TOKEN,
            gateway.authority_pem(),
            key.public_pem(),
        );
        config.reconnect_at_most_milliseconds = 200;
        Self { gateway, address, serving: Some(serving), clock, config, key }
    }

    /// The order that the coordinator places.
    fn place(&self, order: Order) {
        self.gateway.told().order = Some(self.key.sign(order));
    }

    fn order(&self) -> Order {
        let now = self.clock.now();
        Order {
            id: "o-1".parse().unwrap(),
            rollout: "r-1".parse().unwrap(),
            vm: self.config.vm.clone(),
            not_after: now + Duration::days(30),
            deadline: now + Duration::days(30),
            reboot: RebootSetting::Always,
            selection: Policy::default().selection(),
            signature: None,
        }
    }

    fn start(&self, settings: Settings) -> Agent {
        let machine = SimulatedMachine::new(self.config.vm.clone(), settings, self.clock.clone());
        let machine = Arc::new(machine);
        let shutdown = CancellationToken::new();
        let running =
            tokio::spawn(run(self.config.clone(), machine.clone(), self.clock.clone(), shutdown.clone()));
        Agent { machine, shutdown, running }
    }

    /// The gateway ends without a word, and comes back at the same address.
    async fn restart_gateway(&mut self) {
        self.stop_gateway();
        self.serving = Some(self.gateway.serve(self.address).await.1);
    }

    fn stop_gateway(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }

    /// Waits until the gateway was told so; the test's own time limit is the runner's.
    async fn until(&self, is_so: impl Fn(&Told) -> bool) {
        while !is_so(&self.gateway.told()) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

fn new_key() -> OrderKey {
    let folder = tempfile::tempdir().unwrap();
    OrderKey::open(&folder.path().join("order-key.pem")).unwrap()
}

/// A runtime must not be dropped where others run.
impl Drop for Night {
    fn drop(&mut self) {
        self.stop_gateway();
    }
}

struct Agent {
    machine: Arc<SimulatedMachine>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), nightshift_agent::run::AgentError>>,
}

impl Agent {
    async fn end(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

fn has(told: &Told, which: impl Fn(&Body) -> bool) -> bool {
    told.reports.iter().filter_map(|report| report.body.as_ref()).any(which)
}

#[tokio::test]
async fn an_order_survives_restarts_of_the_gateway_and_the_machine_s_own_reboot() {
    let mut night = Night::new().await;
    night.place(night.order());
    let agent = night.start(Settings { package_seconds: 600, ..Settings::default() });
    night.until(|told| has(told, |body| matches!(body, Body::Accepted(_)))).await;
    night.restart_gateway().await;
    night.until(|told| !told.finished().is_empty()).await;
    let last = night.gateway.told().last_report();
    // The gateway's next session: everything is known, nothing runs again.
    night.restart_gateway().await;
    let sessions = night.gateway.told().sessions;
    night.until(|told| told.sessions > sessions && told.last_report() >= last).await;
    let second_boot = agent.machine.boot_id().unwrap();
    let boots = agent.machine.boots();
    agent.end().await;

    let told = night.gateway.told();
    assert_eq!(boots, 2);
    assert_eq!(told.enrolments, 1);
    let result: InstallReport = told.finished()[0].result.clone().unwrap().try_into().unwrap();
    assert_eq!((told.finished().len(), result.reboot), (1, RebootStatus::Completed));
    assert_eq!((result.failure(), result.boot_id), (None, second_boot.clone()));
    let rebooted = |body: &Body| matches!(body, Body::Rebooted(rebooted) if rebooted.boot_id == second_boot);
    assert!(has(&told, rebooted) && has(&told, |body| matches!(body, Body::Enabled(_))));
    let numbers: Vec<u64> = told.reports.iter().map(|report| report.number).collect();
    assert_eq!(numbers, (1..=told.last_report()).collect::<Vec<_>>());
    let accepted =
        told.reports.iter().filter(|report| matches!(report.body, Some(Body::Accepted(_)))).count();
    assert_eq!(accepted, 1);
    assert!(told.heartbeats.iter().any(|heartbeat| heartbeat.boot_id == second_boot));
}

#[tokio::test]
async fn a_bad_patch_shows_in_the_heartbeats() {
    let night = Night::new().await;
    let mut order = night.order();
    order.reboot = RebootSetting::Never;
    night.place(order);
    let agent = night.start(Settings { bad_patch: true, ..Settings::default() });
    let ill = |told: &Told| told.heartbeats.last().is_some_and(|heartbeat| heartbeat.ailment.is_some());
    night.until(|told| !told.finished().is_empty() && ill(told)).await;
    assert!(night.gateway.told().heartbeats[0].ailment.is_none());
    agent.end().await;
}

#[tokio::test]
async fn a_gateway_of_another_authority_gets_no_word_of_the_agent() {
    let mut night = Night::new().await;
    night.config.authority = Gateway::new().authority_pem();
    let agent = night.start(Settings::default());
    // Time for several tries; however many there were, none may get as far as the token.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    agent.end().await;
    assert_eq!(night.gateway.told().enrolments, 0);
}

#[tokio::test]
async fn an_enrolled_machine_needs_its_token_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut night = Night::new().await;
    night.config.state_dir = Some(folder.path().to_owned());
    let agent = night.start(Settings::default());
    night.until(|told| told.sessions == 1 && told.last_report() == 1).await;
    agent.end().await;
    let mode = fs::metadata(folder.path().join("identity/current.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    night.config.token = None;
    let agent = night.start(Settings::default());
    night.until(|told| told.sessions == 2 && told.last_report() == 2).await;
    agent.end().await;
    // A wrong token asks to enrol anew, is refused, and does not cut the machine off.
    night.config.token = Some("wrong".into());
    let agent = night.start(Settings::default());
    night.until(|told| told.sessions == 3 && told.last_report() == 3).await;
    agent.end().await;
    assert_eq!(night.gateway.told().enrolments, 2);
}

#[tokio::test]
async fn asked_for_an_assessment_it_assesses_but_not_when_that_is_too_late() {
    let night = Night::new().await;
    let now = night.clock.now();
    // The first is over already; of the others each is a wish of its own.
    night.gateway.told().assess =
        vec![now - Duration::hours(1), now + Duration::days(9), now + Duration::days(9)];
    let agent = night.start(Settings::default());
    let assessed = |told: &Told| {
        told.reports.iter().filter(|report| matches!(report.body, Some(Body::Assessed(_)))).count()
    };
    // One at its start, and two that were asked for in time.
    night.until(|told| assessed(told) >= 3).await;
    night.place(night.order());
    agent.end().await;
    assert_eq!(assessed(&night.gateway.told()), 3);
}

#[tokio::test]
async fn a_watched_machine_is_probed_and_says_so() {
    let night = Night::new().await;
    let service = tokio::net::TcpListener::bind(SocketAddr::from(ANYWHERE)).await.unwrap();
    let at = service.local_addr().unwrap();
    let probe = |name: &str, check: String| {
        let text = format!(r#"{{"name": "{name}", "check": {check}, "interval_seconds": 60}}"#);
        let probe: Probe = serde_json::from_str(&text).unwrap();
        wire::Probe::from(&probe)
    };
    let probes = vec![
        probe("db", format!(r#"{{"tcp": "{at}"}}"#)),
        probe("cloud", r#"{"http": "http://169.254.169.254/"}"#.into()),
        probe("app", r#"{"command": "wipe-the-disk"}"#.into()),
    ];
    night.gateway.told().watch = Some(agent_wire::Watch { watched: true, probes });
    let agent = night.start(Settings::default());
    let said = |told: &Told, name: &str, clue: Option<&str>| {
        told.probed.iter().filter(|probed| probed.name == name).any(|probed| match (&probed.ailment, clue) {
            (None, None) => true,
            (Some(ailment), Some(clue)) => ailment.contains(clue),
            _ => false,
        })
    };
    // What the policy may not reach, and what the agent's configuration does not name, is told and not done.
    night
        .until(|told| {
            said(told, "db", None)
                && said(told, "cloud", Some("probe_targets"))
                && said(told, "app", Some("probe_commands"))
        })
        .await;
    drop(service);
    night.until(|told| said(told, "db", Some("refused"))).await;
    agent.end().await;
}
