//! The loop log -> mind -> log: reads facts, applies them, asks the mind, appends what it says.
//!
//! One task owns the mind. Everything else talks to it through a [`Host`]: queries see the mind as it is, commands
//! decide on it and answer when their facts are durable. What waits together is appended together.

mod command;
mod reader;
mod remembered;
mod writer;

pub use command::CommandError;
pub(crate) use remembered::Remembered;

use crate::snapshot::{Snapshot, Snapshots};
use crate::terms::Terms;
use command::{Answer, Command};
use nightshift_clock::Clock;
use nightshift_domain::{Decision, Event, Fact, Mind, Refusal, Time};
use nightshift_event_log::{AppendError, EventLog, ReadError};
use reader::Reader;
use remembered::{Before, Made};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use writer::{Wanted, Writer};

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

enum Job<M> {
    Look(Look<M>),
    Change(Change<M>),
    Command(Command<M>),
}

/// What a command comes to.
enum Decided {
    /// Nothing, or nothing new: this is its answer.
    Answer(Answer),
    /// What its key did before.
    Before(Made),
    /// This is to become fact.
    Events(Vec<Decision>),
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

    /// Lets the mind decide, and answers once the facts are durable. If another writer was first, the decision is made
    /// anew on what that one wrote.
    pub async fn command(
        &self,
        decide: impl Fn(&M, Time) -> Result<Vec<Decision>, Refusal> + Send + 'static,
    ) -> Result<(), CommandError> {
        self.wish(Terms::default(), decide).await.map(drop)
    }

