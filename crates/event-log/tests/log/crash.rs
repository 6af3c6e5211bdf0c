//! Nothing that was acknowledged is lost when a process is killed.

use crate::common::{Log, assert_there, random, read_all, west, whole, write_on};
use futures::StreamExt as _;
use nightshift_domain::Follow;
use nightshift_event_log::nats_server::NatsServer;
use nightshift_event_log::{NatsLog, NatsOptions, SledLog};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FOLDER: &str = "NIGHTSHIFT_TEST_CRASH_FOLDER";
const WRITERS: usize = 6;
const KILLS: usize = 15;

/// Not a test of its own: the process that [`sled_keeps_what_it_acknowledged`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log: Log = Arc::new(SledLog::open(Path::new(&folder)).unwrap());
    let heads = whole(&read_all(&log, &west()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let say = |id, position| {
        let line = format!("acknowledged {id} {position}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    };
    let writers = (0..WRITERS)
        .map(|n| tokio::spawn(write_on(log.clone(), format!("vm-{n}"), heads.clone(), stop.clone(), say)));
    futures::future::join_all(writers.collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sled_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut acknowledged = HashMap::new();
    for kill in 0..KILLS {
        let before = acknowledged.len();
        write_and_kill(&path, 1 + random(800) as usize, &mut acknowledged);
        let log: Log = Arc::new(SledLog::open(&path).unwrap());
        let events = read_all(&log, &west()).await;
        whole(&events);
        assert_there(&events, &acknowledged);
        println!(
            "kill {kill}: {} acknowledged, {} in all, {} in the log",
            acknowledged.len() - before,
            acknowledged.len(),
            events.len()
        );
    }
}

fn write_and_kill(path: &Path, after: usize, acknowledged: &mut HashMap<String, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = 0;
    let mut text = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while text.read_line(&mut line).unwrap() > 0 {
        if let Some(rest) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('\n')) {
            let (id, position) = rest.split_once(' ').unwrap();
            acknowledged.insert(id.to_owned(), position.parse().unwrap());
            lines += 1;
            if lines == after {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    assert!(lines >= after, "the process ended by itself after {lines} events");
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_keeps_what_it_acknowledged_and_subscriptions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let servers = vec![NatsServer::start(folder.path()).unwrap()];
    storm(servers, 1, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_what_it_acknowledged_and_subscriptions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let servers = NatsServer::start_cluster(folder.path()).unwrap();
    storm(servers.into(), 3, 6).await;
}

/// Writers and followers work while servers are killed, one after the other.
async fn storm(mut servers: Vec<NatsServer>, replicas: usize, kills: usize) {
    let urls = servers.iter().map(NatsServer::url).collect();
    let options = NatsOptions { servers: urls, replicas, ..NatsOptions::default() };
    let log: Log = Arc::new(NatsLog::connect(options).await.unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new(HashMap::new()));
    let mut followers = Vec::new();
    for kind in [None, Some("agent")] {
        let follow = Follow { partition: west(), kind };
        followers.push(log.subscribe(&follow, 0).await.unwrap());
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let acknowledged = acknowledged.clone();
            let note = move |id, position| {
                acknowledged.lock().unwrap().insert(id, position);
            };
            tokio::spawn(write_on(log.clone(), format!("vm-{n}"), Default::default(), stop.clone(), note))
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    for kill in 0..kills {
        let before = count();
        wait_until(|| count() > before + random(300) as usize).await;
        let started = Instant::now();
        let server = &mut servers[kill % replicas];
        server.kill9().unwrap();
        server.restart().unwrap();
        let after = count();
        wait_until(|| count() > after).await;
        println!("kill {kill}: {after} acknowledged, written again after {:?}", started.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let events = read_all(&log, &west()).await;
    whole(&events);
    assert_there(&events, &acknowledged.lock().unwrap());
    assert_eq!(events.len(), count(), "every event was acknowledged in the end");
    for follower in followers {
        let seen: Vec<_> =
            tokio::time::timeout(Duration::from_secs(60), follower.take(events.len()).collect::<Vec<_>>())
                .await
                .expect("a subscription stopped");
        let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
        assert!(seen == events, "a subscription saw something else");
    }
}

async fn wait_until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("nothing is written any more");
}
