//! An installation with the fleet of the examples, that can be ended and started anew.

use nightshift_cli::stack::{Extras, Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Clock;
use nightshift_runtime::access::{Role, Wanted};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub struct World {
    folder: tempfile::TempDir,
    pub stack: Stack,
}

impl World {
    /// With the fleet, which the console knows already.
    pub async fn new() -> Self {
        Self::empty().await.with_the_fleet().await
    }

    /// The same, served over TLS.
    pub async fn over_tls() -> Self {
        let (folder, extras) = (tempfile::tempdir().unwrap(), Extras { tls: true, ..Extras::default() });
        let data = folder.path().join("data");
        let stack = Stack::start_with(data, Clock::system(), Listen::free(), extras).await.unwrap();
        Self { folder, stack }.with_the_fleet().await
    }

    async fn with_the_fleet(self) -> Self {
        let mut declared = fleet_file::parse(include_str!("../../../examples/fleet.toml")).unwrap().request();
        declared.idempotency_key = "the-fleet".into();
        let vms = declared.vms.len();
        clients::fleet(&self.stack.servers).await.unwrap().declare_fleet(declared).await.unwrap();
        let mut console = clients::console(&self.stack.servers).await.unwrap();
        until(async || {
            let page = console.list_vms(api::ListVmsRequest::default()).await.unwrap().into_inner();
            (page.total as usize == vms).then_some(())
        })
        .await;
        self
    }

    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stack = start(folder.path().join("data")).await;
        Self { folder, stack }
    }

    /// The same installation, ended and started anew.
    pub async fn restart(self) -> Self {
        self.stack.shutdown.cancel();
        self.stack.ended().await.unwrap();
        let stack = start(self.folder.path().join("data")).await;
        Self { stack, ..self }
    }

    /// A token that is good for so long.
    pub fn token(&self, role: Role, ttl: Duration) -> String {
        self.stack.issuer.issue(&Wanted::new(&format!("some-{role}"), role, ttl)).unwrap()
    }
}

async fn start(data: PathBuf) -> Stack {
    Stack::start(data, Clock::system(), Listen::free()).await.unwrap()
}

/// What comes within a minute.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn actor() -> Option<wire::Actor> {
    Some(wire::Actor { name: "the test".into(), reason: "to see".into() })
}

/// A rollout by the default policy.
pub fn rollout(name: &str, key: &str) -> api::StartRolloutRequest {
    let (rollout, idempotency_key) = (name.into(), key.into());
    api::StartRolloutRequest { rollout, actor: actor(), idempotency_key, policy: None }
}
