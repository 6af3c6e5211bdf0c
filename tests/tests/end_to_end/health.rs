//! Health that comes from elsewhere than the machine's own word, on real machines: a service that fails its HTTP probe
//! after the patch, a Prometheus query that goes over its limit, and a monitoring system that falls silent.

use crate::real_run::{alone, open_folder, prepare, runtime, start_with, until_over};
use chrono::TimeDelta;
use nightshift_cli::real_fleet::RealFleet;
use nightshift_cli::stack::{Extras, Listen, Stack};
use nightshift_cli::{audit, clients};
use nightshift_domain::policy::{Budgets, Policy};
use nightshift_domain::selection::Mask;
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::Clock;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Real Prometheus, which scrapes one exporter every second.
struct Prometheus {
    process: Process,
    url: String,
}

/// Ends with the test, or before.
struct Process(Option<Child>);

impl Prometheus {
    async fn start(folder: &Path, exporter: &str) -> Self {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/prometheus");
        assert!(program.is_file(), "{} is missing: run `cargo xtask tools`", program.display());
        fs::create_dir_all(folder).unwrap();
        let config = format!(
            "scrape_configs:\n- job_name: test\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{exporter}']\n"
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(folder);
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Self { process: Process(Some(process)), url: format!("http://127.0.0.1:{port}") };
        let mut tries = 0;
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tries += 1;
            assert!(tries < 600, "prometheus does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        started
    }
}

impl Process {
    fn kill(&mut self) {
        if let Some(mut process) = self.0.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The policy of the real fleet, with these sources, and with no failure allowed. The fixtures that fail
/// their installation or ask for a reboot are left out: what halts is to be the health.
fn policy(sources: &str) -> Policy {
    let sources: Policy = serde_json::from_str(sources).unwrap();
    let Policy { probes, reports, queries, .. } = sources;
    let policy = Policy {
        probes,
        reports,
        queries,
        soak: TimeDelta::seconds(12),
        silence: TimeDelta::seconds(8),
        budgets: Budgets::all(0, 0),
        exclude: ["fx-fail", "fx-kernel"].map(|name| Mask::new(name).unwrap()).to_vec(),
        ..RealFleet::policy()
    };
    policy.validate().unwrap();
    policy
}

struct Halt {
    /// Machines that have the patch.
    touched: Vec<String>,
    /// Verdicts that were not `confirmed`, by `nightshift health --region`.
    verdicts: String,
}

/// Rolls out until it halts.
async fn until_halt(
    folder: &Path,
    policy: &Policy,
    prometheus: Option<&Prometheus>,
    mut meanwhile: impl AsyncFnMut(&[String]),
) -> Halt {
    let mut fleet = prepare(folder);
    let url = prometheus.map(|prometheus| prometheus.url.clone());
    let extras = Extras { prometheus: url, ..Extras::default() };
    let stack =
        Stack::start_with(folder.join("services"), Clock::system(), Listen::free(), extras).await.unwrap();
    fleet.go_live(&stack.servers, stack.agents).await.unwrap();
    start_with(&stack.servers, policy).await;
    let over = until_over(&stack.servers, async |_| meanwhile(&touched(&fleet)).await).await;
    let rollout = over.unwrap_or_else(|last| panic!("{last:#?}"));
    assert_eq!(rollout.state(), api::RolloutState::Halted, "{}", rollout.why);
    let audit = audit::run(&stack.servers).await.unwrap();
    assert!(audit.violations.is_empty(), "{audit}");
    let mut verdicts = Vec::new();
    for region in ["east", "west"] {
        let request = api::ListRegionHealthRequest { region: region.into(), ..Default::default() };
        let mut monitor = clients::health(&stack.servers).await.unwrap();
        let vms = monitor.list_region_health(request).await.unwrap().into_inner().vms;
        let of_region = vms.into_iter().filter_map(|vm| vm.verdict).filter(|said| said.what != "confirmed");
        verdicts.extend(of_region.map(|said| format!("{} {}", said.what, said.why)));
    }
    let halt = Halt { touched: touched(&fleet), verdicts: verdicts.join("\n") };
    stack.shutdown.cancel();
    stack.ended().await.unwrap();
    halt
}

fn touched(fleet: &RealFleet) -> Vec<String> {
    let machines = fleet.inspect().unwrap().into_iter();
    machines.filter(|machine| machine.packages["fx-app"] == "1.1").map(|machine| machine.vm).collect()
}

#[test]
fn a_service_that_fails_its_probe_after_the_patch_halts_the_rollout_in_phase_one() {
    let _alone = alone();
    let folder = open_folder();
    runtime().block_on(async {
        // The service of the machines: the patch breaks it.
        let broken = Arc::new(AtomicBool::new(false));
        let at = serve(broken.clone(), "").await;
        let sources = format!(
            r#"{{"probes": [{{"name": "web", "check": {{"http": "http://{at}/health"}}, "interval_seconds": 1}}]}}"#
        );
        let breaks = async |touched: &[String]| broken.store(!touched.is_empty(), Ordering::SeqCst);
        let halt = until_halt(folder.path(), &policy(&sources), None, breaks).await;
        assert!(halt.verdicts.contains("failed probe web") && halt.verdicts.contains("503"), "{}", halt.verdicts);
        assert!(halt.touched.iter().all(|vm| vm.starts_with("west")), "{:?}", halt.touched);
    });
}

#[test]
fn a_query_that_goes_over_its_limit_in_phase_two_halts_it() {
    let _alone = alone();
    let folder = open_folder();
    runtime().block_on(async {
        // Errors are counted from the first patched machine of the second phase on.
        let errors = Arc::new(AtomicBool::new(false));
        let exporter = serve(errors.clone(), "errors").await;
        let prometheus = Prometheus::start(&folder.path().join("prometheus"), &exporter).await;
        let policy = policy(
            r#"{"queries": [{"name": "errors", "scope": "phase", "promql": "max(errors)", "above": 0.5,
                "during": "both", "interval_seconds": 1}]}"#,
        );
        let breaks = async |touched: &[String]| {
            errors.store(touched.iter().any(|vm| vm.starts_with("east")), Ordering::SeqCst);
        };
        let halt = until_halt(folder.path(), &policy, Some(&prometheus), breaks).await;
        assert!(halt.verdicts.contains("failed query errors: 1 is above 0.5"), "{}", halt.verdicts);
        // The first phase, west, had passed: the query was well while it baked, too, or the auditor would say so.
        let east = halt.touched.iter().filter(|vm| vm.starts_with("east")).count();
        assert!((1..4).contains(&east) && halt.touched.len() == 2 + east, "{:?}", halt.touched);
    });
}

#[test]
fn a_monitoring_outage_is_unknown_and_halts_by_time() {
    let _alone = alone();
    let folder = open_folder();
    runtime().block_on(async {
        let exporter = serve(Arc::default(), "errors").await;
        let mut prometheus = Prometheus::start(&folder.path().join("prometheus"), &exporter).await;
        let mut process = std::mem::replace(&mut prometheus.process, Process(None));
        let policy = policy(
            r#"{"queries": [{"name": "errors", "promql": "max(errors)", "above": 0.5, "interval_seconds": 1}]}"#,
        );
        // Well before the patch; gone when the first machine has it.
        let outage = async |touched: &[String]| {
            if !touched.is_empty() {
                process.kill();
            }
        };
        let halt = until_halt(folder.path(), &policy, Some(&prometheus), outage).await;
        assert!(halt.verdicts.contains("unknown nothing from query errors"), "{}", halt.verdicts);
        assert!(halt.touched.iter().all(|vm| vm.starts_with("west")), "{:?}", halt.touched);
    });
}

/// Answers everybody: 200 and 0 of this metric, and once it is broken 503, or 1.
async fn serve(broken: Arc<AtomicBool>, metric: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            drop(stream.read(&mut request).await);
            let broken = broken.load(Ordering::SeqCst);
            let (status, body) = match (metric, broken) {
                ("", true) => ("503 Service Unavailable", String::new()),
                ("", false) => ("200 OK", String::new()),
                (metric, broken) => ("200 OK", format!("{metric} {}\n", u8::from(broken))),
            };
            let header = format!("content-length: {}\r\nconnection: close", body.len());
            let answer = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\n{header}\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    at
}
