//! How many signals the pipeline takes, beside bare core NATS in the same run, and what a VM costs in memory.
//!
//! `cargo bench -p nightshift-health-monitor`; nats-server is fetched by `cargo xtask tools`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench says what is wrong by panicking"
)]

use chrono::Duration;
use futures::StreamExt as _;
use nightshift_domain::fleet::{AssessmentMode, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::health::Signal;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{Event, Fact, Mind as _, Partition, RegionName, SubscriptionId, Time, VmId};
use nightshift_event_log::nats_server::NatsServer;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Signals;
use prost::Message as _;
use std::time::Instant;

const VMS: usize = 100_000;
const OVER_NATS: usize = 500_000;
const BEATS_A_SECOND: f64 = VMS as f64 / 30.0;

fn main() {
    let before = resident_bytes();
    let mut monitor = monitor();
    let now: Time = "2026-01-13T23:00:00Z".parse().unwrap();
    let first = Instant::now();
    (0..VMS).for_each(|index| assert!(monitor.hear(heartbeat(index, now), now)));
    println!("{VMS} VMs: first heartbeats in {:.0} ms", first.elapsed().as_secs_f64() * 1e3);
    println!("memory of a VM: {} bytes", (resident_bytes() - before) / VMS);

    let (rounds, cpu, start) = (10, cpu_seconds(), Instant::now());
    for round in 1..=rounds {
        let at = now + Duration::seconds(30 * round);
        for index in 0..VMS {
            monitor.hear(heartbeat(index, at), at);
        }
    }
    let heard = VMS as f64 * rounds as f64;
    report("the mind alone", heard, start, cpu);
    println!("decide and next_wake with {VMS} idle VMs: {:.1} us", idle(&monitor, now));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(over_nats(&mut monitor, now + Duration::hours(1)));
}

/// One client sends, one hears, on one nats-server: first nothing but messages, then the whole pipeline.
async fn over_nats(monitor: &mut Monitor, now: Time) {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(folder.path()).unwrap();
    let connect = async || async_nats::connect(server.url()).await.unwrap();
    let region = RegionName::new("west").unwrap();

    let (sender, receiver) = (connect().await, connect().await);
    let mut messages = receiver.subscribe("bare.>").await.unwrap();
    receiver.flush().await.unwrap();
    let payload: bytes::Bytes = wire::Signal::from(&heartbeat(0, now)).encode_to_vec().into();
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let send = async {
        for _ in 0..OVER_NATS {
            sender.publish("bare.west.vm-000000", payload.clone()).await.unwrap();
        }
        sender.flush().await.unwrap();
    };
    let hear = async { while_counting(OVER_NATS, async || messages.next().await.map(|_| 1)).await };
    tokio::join!(send, hear);
    let bare = report("bare core NATS", OVER_NATS as f64, start, cpu);

    let (sender, receiver) = (Signals::over_nats(connect().await), Signals::over_nats(connect().await));
    let mut signals = receiver.listen(None).await.unwrap().ready_chunks(1_024);
    // A subscription is on its way to the server until something comes by it.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let send = async {
        for index in 0..OVER_NATS {
            sender.send(&region, heartbeat(index % VMS, now)).await;
        }
    };
    let hear = while_counting(OVER_NATS, async || {
        let together = signals.next().await?;
        let count = together.len();
        together.into_iter().for_each(|signal| assert!(monitor.hear(signal, now)));
        Some(count)
    });
    tokio::join!(send, hear);
    let whole = report("the whole pipeline", OVER_NATS as f64, start, cpu);
    println!("the pipeline takes {:.0} % of what bare core NATS takes, by a core", 100.0 * whole / bare);
    println!("{VMS} VMs with a heartbeat every 30 s: {:.1} % of one core", 100.0 * BEATS_A_SECOND / whole);
}

async fn while_counting(all: usize, mut next: impl AsyncFnMut() -> Option<usize>) {
    let mut seen = 0;
    while seen < all {
        seen += next().await.expect("the messages ended");
    }
}

/// Prints and gives the signals in a second of one core: of sending and hearing together.
fn report(what: &str, signals: f64, start: Instant, cpu: f64) -> f64 {
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let of_core = signals / cpu.max(0.01);
    println!("{what}: {:.0} signals a second, {of_core:.0} a second of a core", signals / wall);
    of_core
}

fn idle(monitor: &Monitor, now: Time) -> f64 {
    let start = Instant::now();
    for _ in 0..1_000 {
        assert!(std::hint::black_box(monitor).decide(now).is_empty());
        assert!(std::hint::black_box(monitor).next_wake(now).is_none());
    }
    start.elapsed().as_secs_f64() * 1e6 / 1e3
}

fn monitor() -> Monitor {
    let region = RegionName::new("west").unwrap();
    let of = Region { name: region.clone(), time_zone: chrono_tz::UTC, pair: None, zones: [].into() };
    let topology = Topology::new(Window::default_off_peak(), [of]).unwrap();
    let mut monitor = Monitor::default();
    let at = "2026-01-13T00:00:00Z".parse().unwrap();
    let fact = |event| Fact { partition: Partition::Fleet, at, event };
    monitor.apply(&fact(Event::TopologyDeclared { topology }));
    for index in 0..VMS {
        let vm = Vm {
            id: name(index),
            subscription: SubscriptionId::new("sub").unwrap(),
            resource_group: "group".into(),
            region: region.clone(),
            placement: Placement::Standalone,
            os: Os::Linux,
            image: Image { publisher: "p".into(), offer: "o".into(), sku: "s".into() },
            patch_mode: PatchMode::AutomaticByPlatform,
            time_zone: None,
            window: None,
            automatic_updates: None,
            assessment_mode: AssessmentMode::ImageDefault,
            reboot: None,
            resource: None,
        };
        monitor.apply(&fact(Event::VmRegistered { vm }));
    }
    monitor.listen(at);
    monitor
}

fn name(index: usize) -> VmId {
    VmId::new(format!("vm-{index:06}")).unwrap()
}

fn heartbeat(index: usize, at: Time) -> Signal {
    Signal::heartbeat(name(index), at, "7c1e2a54-7b0e-4c0e-9a55-1f9d3a9b6c11", None)
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// Of this process, by the kernel's count of hundredths (proc_pid_stat(5), fields 14 and 15).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
