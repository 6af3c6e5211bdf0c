//! What NATS does to its clients, and what must come of it.

use crate::common::{Log, read_all, west, whole};
use futures::StreamExt as _;
use nightshift_domain::Follow;
use nightshift_event_log::conformance::{Pen, agent_event};
use nightshift_event_log::nats_server::NatsServer;
use nightshift_event_log::{AppendError, ConnectError, NatsLog, NatsOptions, ReadError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn connect(server: &NatsServer, patience: u64) -> Log {
    let patience = Duration::from_secs(patience);
    let options = NatsOptions { servers: vec![server.url()], patience, ..NatsOptions::default() };
    Arc::new(NatsLog::connect(options).await.unwrap())
}

fn signal(server: &NatsServer, signal: Signal) {
    kill(Pid::from_raw(server.pid().unwrap() as i32), signal).unwrap();
}

fn pen(log: &Log) -> Pen {
    Pen::for_event(log, &west(), &agent_event("vm-1", 0).unwrap())
}

/// A write that times out may land later: the same write again must find it and not double it.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_timed_out_is_unknown_and_lands_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(folder.path()).unwrap();
    let log = connect(&server, 2).await;
    let mut pen = pen(&log);
    for count in [1, 3] {
        pen.append(vec![agent_event("vm-1", 1).unwrap()]).await.unwrap();
        let write = vec![pen.write(vec![agent_event("vm-1", 2).unwrap(); count])];
        signal(&server, Signal::SIGSTOP);
        let answer = log.append(&west(), write.clone()).await;
        signal(&server, Signal::SIGCONT);
        assert!(matches!(answer, Err(AppendError::Unknown { .. })), "{answer:?}");
        let heads = loop {
            match log.append(&west(), write.clone()).await {
                Err(AppendError::Unknown { .. }) => {}
                known => break known.unwrap(),
            }
        };
        pen.head = heads[0];
    }
    let events = read_all(&log, &west()).await;
    whole(&events);
    assert_eq!(events.len(), 2 + 1 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_subscription_goes_on_soon_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start(folder.path()).unwrap();
    let log = connect(&server, 15).await;
    let mut pen = pen(&log);
    pen.append(vec![agent_event("vm-1", 1).unwrap(); 5]).await.unwrap();
    // One that has seen something, one that waits for its first event behind what is there.
    let mut seen = log.subscribe(&Follow::all(west()), 0).await.unwrap();
    let mut waiting = log.subscribe(&Follow::all(west()), 5).await.unwrap();
    for position in 1..=5 {
        assert_eq!(seen.next().await.unwrap().unwrap().position, position);
    }
    for position in 6..9 {
        server.kill9().unwrap();
        server.restart().unwrap();
        let restarted = Instant::now();
        pen.append(vec![agent_event("vm-1", position).unwrap()]).await.unwrap();
        for events in [&mut seen, &mut waiting] {
            let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap();
            assert_eq!(next.unwrap().unwrap().position, position);
        }
        println!("both subscriptions went on {:?} after the restart", restarted.elapsed());
    }
}

/// JetStream serves an old copy of its files without a word. Readers that saw more must notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_went_back_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start(folder.path()).unwrap();
    let log = connect(&server, 15).await;
    let mut pen = pen(&log);
    pen.append(vec![agent_event("vm-1", 1).unwrap()]).await.unwrap();
    server.kill9().unwrap();
    let (now, then) = (folder.path().join("jetstream"), folder.path().join("then"));
    copy(&now, &then);
    server.restart().unwrap();
    let mut events = log.subscribe(&Follow::all(west()), 0).await.unwrap();
    pen.append(vec![agent_event("vm-1", 2).unwrap(); 3]).await.unwrap();
    for position in 1..=4 {
        assert_eq!(events.next().await.unwrap().unwrap().position, position);
    }
    server.kill9().unwrap();
    std::fs::remove_dir_all(&now).unwrap();
    copy(&then, &now);
    server.restart().unwrap();
    let told = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap();
    let Some(Err(error @ ReadError::WentBack { newest: 1, seen: 4, .. })) = told else { panic!("{told:?}") };
    assert!(error.to_string().contains("went back"), "{error}");
    assert!(events.next().await.is_none(), "a damaged subscription ends");
    let write = vec![pen.write(vec![agent_event("vm-1", 3).unwrap()])];
    let answer = log.append(&west(), write).await;
    assert!(matches!(answer, Err(AppendError::Conflict { expected: 4, actual: 1, .. })), "{answer:?}");
}