    /// The same on a caller's terms; answers with the facts. Of a key that did something before these are the facts that it
    /// made then. With a key, a decision must be about one chain; where a request is about several, each is a wish of its
    /// own (see [`Terms::for_part`]).
    pub async fn wish(
        &self,
        terms: Terms,
        decide: impl Fn(&M, Time) -> Result<Vec<Decision>, Refusal> + Send + 'static,
    ) -> Result<Vec<Arc<Fact>>, CommandError> {
        let (command, waiting) = Command::new(Box::new(decide), terms);
        self.jobs.send(Job::Command(command)).await.map_err(|_| CommandError::Stopped)?;
        waiting.answer().await
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
    let mut reader = Reader::new(setup.name, setup.log.clone());
    let mut newest = Time::MIN_UTC;
    let kept = setup.snapshots.load::<M>().map(|kept| {
        reader.resume(kept.heads, kept.cursors, kept.commands);
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
            let wanted = decisions.into_iter().map(|decision| Wanted { decision, command: None });
            for (_, result) in self.append(wanted.collect()).await {
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

    /// Does jobs in order. Commands are collected as long as none rests on a chain, or has a key, with which another is
    /// about to change something.
    async fn work(&mut self, batch: &mut Vec<Job<M>>) -> anyhow::Result<()> {
        let mut group: Vec<(Command<M>, Vec<Decision>)> = Vec::new();
        for job in batch.drain(..) {
            let now = self.clock.now();
            match job {
                Job::Look(look) => look(&self.mind, now),
                Job::Change(change) => change(&mut self.mind, now),
                Job::Command(command) => {
                    let mut decided = self.decide(&command, now);
                    let after_others = match &decided {
                        Decided::Events(decisions) => share_a_chain(&group, decisions),
                        _ => false,
                    };
                    if after_others || share_a_key(&group, &command) {
                        self.carry_out(std::mem::take(&mut group)).await;
                        decided = self.decide(&command, now);
                    }
                    match decided {
                        Decided::Answer(answer) => command.answer(answer),
                        Decided::Before(made) => self.tell_again(command, made),
                        Decided::Events(decisions) => group.push((command, decisions)),
                    }
                }
            }
        }
        self.carry_out(group).await;
        Ok(())
    }

    fn decide(&self, command: &Command<M>, now: Time) -> Decided {
        if command.is_late() {
            return Decided::Answer(Err(CommandError::TooLate));
        }
        if let Some(key) = &command.terms.key {
            match self.reader.commands().find(key, command.terms.part.as_ref(), self.newest) {
                Before::New => {}
                Before::Done(made) => return Decided::Before(made),
                Before::Other => return Decided::Answer(Err(CommandError::KeyReused(key.key.clone()))),
            }
        }
        match (command.decide)(&self.mind, now) {
            Ok(decisions) if decisions.is_empty() => Decided::Answer(Ok(Vec::new())),
            Ok(decisions) => Decided::Events(decisions),
            Err(refusal) => Decided::Answer(Err(refusal.into())),
        }
    }

    /// Answers with what a key did before, out of the log.
    fn tell_again(&self, command: Command<M>, made: Made) {
        let log = self.reader.log();
        if command.begin() {
            tokio::spawn(async move {
                command.answer(reader::read_again(&*log, &made).await.map_err(CommandError::Unread));
            });
        }
    }

    async fn carry_out(&mut self, group: Vec<(Command<M>, Vec<Decision>)>) {
        // Who gave up has been answered.
        let group: Vec<_> = group.into_iter().filter(|(command, _)| command.begin()).collect();
        if group.is_empty() {
            return;
        }
        let (commands, decisions): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let owners: Vec<usize> =
            (0..).zip(&decisions).flat_map(|(owner, of_it)| of_it.iter().map(move |_| owner)).collect();
        let wanted =
            commands.iter().zip(decisions).flat_map(|(command, decisions)| wanted(command, decisions));
        let mut answers: Vec<Result<Vec<Arc<Fact>>, AppendError>> =
            commands.iter().map(|_| Ok(Vec::new())).collect();
        for (index, result) in self.append(wanted.collect()).await {
            let answer = &mut answers[owners[index]];
            match (result, &mut *answer) {
                (Ok(more), Ok(facts)) => facts.extend(more),
                (Err(error), Ok(_)) => *answer = Err(error),
                (_, Err(_)) => {}
            }
        }
        for (command, answer) in commands.into_iter().zip(answers) {
            match answer {
                Err(AppendError::Conflict { .. }) => {
                    command.wait_again();
                    self.conflicted.push(command);
                }
                answer => command.answer(answer.map_err(|error| CommandError::Log(Arc::new(error)))),
            }
        }
    }

    /// Appends decisions and applies what became fact; answers for each decision by its place.
    async fn append(&mut self, wanted: Vec<Wanted>) -> writer::Results {
        let results = self.writer.append(&mut self.reader, wanted, self.newest).await;
        for fact in results.iter().flat_map(|(_, result)| result.iter().flatten()) {
            self.take(fact.clone());
        }
        results
    }

    fn apply(&mut self, fact: Fact) {
        self.take(Arc::new(fact));
    }

    fn take(&mut self, fact: Arc<Fact>) {
        self.mind.apply(&fact);
        self.newest = self.newest.max(fact.at);
        self.since_snapshot += 1;
        // Nobody observes: fine.
        drop(self.facts.send(fact));
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.since_snapshot = 0;
        let (heads, cursors) = self.reader.progress();
        let commands = self.reader.commands().clone();
        self.snapshots.save(&Snapshot { mind: &self.mind, newest: self.newest, heads, cursors, commands })
    }
}

/// The decisions, each with the command that its last event will name.
fn wanted<M>(command: &Command<M>, decisions: Vec<Decision>) -> impl Iterator<Item = Wanted> {
    let key = command.terms.key.clone();
    decisions.into_iter().map(move |decision| {
        let command = key.as_ref().map(|key| key.command(decision.events.len()));
        Wanted { decision, command }
    })
}

fn share_a_chain<M>(group: &[(Command<M>, Vec<Decision>)], decisions: &[Decision]) -> bool {
    let taken = || group.iter().flat_map(|(_, decisions)| decisions).map(|decision| &decision.chain);
    decisions.iter().any(|decision| taken().any(|chain| *chain == decision.chain))
}

fn share_a_key<M>(group: &[(Command<M>, Vec<Decision>)], command: &Command<M>) -> bool {
    let key = |command: &Command<M>| command.terms.key.clone().map(|key| (key.caller, key.key));
    key(command).is_some_and(|wanted| group.iter().any(|(other, _)| key(other).as_ref() == Some(&wanted)))
}

async fn wait(clock: &Clock, until: Option<Time>) {
    match until {
        Some(moment) => clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
