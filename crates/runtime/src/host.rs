//! The loop log -> mind -> log: reads facts, applies them, asks the mind, appends what it says.
//!
//! One task owns the mind. Everything else talks to it through a [`Host`]: queries see the mind as it is, commands
//! decide on it and answer when their facts are durable. What waits together is appended together.

mod reader;
mod writer;

use crate::snapshot::{Snapshot, Snapshots};
use nightshift_clock::Clock;
use nightshift_domain::{Decision, Event, Fact, Mind, Refusal, Time};
use nightshift_event_log::{AppendError, EventLog, ReadError};
use reader::Reader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use writer::Writer;

/// Facts that a slow observer may lag behind before it is told that it missed some.
const OBSERVER_CAPACITY: usize = 8_192;
/// Jobs that may wait; beyond that, who asks waits.
const JOBS: usize = 4_096;
/// Jobs that are taken up together, and so share an append.
const JOBS_AT_ONCE: usize = 512;
/// A snapshot is written after so many facts.
const FACTS_PER_SNAPSHOT: usize = 5_000;

/// A handle on a mind that runs.
pub struct Host<M> {
    jobs: mpsc::Sender<Job<M>>,
    facts: broadcast::Sender<Arc<Fact>>,
}

impl<M> Clone for Host<M> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), facts: self.facts.clone() }
    }
}

type Look<M> = Box<dyn FnOnce(&M, Time) + Send>;
type Change<M> = Box<dyn FnOnce(&mut M, Time) + Send>;
type Decide<M> = Box<dyn Fn(&M, Time) -> Result<Vec<Decision>, Refusal> + Send>;

enum Job<M> {
    Look(Look<M>),
    Change(Change<M>),
    Command(Command<M>),
}

struct Command<M> {
    decide: Decide<M>,
    reply: oneshot::Sender<Result<usize, CommandError>>,
}

/// Why a command did not become fact.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The mind refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The service is ending; ask again.
    #[error("the service is ending: ask again")]
    Stopped,
    /// The log did not take it.
    #[error(transparent)]
    Log(Arc<AppendError>),
}

impl<M: Send + 'static> Host<M> {
    /// Asks the mind something.
    pub async fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&M, Time) -> R + Send + 'static,
    ) -> Result<R, CommandError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Look(Box::new(move |mind, now| drop(reply.send(look(mind, now)))));
        self.jobs.send(job).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)
    }

    /// Tells the mind something that is no fact: a signal.
    pub async fn tell(&self, tell: impl FnOnce(&mut M, Time) + Send + 'static) -> Result<(), CommandError> {
        self.jobs.send(Job::Change(Box::new(tell))).await.map_err(|_| CommandError::Stopped)
    }

    /// Lets the mind decide, and answers with the number of new facts once they are durable. If another writer was
    /// first, the decision is made anew on what that one wrote.
    pub async fn command(
        &self,
        decide: impl Fn(&M, Time) -> Result<Vec<Decision>, Refusal> + Send + 'static,
    ) -> Result<usize, CommandError> {
        let (reply, answer) = oneshot::channel();
        let command = Command { decide: Box::new(decide), reply };
        self.jobs.send(Job::Command(command)).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }

    /// Every fact from now on, after the mind has taken it in.
    pub fn facts(&self) -> broadcast::Receiver<Arc<Fact>> {
        self.facts.subscribe()
    }
}

/// What is done to each event between the mind that decided it and the log: what a mind, which has no secrets, cannot do.
/// The same event must come out the same however often it goes in.
pub type Dress = Box<dyn Fn(Event) -> Event + Send + Sync>;

/// What the loop needs.
pub struct Setup<F> {
    /// The service, as it signs its events.
    pub name: &'static str,
    /// Makes the mind to begin with: of the one that the snapshot kept, if there is one.
    pub mind: F,
    /// What is done to events before they become fact; nothing if absent.
    pub dress: Option<Dress>,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The time.
    pub clock: Clock,
    /// Where the mind is kept over restarts.
    pub snapshots: Snapshots,
    /// Cancelled when the loop is to end.
    pub shutdown: CancellationToken,
}