/// The same, but others write on before the reader is back: the positions alone look sound.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_went_back_and_grew_again_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start(folder.path()).unwrap();
    let log = connect(&server, 15).await;
    let mut reader = pen(&log);
    let mut events = log.subscribe(&Follow::all(west()), 0).await.unwrap();
    reader.append(vec![agent_event("vm-1", 1).unwrap(); 2]).await.unwrap();
    for position in 1..=2 {
        assert_eq!(events.next().await.unwrap().unwrap().position, position);
    }
    server.kill9().unwrap();
    std::fs::remove_dir_all(folder.path().join("jetstream")).unwrap();
    let mut elsewhere = NatsServer::start_beside(&server).unwrap();
    let other = connect(&elsewhere, 15).await;
    pen(&other).append(vec![agent_event("vm-1", 2).unwrap(); 3]).await.unwrap();
    elsewhere.stop().unwrap();
    server.restart().unwrap();
    let told = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap();
    let Some(Err(ReadError::Damaged { position: 2, cause, .. })) = told else { panic!("{told:?}") };
    assert!(cause.contains("another event"), "{cause}");
}

/// JetStream leaves out an event whose bytes it finds damaged, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_event_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(folder.path()).unwrap();
    let log = connect(&server, 5).await;
    let mut pen = pen(&log);
    // A stream that somebody made so that events can be deleted must not be used at all.
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "nightshift_fleet".into(),
        subjects: vec!["nightshift.v1.fleet.>".into()],
        allow_atomic_publish: true,
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    let fleet = log.read(&Follow::all("fleet".parse().unwrap()), 0, 10).await;
    assert!(
        matches!(&fleet, Err(ReadError::Damaged { cause, .. }) if cause.contains("deny_delete")),
        "{fleet:?}"
    );

    for _ in 0..3 {
        pen.append(vec![agent_event("vm-1", 1).unwrap(); 1_000]).await.unwrap();
    }
    let mut server = server;
    server.stop().unwrap();
    damage(&folder.path().join("jetstream"));
    server.restart().unwrap();
    let read = log.read(&Follow::all(west()), 0, 3_000).await;
    let read = read.map(|page| (page.events.len(), page.read_to, page.at_end));
    let Err(ReadError::Damaged { position, cause, .. }) = read else { panic!("{read:?}") };
    println!("position {position}: {cause}");
    let mut events = log.subscribe(&Follow::all(west()), 0).await.unwrap();
    while let Some(event) = events.next().await {
        match event {
            Ok(recorded) => assert!(recorded.position < position),
            Err(error) => assert!(matches!(error, ReadError::Damaged { position: at, .. } if at == position)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_why() {
    let patience = Duration::from_secs(1);
    let options =
        NatsOptions { servers: vec!["nats://127.0.0.1:1".into()], patience, ..NatsOptions::default() };
    let error = NatsLog::connect(options.clone()).await.err().unwrap();
    assert!(
        matches!(error, ConnectError::NoServer { .. }) && error.to_string().contains("127.0.0.1:1"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    let users = "authorization { users: [ \
        { user: reader, password: pass, permissions: { publish: [\"$JS.API.>\"], subscribe: [\">\"] } } ] }\n";
    let server = NatsServer::start_with(folder.path(), users).unwrap();
    let stranger = NatsOptions { servers: vec![server.url()], ..options.clone() };
    let error = NatsLog::connect(stranger).await.err().unwrap();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");

    let wrong = vec![server.url().replace("nats://", "nats://reader:secret@")];
    let error = NatsLog::connect(NatsOptions { servers: wrong, ..options.clone() }).await.err().unwrap();
    assert!(
        matches!(error, ConnectError::Refused { .. }) && !error.to_string().contains("secret"),
        "{error}"
    );

    let url = server.url().replace("nats://", "nats://reader:pass@");
    let patience = Duration::from_secs(4);
    let log: Log =
        Arc::new(NatsLog::connect(NatsOptions { servers: vec![url], patience, ..options }).await.unwrap());
    let error = pen(&log).append(vec![agent_event("vm-1", 1).unwrap()]).await.unwrap_err();
    let AppendError::Unknown { cause, .. } = &error else { panic!("{error}") };
    assert!(cause.to_lowercase().contains("permissions violation"), "{cause}");
}

/// Flips a bit in the body of an event in the region's stream.
fn damage(store: &Path) {
    let folder = store.join("jetstream/$G/streams/nightshift_region_west/msgs");
    let block = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let block = block.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "blk")).unwrap();
    let mut bytes = std::fs::read(&block).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(block, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
