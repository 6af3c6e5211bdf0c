//! Instances of rollout-planner's loop over one log that can be held up, and that can take an append without saying so.

use async_trait::async_trait;
use futures::stream::BoxStream;
use nightshift_domain::planner::Planner;
use nightshift_domain::rollout::Actor;
use nightshift_domain::{Chain, Decision, Event, Fact, Follow, Partition};
use nightshift_event_log::{AppendError, EventLog, Head, MemoryLog, Page, ReadError, Recorded, Write};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::commands::Keyed;
use nightshift_runtime::access::{Access, Deadline};
use nightshift_runtime::host::{self, Setup};
use nightshift_runtime::snapshot::Snapshots;
use nightshift_runtime::{Clock, CommandError, Host, Terms};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;

/// The log, and what is done to those who append.
#[derive(Clone)]
pub struct Log {
    pub inner: MemoryLog,
    /// Each append takes one of these before it is looked at.
    pub gate: Arc<Semaphore>,
    /// How many appends have come to the gate.
    pub came: Arc<watch::Sender<usize>>,
    /// Draws for what happens: 0 for nothing ever.
    pub seed: Arc<AtomicU64>,
}

impl Log {
    pub fn new() -> Self {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { inner: MemoryLog::new(), gate, came: Arc::new(watch::Sender::new(0)), seed: Arc::default() }
    }

    /// Holds up every append from now on.
    pub fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn open(&self) {
        self.gate.add_permits(1_000_000);
    }

    pub async fn somebody_came(&self, so_many: usize) {
        self.came.subscribe().wait_for(|came| *came >= so_many).await.unwrap();
    }

    /// One of `n`, drawn; never 0 while nothing is to happen.
    fn draw(&self, n: u64) -> u64 {
        if self.seed.load(Ordering::Relaxed) == 0 {
            return 1;
        }
        let step = |seed: u64| {
            Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        };
        let drawn = self.seed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap();
        (drawn >> 33) % n
    }

    /// Every event of the partition.
    pub async fn all(&self, partition: Partition) -> Vec<Recorded> {
        self.inner.read(&Follow::all(partition), 0, 100_000).await.unwrap().events
    }
}

#[async_trait]
impl EventLog for Log {
    async fn append(&self, partition: &Partition, writes: Vec<Write>) -> Result<Vec<Head>, AppendError> {
        self.came.send_modify(|came| *came += 1);
        self.gate.acquire().await.unwrap().forget();
        let unknown = || AppendError::Unknown { partition: partition.clone(), cause: "drawn".into() };
        // It did not land, and nobody knows.
        if self.draw(5) == 0 {
            return Err(unknown());
        }
        tokio::task::yield_now().await;
        let landed = self.inner.append(partition, writes).await;
        tokio::task::yield_now().await;
        // It landed, and nobody knows.
        if self.draw(5) == 0 { Err(unknown()) } else { landed }
    }

    async fn read(&self, follow: &Follow, after: u64, limit: usize) -> Result<Page, ReadError> {
        self.inner.read(follow, after, limit).await
    }

    async fn subscribe(
        &self,
        follow: &Follow,
        after: u64,
    ) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError> {
        self.inner.subscribe(follow, after).await
    }

    async fn partitions(&self) -> Result<Vec<Partition>, ReadError> {
        self.inner.partitions().await
    }
}

/// One instance of the service, and its end.
pub struct Instance {
    pub host: Host<Planner>,
    pub tasks: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Instance {
    pub async fn start(log: &Log, folder: &Path) -> Self {
        let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
        let setup = Setup {
            name: "rollout-planner",
            mind: Option::<Planner>::unwrap_or_default,
            dress: None,
            log: Arc::new(log.clone()),
            clock: Clock::system(),
            snapshots: Snapshots::open(folder).unwrap(),
            shutdown: shutdown.clone(),
        };
        let host = host::start(setup, &mut tasks).await.unwrap();
        Self { host, tasks, shutdown }
    }

    /// Ends it as it should be ended: with a snapshot.
    pub async fn end(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends it between any two of its steps, without a snapshot.
    pub async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// A request as it comes through the door.
pub async fn asked<R: Keyed>(message: R, until: Option<Instant>) -> Result<Terms, tonic::Status> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Access::of_anybody().caller(None).await.unwrap());
    if let Some(until) = until {
        request.extensions_mut().insert(Deadline(until));
    }
    Terms::of(request).map(|(_, terms, _)| terms)
}

/// The terms of pausing this rollout with this key.
pub async fn pausing(rollout: &str, key: &str, until: Option<Instant>) -> Terms {
    let (rollout, idempotency_key) = (rollout.into(), key.into());
    let request = api::PauseRolloutRequest { rollout, idempotency_key, ..Default::default() };
    asked(request, until).await.unwrap()
}

/// Makes so many facts, each time that it is carried out: a command that is carried out twice shows.
pub async fn act(
    host: &Host<Planner>,
    terms: Terms,
    who: &str,
    events: usize,
) -> Result<Vec<Arc<Fact>>, CommandError> {
    let actor = Actor { name: who.to_owned(), reason: "to be counted".to_owned() };
    let decide = move |_: &Planner, _| {
        let event = Event::RhythmDeclared { rhythm: None, actor: actor.clone() };
        Ok(vec![Decision { chain: Chain::Whole(Partition::Rollout), events: vec![event; events] }])
    };
    host.wish(terms, decide).await
}

/// How many facts of theirs the log has.
pub async fn made_by(log: &Log, who: &str) -> usize {
    let events = log.all(Partition::Rollout).await;
    let by = |event| matches!(event, Event::RhythmDeclared { actor, .. } if actor.name == who);
    events.iter().filter(|recorded| by(recorded.envelope.fact().unwrap().event)).count()
}
