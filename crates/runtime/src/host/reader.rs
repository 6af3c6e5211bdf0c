//! Reads what a mind follows: each chain's events in order, each exactly once, each in the line of its hashes.

use super::remembered::{Made, Remembered};
use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use nightshift_domain::{Chain, Fact, Follow, Time};
use nightshift_event_log::{EventLog, Head, ReadError, Recorded};
use nightshift_protocol::envelope::{Command, source};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Events read in one go while catching up.
const PAGE: usize = 1_000;
/// Events taken together from the subscriptions.
const READY_AT_ONCE: usize = 1_000;

type Incoming = (Follow, Result<Recorded, ReadError>);

pub(super) struct Reader {
    /// The service, as it signs its events.
    source: String,
    log: Arc<dyn EventLog>,
    heads: BTreeMap<Chain, Head>,
    cursors: BTreeMap<String, u64>,
    commands: Remembered,
    followed: Vec<Follow>,
    incoming: SelectAll<BoxStream<'static, Incoming>>,
}

impl Reader {
    pub(super) fn new(service: &str, log: Arc<dyn EventLog>) -> Self {
        Self {
            source: source(service),
            log,
            heads: BTreeMap::new(),
            cursors: BTreeMap::new(),
            commands: Remembered::default(),
            followed: Vec::new(),
            incoming: SelectAll::new(),
        }
    }

    /// Goes on where a snapshot was taken.
    pub(super) fn resume(
        &mut self,
        heads: BTreeMap<Chain, Head>,
        cursors: BTreeMap<String, u64>,
        commands: Remembered,
    ) {
        self.heads = heads;
        self.cursors = cursors;
        self.commands = commands;
    }

    pub(super) fn log(&self) -> Arc<dyn EventLog> {
        self.log.clone()
    }

    /// The commands of this service, of all its instances, that had a key.
    pub(super) fn commands(&self) -> &Remembered {
        &self.commands
    }

    pub(super) fn progress(&self) -> (BTreeMap<Chain, Head>, BTreeMap<String, u64>) {
        (self.heads.clone(), self.cursors.clone())
    }

    pub(super) fn not_yet_followed(&self, wanted: Vec<Follow>) -> Vec<Follow> {
        wanted.into_iter().filter(|follow| !self.followed.contains(follow)).collect()
    }

    /// The next facts of what is there; `None` at the end.
    pub(super) async fn read_page(&mut self, follow: &Follow) -> Result<Option<Vec<Fact>>, ReadError> {
        let after = self.cursor(follow);
        let page = self.log.read(follow, after, PAGE).await?;
        if page.at_end && page.events.is_empty() {
            return Ok(None);
        }
        let mut facts = Vec::new();
        for recorded in &page.events {
            facts.extend(self.take(follow, recorded)?);
        }
        self.cursors.insert(key(follow), page.read_to);
        Ok(Some(facts))
    }

    /// From now on, what is appended comes by [`Reader::next`].
    pub(super) async fn subscribe(&mut self, follow: &Follow) -> Result<(), ReadError> {
        let events = self.log.subscribe(follow, self.cursor(follow)).await?;
        let of = follow.clone();
        self.incoming.push(events.map(move |event| (of.clone(), event)).boxed());
        self.followed.push(follow.clone());
        Ok(())
    }

    /// Waits for events and takes all that are ready. Can be cancelled without losing any.
    pub(super) async fn next(&mut self) -> Result<Vec<Fact>, ReadError> {
        let Some(first) = self.incoming.next().await else {
            // Nothing is followed yet, or every subscription ended, each with an error that was returned before.
            return std::future::pending().await;
        };
        let mut facts: Vec<Fact> = self.receive(first)?.into_iter().collect();
        for _ in 1..READY_AT_ONCE {
            let Some(Some(more)) = futures::FutureExt::now_or_never(self.incoming.next()) else { break };
            facts.extend(self.receive(more)?);
        }
        Ok(facts)
    }

    /// The newest event of the chain that was read, or appended by ourselves.
    pub(super) fn head(&self, chain: &Chain) -> Head {
        self.heads.get(chain).copied().unwrap_or(Head::START)
    }

    /// Takes note of our own append, whose events will come by the subscription once more.
    pub(super) fn appended(&mut self, chain: &Chain, head: Head, command: Option<&Command>, at: Time) {
        self.heads.insert(chain.clone(), head);
        if let Some(command) = command {
            self.commands.note(command, chain, head.position, at);
        }
    }

    fn receive(&mut self, (follow, event): Incoming) -> Result<Option<Fact>, ReadError> {
        let recorded = event?;
        let fact = self.take(&follow, &recorded)?;
        self.cursors.insert(key(&follow), recorded.position);
        Ok(fact)
    }

    /// The fact, if it is new; an error if it does not follow the one before it.
    fn take(&mut self, follow: &Follow, recorded: &Recorded) -> Result<Option<Fact>, ReadError> {
        let position = recorded.position;
        let damaged =
            |cause: String| ReadError::Damaged { partition: follow.partition.clone(), position, cause };
        let chain = recorded.envelope.chain().map_err(|error| damaged(error.to_string()))?;
        let head = self.head(&chain);
        if position <= head.position {
            return Ok(None);
        }
        if recorded.envelope.previous_hash != head.hash {
            let cause = format!(
                "the event does not follow the one at position {} of {chain}: restore the log from a good copy",
                head.position
            );
            return Err(damaged(cause));
        }
        let fact = recorded.envelope.fact().map_err(|error| damaged(error.to_string()))?;
        // Another service's keys are its own.
        if let Some(command) =
            recorded.envelope.command.as_ref().filter(|_| recorded.envelope.source == self.source)
        {
            self.commands.note(command, &chain, position, recorded.envelope.time);
        }
        self.heads.insert(chain, Head { position, hash: recorded.envelope.hash() });
        Ok(Some(fact))
    }

    fn cursor(&self, follow: &Follow) -> u64 {
        self.cursors.get(&key(follow)).copied().unwrap_or(0)
    }
}

/// The facts that a command made before. They stand one after the other: they were appended in one piece, or to a chain
/// that is all of its partition.
pub(super) async fn read_again(log: &dyn EventLog, made: &Made) -> Result<Vec<Arc<Fact>>, ReadError> {
    let follow = Follow::all(made.chain.partition());
    let damaged =
        |position, cause: String| ReadError::Damaged { partition: made.chain.partition(), position, cause };
    let mut after = made.position.saturating_sub(u64::from(made.events));
    let mut facts = Vec::new();
    while after < made.position {
        let page = log.read(&follow, after, PAGE).await?;
        for recorded in page.events.iter().filter(|recorded| recorded.position <= made.position) {
            let fact =
                recorded.envelope.fact().map_err(|error| damaged(recorded.position, error.to_string()))?;
            facts.push(Arc::new(fact));
        }
        if page.read_to <= after {
            return Err(damaged(after, "what a command made fact is not there any more".into()));
        }
        after = page.read_to;
    }
    Ok(facts)
}

fn key(follow: &Follow) -> String {
    format!("{}/{}", follow.partition, follow.kind.unwrap_or("*"))
}