/// Reads everything there is, then starts the loop as one of `tasks`. When this returns, the mind knows all that was
/// in the log.
pub async fn start<M, F>(setup: Setup<F>, tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<Host<M>>
where
    F: FnOnce(Option<M>) -> M,
    M: Mind + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let (jobs, waiting) = mpsc::channel(JOBS);
    let (facts, _) = broadcast::channel(OBSERVER_CAPACITY);
    let mut reader = Reader::new(setup.log.clone());
    let mut newest = Time::MIN_UTC;
    let kept = setup.snapshots.load::<M>().map(|kept| {
        reader.resume(kept.heads, kept.cursors);
        newest = kept.newest;
        kept.mind
    });
    let mind = (setup.mind)(kept);
    let host = Host { jobs, facts: facts.clone() };
    let writer = Writer::new(setup.name, setup.dress, setup.log, setup.clock.clone(), setup.shutdown.clone());
    let mut running = Loop {
        mind,
        reader,
        writer,
        clock: setup.clock,
        snapshots: setup.snapshots,
        shutdown: setup.shutdown,
        facts,
        since_snapshot: 0,
        newest,
        conflicted: Vec::new(),
        behind: false,
    };
    running.catch_up().await?;
    tasks.spawn(running.run(waiting));
    Ok(host)
}

struct Loop<M> {
    mind: M,
    reader: Reader,
    writer: Writer,
    clock: Clock,
    snapshots: Snapshots,
    shutdown: CancellationToken,
    facts: broadcast::Sender<Arc<Fact>>,
    since_snapshot: usize,
    /// When the newest fact that the mind knows was recorded.
    newest: Time,
    /// Commands whose append came second: decided anew once the first writer's facts are read.
    conflicted: Vec<Command<M>>,
    /// The mind's own decision came second: it is not asked again before something new is read.
    behind: bool,
}

