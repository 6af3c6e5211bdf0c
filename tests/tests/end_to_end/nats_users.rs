//! What a service that is taken over can do to the log: nothing in another's name.

use async_nats::jetstream::{
    self,
    consumer::{pull, push},
};
use futures::{StreamExt as _, TryStreamExt as _};
use nightshift_cli::nats_users::{self, Consumer};
use nightshift_event_log::conformance::{Pen, agent_event};
use nightshift_event_log::nats_server::NatsServer;
use nightshift_event_log::{AppendError, EventLog, Login, NatsLog, NatsOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

async fn log(server: &NatsServer, keys: &Path, name: &str) -> Arc<dyn EventLog> {
    let options = NatsOptions {
        servers: vec![server.url()],
        login: Login::NkeySeed(keys.join(format!("{name}.nk"))),
        inbox_prefix: Some(format!("_INBOX_{name}")),
        patience: Duration::from_secs(3),
        ..NatsOptions::default()
    };
    Arc::new(NatsLog::connect(options).await.unwrap())
}

/// This user's connection.
async fn connect(server: &NatsServer, keys: &Path, name: &str) -> async_nats::Client {
    let seed = std::fs::read_to_string(keys.join(format!("{name}.nk"))).unwrap().trim().to_owned();
    let options = async_nats::ConnectOptions::with_nkey(seed).custom_inbox_prefix(format!("_INBOX_{name}"));
    options.connect(server.url()).await.unwrap()
}

/// What JetStream and this user make of each other.
async fn jetstream(server: &NatsServer, keys: &Path, name: &str) -> jetstream::Context {
    let mut context = jetstream::new(connect(server, keys, name).await);
    // What is not allowed is not answered.
    context.set_timeout(Duration::from_millis(500));
    context
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_by_its_own_name_and_does_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let consumers: Vec<Consumer> = ["warehouse", "archive"].map(|name| name.parse().unwrap()).into();
    let (seeds, users) = nats_users::issue(&consumers).unwrap();
    for (name, seed) in seeds {
        std::fs::write(folder.path().join(format!("{name}.nk")), seed).unwrap();
    }
    let server = NatsServer::start_with(&folder.path().join("nats"), &users).unwrap();
    let [west, east] = ["region.west", "region.east"].map(|name| name.parse().unwrap());
    let gateway = log(&server, folder.path(), "agent-gateway").await;
    for partition in [&west, &east] {
        let event = agent_event("vm-a", 1).unwrap();
        Pen::for_event(&gateway, partition, &event).append(vec![event]).await.unwrap();
    }
    let (warehouse, archive) = (
        jetstream(&server, folder.path(), "warehouse").await,
        jetstream(&server, folder.path(), "archive").await,
    );
    let stream = warehouse.get_stream("nightshift_region_west").await.unwrap();
    let durable = |name: &str| pull::Config { durable_name: Some(name.into()), ..Default::default() };
    let own = stream.create_consumer(durable("warehouse")).await.unwrap();
    let mut read = own.fetch().max_messages(10).messages().await.unwrap();
    let event = read.try_next().await.unwrap().unwrap();
    event.double_ack().await.unwrap();
    let others = archive.get_stream("nightshift_region_west").await.unwrap();
    others.create_consumer(durable("archive")).await.unwrap();

    // Nothing of anybody else's, and nothing of the log.
    assert!(stream.create_consumer(durable("other")).await.is_err());
    assert!(stream.create_consumer(pull::Config::default()).await.is_err());
    assert!(stream.get_consumer::<pull::Config>("archive").await.is_err());
    assert!(stream.delete_consumer("archive").await.is_err());
    assert!(stream.purge().await.is_err());
    assert!(stream.delete_message(1).await.is_err());
    assert!(warehouse.delete_stream("nightshift_region_west").await.is_err());
    let published = warehouse.publish("nightshift.v1.region.west.agent.vm-a", "x".into()).await.unwrap();
    assert!(published.await.is_err());
    // Nor has it the server write what it may not: one stream delivered into another.
    stream.delete_consumer("warehouse").await.unwrap();
    let into_another = push::Config {
        durable_name: Some("warehouse".into()),
        deliver_subject: "nightshift.v1.region.east.agent.vm-a".into(),
        ..Default::default()
    };
    stream.create_consumer(into_another).await.unwrap();
    let event = agent_event("vm-b", 1).unwrap();
    Pen::for_event(&gateway, &west, &event).append(vec![event]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!([gateway.newest(&west).await.unwrap(), gateway.newest(&east).await.unwrap()], [2, 1]);
    for wrong in ["", "a.b", "A", "reader", "console"] {
        assert!(wrong.parse::<Consumer>().is_err(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_writes_its_own_subjects_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (seeds, users) = nats_users::issue(&[]).unwrap();
    for (name, seed) in seeds {
        std::fs::write(folder.path().join(format!("{name}.nk")), seed).unwrap();
    }
    let server = NatsServer::start_with(&folder.path().join("nats"), &users).unwrap();
    let partition = "region.west".parse().unwrap();
    // A fact that is agent-gateway's to write.
    let event = agent_event("vm-a", 1).unwrap();
    for other in ["console", "health-monitor", "region-coordinator", "rollout-planner", "reader"] {
        let log = log(&server, folder.path(), other).await;
        let mut pen = Pen::for_event(&log, &partition, &event);
        let refused = pen.append(vec![event.clone()]).await.unwrap_err();
        assert!(!matches!(refused, AppendError::Conflict { .. }), "{other}: {refused}");
    }
    let log = log(&server, folder.path(), "agent-gateway").await;
    let head = Pen::for_event(&log, &partition, &event).append(vec![event]).await.unwrap();
    assert_eq!(head.position, 1, "nobody else had written anything");
    // Signals are no part of the log: whoever shows them, or judges by them, hears them, and nobody else does.
    let mut heard = Vec::new();
    for name in ["console", "health-monitor", "reader"] {
        let client = connect(&server, folder.path(), name).await;
        heard.push((name, client.subscribe("nightshift.signals.v1.>").await.unwrap()));
        client.flush().await.unwrap();
    }
    let gateway = connect(&server, folder.path(), "agent-gateway").await;
    gateway.publish("nightshift.signals.v1.west", "x".into()).await.unwrap();
    gateway.flush().await.unwrap();
    for (name, mut signals) in heard {
        let within = if name == "reader" { Duration::from_millis(500) } else { Duration::from_secs(10) };
        let signal = tokio::time::timeout(within, signals.next()).await.ok().flatten();
        assert_eq!(signal.is_some(), name != "reader", "{name}");
    }
}
