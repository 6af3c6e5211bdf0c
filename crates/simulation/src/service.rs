//! One running instance of a service: a mind, and its own late view of the log.

use crate::tape::{Entry, Tape};
use chrono::Duration;
use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::gateway::Gateway;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::planner::Planner;
use nightshift_domain::{Chain, Decision, Fact, Follow, Mind, Partition, Time};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The mind of one instance.
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

    fn wants(&self, entry: &Entry) -> bool {
        let kind = entry.fact.event.aggregate().kind;
        self.follows().iter().any(|follow| {
            follow.partition == entry.fact.partition && follow.kind.is_none_or(|wanted| wanted == kind)
        })
    }
}

/// One running instance.
pub(crate) struct Service {
    pub mind: AnyMind,
    /// How far its clock is ahead.
    pub skew: Duration,
    longest_lag: u32,
    read: BTreeMap<Partition, usize>,
    heads: HashMap<Chain, u64>,
    newest: Time,
}

impl Service {
    pub fn new(mind: AnyMind, skew: Duration, longest_lag: u32) -> Self {
        Self { mind, skew, longest_lag, read: BTreeMap::new(), heads: HashMap::new(), newest: Time::MIN_UTC }
    }

    pub fn clock(&self, now: Time) -> Time {
        now + self.skew
    }

    /// When what it appends now is recorded: never before what it rests on, however clocks differ.
    pub fn stamp(&self, now: Time) -> Time {
        self.clock(now).max(self.newest)
    }

    /// Reads on in every partition, as far as facts have reached this instance by now.
    pub fn read_on(&mut self, rng: &mut StdRng, tape: &Tape, now: Time) {
        for partition in self.partitions() {
            let lag = Duration::seconds(i64::from(rng.random_range(0..=self.longest_lag)));
            let entries = tape.partition(&partition);
            let from = self.read.get(&partition).copied().unwrap_or(0);
            let arrived = entries[from..].iter().take_while(|entry| entry.fact.at + lag <= now).count();
            for entry in &entries[from..from + arrived] {
                self.take(entry);
            }
            self.read.insert(partition, from + arrived);
        }
    }

    /// Everything at once, as a service that starts.
    fn read_all(&mut self, tape: &Tape) {
        // What it follows grows with what it reads: a topology brings partitions.
        while let Some(partition) =
            self.partitions().into_iter().find(|partition| !self.read.contains_key(partition))
        {
            let entries = tape.partition(&partition);
            entries.iter().for_each(|entry| self.take(entry));
            self.read.insert(partition, entries.len());
        }
    }

    fn partitions(&self) -> BTreeSet<Partition> {
        self.mind.follows().into_iter().map(|follow| follow.partition).collect()
    }

    /// When the next fact that has not reached this instance surely will have.
    pub fn next_arrival(&self, tape: &Tape) -> Option<Time> {
        let lag = Duration::seconds(i64::from(self.longest_lag));
        let unread = self.partitions().into_iter().filter_map(|partition| {
            let from = self.read.get(&partition).copied().unwrap_or(0);
            tape.partition(&partition).get(from).map(|entry| entry.fact.at + lag)
        });
        unread.min()
    }

    /// A fact is taken once, whichever way it came.
    pub fn take(&mut self, entry: &Entry) {
        let head = self.heads.entry(entry.chain.clone()).or_default();
        if entry.version <= *head {
            return;
        }
        *head = entry.version;
        self.newest = self.newest.max(entry.fact.at);
        if self.mind.wants(entry) {
            self.mind.apply(&entry.fact);
        }
    }

    pub fn head(&self, chain: &Chain) -> u64 {
        self.heads.get(chain).copied().unwrap_or(0)
    }

    pub fn decide(&self, now: Time) -> Vec<Decision> {
        let now = self.clock(now);
        each!(&self.mind, mind => mind.decide(now))
    }

    pub fn next_wake(&self, now: Time) -> Option<Time> {
        let (now, skew) = (self.clock(now), self.skew);
        each!(&self.mind, mind => mind.next_wake(now)).map(|at| at - skew)
    }

    /// kill -9 and a restart: everything but the log is gone; what is there is read before anything is decided.
    pub fn restart(&mut self, tape: &Tape, now: Time) {
        self.mind = self.mind.new_of_same_kind();
        self.read.clear();
        self.heads.clear();
        self.read_all(tape);
        let clock = self.clock(now);
        if let AnyMind::Monitor(monitor) = &mut self.mind {
            monitor.listen(clock);
        }
    }
}