impl<M> Loop<M>
where
    M: Mind + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads what the mind follows to its end, and what it follows by then, until it follows nothing new.
    async fn catch_up(&mut self) -> Result<(), ReadError> {
        loop {
            let new = self.reader.not_yet_followed(self.mind.follows());
            if new.is_empty() {
                return Ok(());
            }
            for follow in new {
                while let Some(facts) = self.reader.read_page(&follow).await? {
                    facts.into_iter().for_each(|fact| self.apply(fact));
                }
                self.reader.subscribe(&follow).await?;
            }
        }
    }

    async fn run(mut self, mut jobs: mpsc::Receiver<Job<M>>) -> anyhow::Result<()> {
        let mut batch = Vec::new();
        loop {
            self.advance().await?;
            let wake = self.mind.next_wake(self.clock.now());
            let clock = self.clock.clone();
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                facts = self.reader.next() => {
                    self.behind = false;
                    facts?.into_iter().for_each(|fact| self.apply(fact));
                    self.catch_up().await?;
                    batch.extend(self.conflicted.drain(..).map(Job::Command));
                    self.work(&mut batch).await?;
                }
                taken = jobs.recv_many(&mut batch, JOBS_AT_ONCE) => {
                    if taken == 0 {
                        break;
                    }
                    self.work(&mut batch).await?;
                }
                () = wait(&clock, wake) => {}
            }
            if self.since_snapshot >= FACTS_PER_SNAPSHOT {
                self.save()?;
            }
        }
        self.save()
    }

    /// Asks the mind until it has nothing more to say.
    async fn advance(&mut self) -> anyhow::Result<()> {
        while !self.behind && !self.shutdown.is_cancelled() {
            let decisions = self.mind.decide(self.clock.now());
            if decisions.is_empty() {
                break;
            }
            for (_, result) in self.append(decisions).await {
                match result {
                    Ok(_) => {}
                    Err(AppendError::Conflict { chain, .. }) => {
                        tracing::debug!(%chain, "another writer was first: reading on");
                        self.behind = true;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Does jobs in order. Commands are collected as long as none rests on a chain that another is about to change.
    async fn work(&mut self, batch: &mut Vec<Job<M>>) -> anyhow::Result<()> {
        let mut group: Vec<(Command<M>, Vec<Decision>)> = Vec::new();
        for job in batch.drain(..) {
            let now = self.clock.now();
            match job {
                Job::Look(look) => look(&self.mind, now),
                Job::Change(change) => change(&mut self.mind, now),
                Job::Command(command) => {
                    let mut decided = (command.decide)(&self.mind, now);
                    if decided.as_ref().is_ok_and(|decisions| share_a_chain(&group, decisions)) {
                        self.carry_out(std::mem::take(&mut group)).await;
                        decided = (command.decide)(&self.mind, now);
                    }
                    match decided {
                        Ok(decisions) if decisions.is_empty() => command.answer(Ok(0)),
                        Ok(decisions) => group.push((command, decisions)),
                        Err(refusal) => command.answer(Err(refusal.into())),
                    }
                }
            }
        }
        self.carry_out(group).await;
        Ok(())
    }

    async fn carry_out(&mut self, group: Vec<(Command<M>, Vec<Decision>)>) {
        if group.is_empty() {
            return;
        }
        let (commands, decisions): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let owners: Vec<usize> =
            (0..).zip(&decisions).flat_map(|(owner, of_it)| of_it.iter().map(move |_| owner)).collect();
        let mut answers: Vec<Result<usize, AppendError>> = commands.iter().map(|_| Ok(0)).collect();
        let appended = self.append(decisions.into_iter().flatten().collect()).await;
        for (index, result) in appended {
            let answer = &mut answers[owners[index]];
            match (result, &answer) {
                (Ok(more), Ok(facts)) => *answer = Ok(facts + more),
                (Err(error), Ok(_)) => *answer = Err(error),
                (_, Err(_)) => {}
            }
        }
        for (command, answer) in commands.into_iter().zip(answers) {
            match answer {
                Err(AppendError::Conflict { .. }) => self.conflicted.push(command),
                answer => command.answer(answer.map_err(|error| CommandError::Log(Arc::new(error)))),
            }
        }
    }

    /// Appends decisions and applies what became fact; answers for each decision by its place.
    async fn append(&mut self, decisions: Vec<Decision>) -> Vec<(usize, Result<usize, AppendError>)> {
        let (results, facts) = self.writer.append(&mut self.reader, decisions, self.newest).await;
        facts.into_iter().for_each(|fact| self.apply(fact));
        results
    }

    fn apply(&mut self, fact: Fact) {
        self.mind.apply(&fact);
        self.newest = self.newest.max(fact.at);
        self.since_snapshot += 1;
        // Nobody observes: fine.
        drop(self.facts.send(Arc::new(fact)));
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.since_snapshot = 0;
        let (heads, cursors) = self.reader.progress();
        self.snapshots.save(&Snapshot { mind: &self.mind, newest: self.newest, heads, cursors })
    }
}

impl<M> Command<M> {
    fn answer(self, answer: Result<usize, CommandError>) {
        // Who asked may have gone away; the facts stay.
        drop(self.reply.send(answer));
    }
}

fn share_a_chain<M>(group: &[(Command<M>, Vec<Decision>)], decisions: &[Decision]) -> bool {
    let taken = || group.iter().flat_map(|(_, decisions)| decisions).map(|decision| &decision.chain);
    decisions.iter().any(|decision| taken().any(|chain| *chain == decision.chain))
}

async fn wait(clock: &Clock, until: Option<Time>) {
    match until {
        Some(moment) => clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
