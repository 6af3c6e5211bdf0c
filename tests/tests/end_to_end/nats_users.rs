//! What a service that is taken over can do to the log: nothing in another's name.

use nightshift_cli::nats_users;
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
}
