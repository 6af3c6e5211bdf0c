//! One running instance of a service: a mind, and its own late view of the log.

use crate::Faults;
use crate::attention::Attention;
use crate::tape::{Entry, Tape};
use chrono::Duration;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::gateway::Gateway;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::planner::Planner;
use nightshift_domain::{Chain, Decision, Event, Fact, Follow, Mind, Partition, Time};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Snapshots that are not there after a kill: the whole log is read.
const LOST_SNAPSHOTS: f64 = 0.05;

/// The mind of one instance.
#[derive(Clone)]
pub(crate) enum AnyMind {
    Planner(Box<Planner>),
    Coordinator(Box<Coordinator>),
    Monitor(Box<Monitor>),
    Gateway(Box<Gateway>),
}

macro_rules! each {
    ($mind:expr, $name:ident => $what:expr) => {
        match $mind {
            AnyMind::Planner($name) => $what,
            AnyMind::Coordinator($name) => $what,
            AnyMind::Monitor($name) => $what,
            AnyMind::Gateway($name) => $what,
        }
    };
}

impl AnyMind {
    fn new_of_same_kind(&self) -> Self {
        match self {
            AnyMind::Planner(_) => AnyMind::Planner(Box::default()),
            AnyMind::Coordinator(_) => AnyMind::Coordinator(Box::default()),
            AnyMind::Monitor(_) => AnyMind::Monitor(Box::default()),
            AnyMind::Gateway(_) => AnyMind::Gateway(Box::default()),
        }
    }

    fn apply(&mut self, fact: &Fact) {
        each!(self, mind => mind.apply(fact));
    }

    fn follows(&self) -> Vec<Follow> {
        each!(self, mind => mind.follows())
    }
}

/// One running instance.
pub(crate) struct Service {
    pub mind: AnyMind,
    /// How far its clock is ahead.
    pub skew: Duration,
    longest_lag: u32,
    progress: Progress,
    /// What it follows: of each partition the kinds of aggregates, or all. Grows with what it reads.
    follows: BTreeMap<Partition, Option<BTreeSet<&'static str>>>,
    attention: Attention,
    /// What it starts from after a kill, beside the log.
    snapshot: Option<Box<(AnyMind, Progress)>>,
}

/// How far it has read.
#[derive(Clone)]
struct Progress {
    read: BTreeMap<Partition, usize>,
    heads: HashMap<Chain, u64>,
    newest: Time,
}

impl Progress {
    fn none() -> Self {
        Self { read: BTreeMap::new(), heads: HashMap::new(), newest: Time::MIN_UTC }
    }
}

impl Service {
    pub fn new(mind: AnyMind, skew: Duration, longest_lag: u32) -> Self {
        let mut service = Self {
            mind,
            skew,
            longest_lag,
            progress: Progress::none(),
            follows: BTreeMap::new(),
            attention: Attention::default(),
            snapshot: None,
        };
        service.learn_what_it_follows();
        service
    }

    pub fn clock(&self, now: Time) -> Time {
        now + self.skew
    }

    /// When what it appends now is recorded: never before what it rests on, however clocks differ.
    pub fn stamp(&self, now: Time) -> Time {
        self.clock(now).max(self.progress.newest)
    }

    /// Reads on in every partition, as far as facts have reached this instance by now.
    pub fn read_on(&mut self, rng: &mut StdRng, tape: &Tape, now: Time) {
        let longest_lag = self.longest_lag;
        self.read_until(tape, || now - Duration::seconds(i64::from(rng.random_range(0..=longest_lag))));
    }

    /// Reads everything that is there.
    pub fn catch_up(&mut self, tape: &Tape) {
        self.read_until(tape, || Time::MAX_UTC);
    }

    /// Reads what was recorded until a moment, for each partition another.
    fn read_until(&mut self, tape: &Tape, mut until: impl FnMut() -> Time) {
        let mut looked_at = BTreeSet::new();
        loop {
            let unread = |(partition, from): &(&Partition, &usize)| tape.partition(partition).len() > **from;
            let news = self.progress.read.iter().filter(unread).map(|(partition, _)| partition);
            let news: Vec<Partition> =
                news.filter(|partition| !looked_at.contains(*partition)).cloned().collect();
            if news.is_empty() {
                return;
            }
            for partition in news {
                let (until, from) = (until(), self.from(&partition));
                let arrived =
                    tape.partition(&partition)[from..].iter().take_while(|entry| entry.fact.at <= until);
                let arrived: usize = arrived.map(|entry| self.take(entry)).count();
                self.progress.read.insert(partition.clone(), from + arrived);
                looked_at.insert(partition);
            }
        }
    }

