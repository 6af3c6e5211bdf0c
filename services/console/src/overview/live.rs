//! The overview as a stream: first all of it, then what changed, as long as somebody listens.

use super::{Kept, newest, overview};
use crate::service::no_rollout;
use crate::view::View;
use futures::Stream;
use nightshift_domain::{Fact, RolloutId};
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::Host;
use nightshift_runtime::access::Caller;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tonic::Status;
use uuid::Uuid;

/// However much happens, a watcher is told no more often than this.
const NOT_SOONER: Duration = Duration::from_millis(250);
/// What the clock alone changes is told this late at most; it also keeps the connection from being taken for dead.
const NOT_LATER: Duration = Duration::from_secs(2);

/// What watching needs.
#[derive(Clone)]
pub(crate) struct Watcher {
    pub(crate) host: Host<View>,
    pub(crate) kept: Kept,
    /// Of this process: another one counts its versions from the beginning again.
    epoch: Uuid,
}

impl Watcher {
    pub(crate) fn of(host: Host<View>) -> Self {
        Self { host, kept: Kept::default(), epoch: Uuid::new_v4() }
    }

    fn id(&self, rollout: &str, version: u64) -> String {
        format!("{}.{version}.{rollout}", self.epoch.simple())
    }

    /// Up to which version the reader of this id knows which rollout.
    fn read(&self, id: &str) -> Option<(u64, String)> {
        let mut parts = id.splitn(3, '.');
        let epoch = parts.next()?;
        let version = parts.next()?.parse().ok()?;
        (epoch == self.epoch.simple().to_string())
            .then(|| (version, parts.next().unwrap_or_default().to_owned()))
    }
}

struct Watching {
    watcher: Watcher,
    caller: Caller,
    named: Option<RolloutId>,
    /// Version and rollout of the last answer.
    told: Option<(u64, String)>,
    first: bool,
    facts: broadcast::Receiver<Arc<Fact>>,
}

/// The overview now and after each change.
pub(crate) fn watch(
    watcher: Watcher,
    caller: Caller,
    named: Option<RolloutId>,
    after: &str,
) -> impl Stream<Item = Result<api::WatchOverviewResponse, Status>> + Send + use<> {
    let told = watcher.read(after);
    let facts = watcher.host.facts();
    let watching = Watching { watcher, caller, named, told, first: true, facts };
    futures::stream::unfold(watching, async |mut watching| {
        if !watching.first {
            watching.wait().await;
        }
        watching.first = false;
        let answer = watching.look().await;
        Some((answer, watching))
    })
}

impl Watching {
    async fn wait(&mut self) {
        tokio::time::sleep(NOT_SOONER).await;
        // A watcher that missed facts looks at what they came to, as does one that saw them.
        drop(tokio::time::timeout(NOT_LATER, self.facts.recv()).await);
        self.facts = self.facts.resubscribe();
    }

    async fn look(&mut self) -> Result<api::WatchOverviewResponse, Status> {
        let (kept, named, caller) = (self.watcher.kept.clone(), self.named.clone(), self.caller.clone());
        let look = move |view: &View, now| {
            let named = named.or_else(|| newest(view));
            let found = overview(view, named.as_ref(), now, &kept)?;
            Some(found.seen_by(&caller, view, now))
        };
        let found = self.watcher.host.look(look).await?;
        let found = found.ok_or_else(|| no_rollout(self.named.as_ref().map_or("", RolloutId::as_str)))?;
        let rollout = found.head.rollout.clone();
        let since = self.told.take().filter(|(_, known)| *known == rollout).map(|(version, _)| version);
        let changed =
            found.regions.into_iter().filter(|(changed, _)| since.is_none_or(|since| *changed > since));
        let answer = api::WatchOverviewResponse {
            id: self.watcher.id(&rollout, found.version),
            regions: changed.map(|(_, region)| Arc::unwrap_or_clone(region)).collect(),
            overview: Some(found.head),
            whole: since.is_none(),
        };
        self.told = Some((found.version, rollout));
        Ok(answer)
    }
}
