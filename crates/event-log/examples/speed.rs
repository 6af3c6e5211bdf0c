//! How fast the stores are on this machine:
//! `cargo run --release -p nightshift-event-log --example speed [memory] [sled] [nats]`.

use futures::StreamExt as _;
use nightshift_domain::{Follow, Partition};
use nightshift_event_log::conformance::{Pen, agent_event};
use nightshift_event_log::nats_server::NatsServer;
use nightshift_event_log::{EventLog, MemoryLog, NatsLog, NatsOptions, SledLog};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Log = Arc<dyn EventLog>;
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const FOR: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("nightshift-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |store: &str| chosen.is_empty() || chosen.iter().any(|name| name == store);
    if wanted("memory") {
        measure("memory", Arc::new(MemoryLog::new())).await?;
    }
    if wanted("sled") {
        measure("sled", Arc::new(SledLog::open(&folder.join("sled"))?)).await?;
        open_again(&folder.join("sled"))?;
    }
    if wanted("nats") {
        let server = NatsServer::start(&folder.join("nats"))?;
        let options = NatsOptions { servers: vec![server.url()], ..NatsOptions::default() };
        measure("nats (one server, sync always)", Arc::new(NatsLog::connect(options).await?)).await?;
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn open_again(path: &Path) -> Outcome<()> {
    let started = Instant::now();
    let _log = SledLog::open(path)?;
    println!("{:32} opening, all verified: {:?}", "sled", started.elapsed());
    Ok(())
}

async fn measure(name: &str, log: Log) -> Outcome<()> {
    for (writers, events) in [(1, 1), (64, 1), (1, 100), (1, 1_000), (4, 250)] {
        let (appends, slowest) = append(&log, writers, events).await?;
        let rate = (appends * events) as f64 / FOR.as_secs_f64();
        println!(
            "{name:32} {writers:3} writers x {events:4} events: {rate:9.0} events/s, slowest append {slowest:?}"
        );
    }
    let follow = Follow::all(west()?);
    let started = Instant::now();
    let (mut after, mut read) = (0, 0);
    loop {
        let page = log.read(&follow, after, 1_000).await?;
        read += page.events.len();
        after = page.read_to;
        if page.at_end {
            break;
        }
    }
    println!(
        "{name:32} read {read} events in pages: {:9.0} events/s",
        read as f64 / started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    let mut events = log.subscribe(&follow, 0).await?;
    for _ in 0..read {
        events.next().await.ok_or("the subscription ended")??;
    }
    println!("{name:32} subscribed to them: {:9.0} events/s", read as f64 / started.elapsed().as_secs_f64());
    let mut pen = Pen::for_event(&log, &west()?, &agent_event("latency", 0)?);
    let mut waits = Vec::new();
    for report in 0..200 {
        let started = Instant::now();
        pen.append(vec![agent_event("latency", report)?]).await?;
        events.next().await.ok_or("the subscription ended")??;
        waits.push(started.elapsed());
    }
    waits.sort();
    println!("{name:32} from append to subscriber: median {:?}, p99 {:?}", waits[100], waits[197]);
    Ok(())
}

/// Appends per [`FOR`], and how long the slowest took.
async fn append(log: &Log, writers: usize, events: usize) -> Outcome<(usize, Duration)> {
    let work = (0..writers).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            let vm = format!("vm-{writers}-{events}-{writer}");
            let mut pen = Pen::for_event(&log, &west()?, &agent_event(&vm, 0)?);
            let (started, mut appends, mut slowest) = (Instant::now(), 0, Duration::ZERO);
            while started.elapsed() < FOR {
                let this = Instant::now();
                pen.append(vec![agent_event(&vm, appends as u64)?; events]).await?;
                slowest = slowest.max(this.elapsed());
                appends += 1;
            }
            Outcome::Ok((appends, slowest))
        })
    });
    let mut total = (0, Duration::ZERO);
    for done in futures::future::join_all(work.collect::<Vec<_>>()).await {
        let (appends, slowest) = done??;
        total = (total.0 + appends, total.1.max(slowest));
    }
    Ok(total)
}

fn west() -> Outcome<Partition> {
    Ok("region.west".parse()?)
}