    fn from(&self, partition: &Partition) -> usize {
        self.progress.read.get(partition).copied().unwrap_or(0)
    }

    /// When the next fact that has not reached this instance surely will have.
    pub fn next_arrival(&self, tape: &Tape) -> Option<Time> {
        let lag = Duration::seconds(i64::from(self.longest_lag));
        let unread = self.progress.read.iter().filter_map(|(partition, from)| {
            tape.partition(partition).get(*from).map(|entry| entry.fact.at + lag)
        });
        unread.min()
    }

    /// A fact is taken once, whichever way it came.
    pub fn take(&mut self, entry: &Entry) {
        let head = self.progress.heads.entry(entry.chain.clone()).or_default();
        if entry.version <= *head {
            return;
        }
        *head = entry.version;
        self.progress.newest = self.progress.newest.max(entry.fact.at);
        if !self.wants(entry) {
            return;
        }
        self.mind.apply(&entry.fact);
        if let AnyMind::Coordinator(coordinator) = &self.mind {
            self.attention.heed(&entry.fact, coordinator);
        }
        if matches!(entry.fact.event, Event::TopologyDeclared { .. }) {
            self.learn_what_it_follows();
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        let kinds = self.follows.get(&entry.fact.partition);
        let wants =
            |kinds: &BTreeSet<&str>| kinds.contains(entry.fact.event.aggregate().kind.as_ref() as &str);
        kinds.is_some_and(|kinds| kinds.as_ref().is_none_or(wants))
    }

    fn learn_what_it_follows(&mut self) {
        self.follows.clear();
        for Follow { partition, kind } in self.mind.follows() {
            self.progress.read.entry(partition.clone()).or_default();
            let kinds = self.follows.entry(partition).or_insert_with(|| Some(BTreeSet::new()));
            match (kind, kinds) {
                (Some(kind), Some(kinds)) => {
                    kinds.insert(kind);
                }
                (_, kinds) => *kinds = None,
            }
        }
    }

    pub fn head(&self, chain: &Chain) -> u64 {
        self.progress.heads.get(chain).copied().unwrap_or(0)
    }

    /// A monitor asks what its policies want to know. The monitoring system of this world has hours in which it does not
    /// answer, and others in which everything looks ill, where anything ever goes wrong.
    pub fn ask(&mut self, now: Time, faults: Faults) {
        let clock = self.clock(now);
        let AnyMind::Monitor(monitor) = &mut self.mind else { return };
        let hour = now.timestamp() / 3_600;
        let goes_wrong = faults.wishes > 0;
        if goes_wrong && hour % 37 == 0 {
            return;
        }
        let value = if goes_wrong && hour % 41 == 0 { 1.0 } else { 0.0 };
        for question in monitor.questions(clock) {
            monitor.answer(&question, clock, Some(value), clock);
        }
    }

    pub fn decide(&mut self, now: Time) -> Vec<Decision> {
        let now = self.clock(now);
        match &self.mind {
            AnyMind::Coordinator(coordinator) => {
                let mut decisions = coordinator.decide_upkeep(now);
                decisions.extend(self.attention.decide(coordinator, now));
                decisions
            }
            mind => each!(mind, mind => mind.decide(now)),
        }
    }

    pub fn next_wake(&self, now: Time) -> Option<Time> {
        let (now, skew) = (self.clock(now), self.skew);
        let wake = match &self.mind {
            AnyMind::Coordinator(coordinator) => {
                self.attention.next_wake().into_iter().chain(coordinator.next_upkeep(now)).min()
            }
            mind => each!(mind, mind => mind.next_wake(now)),
        };
        wake.map(|at| at - skew)
    }

    /// kill -9 and a restart: what is left is the log, and mostly a snapshot; what is there is read before anything is
    /// decided.
    pub fn restart(&mut self, rng: &mut StdRng, tape: &Tape, now: Time) {
        let kept = self.snapshot.take().filter(|_| !rng.random_bool(LOST_SNAPSHOTS));
        (self.mind, self.progress) = match kept {
            Some(snapshot) => *snapshot,
            None => (self.mind.new_of_same_kind(), Progress::none()),
        };
        self.learn_what_it_follows();
        self.catch_up(tape);
        let clock = self.clock(now);
        match &mut self.mind {
            AnyMind::Monitor(monitor) => monitor.listen(clock),
            AnyMind::Coordinator(coordinator) => self.attention = Attention::to_all(coordinator),
            AnyMind::Planner(_) | AnyMind::Gateway(_) => {}
        }
        self.snapshot = Some(Box::new((self.mind.clone(), self.progress.clone())));
    }
}
