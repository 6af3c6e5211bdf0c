//! Every store does the same.

use nightshift_event_log::conformance::{Fresh, run};
use nightshift_event_log::nats_server::NatsServer;
use nightshift_event_log::{EventLog as _, MemoryLog, NatsLog, NatsOptions, SledLog};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let fresh = || async { Fresh { log: Arc::new(MemoryLog::new()), keep: Box::new(()) } };
    run(fresh).await.unwrap_or_else(|broken| panic!("{broken}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sled() {
    let fresh = || async {
        let folder = tempfile::tempdir().unwrap();
        let log = SledLog::open(&folder.path().join("log")).unwrap();
        Fresh { log: Arc::new(log), keep: Box::new(folder) }
    };
    run(fresh).await.unwrap_or_else(|broken| panic!("{broken}"));
}

/// What a service that reads and writes everything must be allowed; nothing more.
const PERMISSIONS: &str = r#"
    authorization { users: [ { user: service, password: pass, permissions: {
        publish: [
            "nightshift.v1.>", "$JS.FC.>",
            "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.GET.*",
            "$JS.API.CONSUMER.CREATE.*", "$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.API.CONSUMER.DELETE.*.*"
        ]
        subscribe: [ "_INBOX_service.>" ]
    } } ] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn nats() {
    let fresh = || async {
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start_with(folder.path(), PERMISSIONS).unwrap();
        let options = NatsOptions {
            servers: vec![server.url().replace("nats://", "nats://service:pass@")],
            inbox_prefix: Some("_INBOX_service".into()),
            ..NatsOptions::default()
        };
        let log = NatsLog::connect(options).await.unwrap();
        Fresh { log: Arc::new(log), keep: Box::new((server, folder)) }
    };
    run(fresh).await.unwrap_or_else(|broken| panic!("{broken}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_with_three_servers() {
    let folder = tempfile::tempdir().unwrap();
    let servers = NatsServer::start_cluster(folder.path()).unwrap();
    let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
    // A cluster takes seconds until it has a leader: one for all, emptied by hand.
    let fresh = || async {
        let options = NatsOptions { servers: urls.clone(), replicas: 3, ..NatsOptions::default() };
        let log = NatsLog::connect(options).await.unwrap();
        let jetstream = async_nats::jetstream::new(log.client());
        for partition in log.partitions().await.unwrap() {
            let stream = format!("nightshift_{}", partition.to_string().replace('.', "_"));
            jetstream.delete_stream(stream).await.unwrap();
        }
        Fresh { log: Arc::new(log), keep: Box::new(()) }
    };
    run(fresh).await.unwrap_or_else(|broken| panic!("{broken}"));
}
